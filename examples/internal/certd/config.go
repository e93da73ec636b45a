// Package certd is the program of that name: it composes acme/manager, the DNS
// providers and a configuration.
package certd

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/dns01hook"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

//go:embed certd.yaml
var defaultConfig []byte

// Config is certd.yaml.
type Config struct {
	Account      Account           `yaml:"account"`
	Provider     Provider          `yaml:"provider"`
	Aliases      map[string]string `yaml:"aliases"`
	Resolvers    []string          `yaml:"resolvers"`
	Confirm      bool              `yaml:"confirm_resolvers"`
	Timeout      time.Duration     `yaml:"timeout"`
	Interval     time.Duration     `yaml:"interval"`
	TTL          time.Duration     `yaml:"ttl"`
	Certificates []Certificate     `yaml:"certificates"`
}

// Account is the one at the authority.
type Account struct {
	CA       string `yaml:"ca"`
	CAFile   string `yaml:"ca_file"` // roots for the connection to the authority itself
	Email    string `yaml:"email"`
	AgreeTOS bool   `yaml:"agree_tos"`
	EABFile  string `yaml:"eab_file"` // one line: key identifier and HMAC
}

// Provider is one of its keys.
type Provider struct {
	RFC2136      *dns01hook.RFC2136 `yaml:"rfc2136"`
	MythicBeasts *dns01hook.Mythic  `yaml:"mythicbeasts"`
	Embedded     *Embedded          `yaml:"embedded"`
	Lego         *Lego              `yaml:"lego"`
}

// Embedded is the responder in this process.
type Embedded struct {
	Zone       string       `yaml:"zone"` // empty: _acme-challenge.NAME for each name
	Listen     string       `yaml:"listen"`
	Nameserver string       `yaml:"nameserver"`
	Addresses  []netip.Addr `yaml:"addresses"`
}

// Certificate is one to keep.
type Certificate struct {
	Names          []string   `yaml:"names"`
	Profile        string     `yaml:"profile"`
	PreferredChain string     `yaml:"preferred_chain"`
	KeyType        string     `yaml:"key_type"`
	Group          string     `yaml:"group"`
	Mode           fileMode   `yaml:"mode"`
	Reload         [][]string `yaml:"reload"`
	HTTP01         *HTTP01    `yaml:"http01"`
}

// HTTP01 proves control by http-01 instead.
type HTTP01 struct {
	Webroot string `yaml:"webroot"`
	Listen  string `yaml:"listen"`
}

// fileMode is a mode in octal: "0640".
type fileMode fs.FileMode

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *fileMode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n > 0o777 || n&0o007 != 0 {
		return fmt.Errorf("want a mode in octal that gives others nothing, such as \"0640\", not %q", text)
	}
	*m = fileMode(n)
	return nil
}

func (c Certificate) wanted() manager.Certificate {
	w := manager.Certificate{
		Names: c.Names, Profile: c.Profile, PreferredChain: c.PreferredChain, KeyType: manager.KeyType(c.KeyType),
		Group: c.Group, Mode: fs.FileMode(c.Mode), Reload: c.Reload,
	}
	if c.HTTP01 != nil {
		w.HTTP01 = &manager.HTTP01{Webroot: c.HTTP01.Webroot, Listen: c.HTTP01.Listen}
	}
	return w
}

// site is a configuration that was read, and its provider.
type site struct {
	Config
	provider acme.Provider
	external *manager.ExternalAccount
	lego     func() (acme.Provider, error) // makes the provider, when it is one of lego's
	embedded *Embedded                     // when that is the provider
}

// read reads a configuration file, and makes the provider.
func read(file string, diagnostics io.Writer) (*site, error) {
	s, err := parse(file, diagnostics)
	if err != nil {
		return nil, err
	}
	return s, s.create()
}

// parse reads a configuration file, says which when none was named, and reports
// all that is wrong with it.
func parse(file string, diagnostics io.Writer) (*site, error) {
	name, data, err := cli.ConfigFile("certd", file, defaultConfig)
	if err != nil {
		return nil, err
	}
	if file == "" {
		fmt.Fprintf(diagnostics, "certd: reading %s\n", name)
	}
	s := &site{}
	d, err := strictyaml.Decode(name, data, &s.Config)
	if err := errors.Join(err, s.check(d)); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return s, nil
}

// create makes a provider of lego's, which goes by the environment: not while
// there may be child processes, which would inherit that.
func (s *site) create() error {
	if s.lego == nil {
		return nil
	}
	var err error
	if s.provider, err = s.lego(); err != nil {
		return &cli.UsageError{Err: err}
	}
	return nil
}

// wanted returns the certificates for the manager.
func (s *site) wanted() []manager.Certificate {
	var wanted []manager.Certificate
	for _, c := range s.Certificates {
		wanted = append(wanted, c.wanted())
	}
	return wanted
}

func (s *site) check(d *strictyaml.Document) error {
	var errs []error
	seen := map[string]bool{}
	for i, c := range s.Certificates {
		path := fmt.Sprintf("certificates[%d]", i)
		if err := c.wanted().Check(); err != nil {
			errs = append(errs, d.Errorf(path, "%v", err))
		}
		id := c.wanted().ID()
		if seen[id] {
			errs = append(errs, d.Errorf(path, "a second certificate named %s", id))
		}
		seen[id] = true
	}
	var err error
	if s.external, err = s.Account.external(d); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.choose(d))...)
}

// choose makes the one provider that is configured.
func (s *site) choose(d *strictyaml.Document) error {
	p := s.Provider
	var chosen []string
	var err error
	if p.RFC2136 != nil {
		chosen = append(chosen, "rfc2136")
		s.provider, err = p.RFC2136.Provider(d, "provider.rfc2136")
	}
	if p.MythicBeasts != nil {
		chosen = append(chosen, "mythicbeasts")
		s.provider, err = p.MythicBeasts.Provider(d, "provider.mythicbeasts")
	}
	if p.Lego != nil {
		chosen = append(chosen, "lego")
		s.lego, err = p.Lego.provider(d, "provider.lego")
	}
	if p.Embedded != nil {
		chosen = append(chosen, "embedded")
		s.embedded = p.Embedded
	}
	if len(chosen) > 1 {
		return d.Errorf("provider", "want one, not %s", strings.Join(chosen, " and "))
	}
	if len(chosen) == 0 {
		s.embedded = &Embedded{}
	}
	return err
}

func (a Account) external(d *strictyaml.Document) (*manager.ExternalAccount, error) {
	if a.EABFile == "" {
		return nil, nil
	}
	text, err := cli.SecretOf(d.Name(), a.EABFile)
	if err != nil {
		return nil, d.Errorf("account.eab_file", "%v", err)
	}
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return nil, d.Errorf("account.eab_file", "want the key's identifier and its HMAC in the file, not %d words", len(fields))
	}
	return &manager.ExternalAccount{KeyID: fields[0], HMAC: acme.Secret(fields[1])}, nil
}

// zones returns those that the embedded responder serves for certificates.
func (e *Embedded) zones(certificates []manager.Certificate) []string {
	if e.Zone != "" {
		return []string{e.Zone}
	}
	var zones []string
	seen := map[string]bool{}
	for _, c := range certificates {
		for _, name := range c.Names {
			zone := "_acme-challenge." + strings.TrimPrefix(name, "*.")
			if !seen[zone] && c.HTTP01 == nil {
				zones = append(zones, zone)
			}
			seen[zone] = true
		}
	}
	return zones
}

// defaultState is where state is kept.
var defaultState = filepath.Join("/var/lib/berryrack", "certd")
