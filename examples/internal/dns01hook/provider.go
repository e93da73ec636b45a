package dns01hook

import (
	"errors"
	"fmt"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/mythicbeasts"
	"github.com/berryrack/berryrack/acme/rfc2136"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// RFC2136 is the key rfc2136 of a configuration.
type RFC2136 struct {
	Server  string        `yaml:"server"`
	TSIG    *TSIG         `yaml:"tsig"`
	Timeout time.Duration `yaml:"timeout"`
}

// TSIG is a key and the file that its secret is in.
type TSIG struct {
	Name       string `yaml:"name"`
	Algorithm  string `yaml:"algorithm"`
	SecretFile string `yaml:"secret_file"`
}

// Provider makes the provider; path is where it stands in the document.
func (c *RFC2136) Provider(d *strictyaml.Document, path string) (acme.Provider, error) {
	p := &rfc2136.Provider{Server: c.Server, Timeout: c.Timeout}
	if c.TSIG != nil {
		secret, err := cli.SecretOf(d.Name(), c.TSIG.SecretFile)
		if err != nil {
			return nil, d.Errorf(path+".tsig.secret_file", "%v", err)
		}
		p.Key = rfc2136.Key{Name: c.TSIG.Name, Algorithm: c.TSIG.Algorithm, Secret: acme.Secret(secret)}
	}
	if err := p.Check(); err != nil {
		return nil, d.Errorf(path, "%v", err)
	}
	return p, nil
}

// Mythic is the key mythicbeasts of a configuration.
type Mythic struct {
	Credentials []MythicCredential `yaml:"credentials"`
	Endpoint    string             `yaml:"endpoint"`
}

// MythicCredential is a key of version 2 of the API or, without key, a zone and
// its password.
type MythicCredential struct {
	Zone       string `yaml:"zone"`
	Key        string `yaml:"key"`
	SecretFile string `yaml:"secret_file"`
}

// Provider makes the provider; path is where it stands in the document.
func (c *Mythic) Provider(d *strictyaml.Document, path string) (acme.Provider, error) {
	p := &mythicbeasts.Provider{Endpoint: c.Endpoint}
	var errs []error
	if len(c.Credentials) == 0 {
		errs = append(errs, d.Errorf(path+".credentials", "none given: want [{key: ..., secret_file: ...}]"))
	}
	for i, credential := range c.Credentials {
		at := fmt.Sprintf("%s.credentials[%d]", path, i)
		secret, err := cli.SecretOf(d.Name(), credential.SecretFile)
		if err != nil {
			errs = append(errs, d.Errorf(at+".secret_file", "%v", err))
		}
		if credential.Zone == "" && credential.Key == "" {
			errs = append(errs, d.Errorf(at, "neither key nor zone is given"))
		}
		p.Credentials = append(p.Credentials, mythicbeasts.Credential{Zone: credential.Zone, KeyID: credential.Key, Secret: acme.Secret(secret)})
	}
	return p, errors.Join(errs...)
}
