package certd

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-acme/lego/v4/challenge"
	"github.com/go-acme/lego/v4/providers/dns/cloudflare"
	"github.com/go-acme/lego/v4/providers/dns/digitalocean"
	"github.com/go-acme/lego/v4/providers/dns/duckdns"
	"github.com/go-acme/lego/v4/providers/dns/exec"
	"github.com/go-acme/lego/v4/providers/dns/gandiv5"
	"github.com/go-acme/lego/v4/providers/dns/hetzner"
	"github.com/go-acme/lego/v4/providers/dns/httpreq"
	"github.com/go-acme/lego/v4/providers/dns/hurricane"
	"github.com/go-acme/lego/v4/providers/dns/netcup"
	"github.com/go-acme/lego/v4/providers/dns/njalla"
	"github.com/go-acme/lego/v4/providers/dns/pdns"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/legodns"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// Lego is one of lego's providers. EnvFile has the variables that lego's
// documentation names, one NAME=value a line.
type Lego struct {
	Name    string `yaml:"name"`
	EnvFile string `yaml:"env_file"`
}

// legoProviders are those that bring no further modules; "exec" and "httpreq"
// reach all others.
var legoProviders = map[string]func() (challenge.Provider, error){
	"cloudflare":   func() (challenge.Provider, error) { return cloudflare.NewDNSProvider() },
	"digitalocean": func() (challenge.Provider, error) { return digitalocean.NewDNSProvider() },
	"duckdns":      func() (challenge.Provider, error) { return duckdns.NewDNSProvider() },
	"exec":         func() (challenge.Provider, error) { return exec.NewDNSProvider() },
	"gandiv5":      func() (challenge.Provider, error) { return gandiv5.NewDNSProvider() },
	"hetzner":      func() (challenge.Provider, error) { return hetzner.NewDNSProvider() },
	"httpreq":      func() (challenge.Provider, error) { return httpreq.NewDNSProvider() },
	"hurricane":    func() (challenge.Provider, error) { return hurricane.NewDNSProvider() },
	"netcup":       func() (challenge.Provider, error) { return netcup.NewDNSProvider() },
	"njalla":       func() (challenge.Provider, error) { return njalla.NewDNSProvider() },
	"pdns":         func() (challenge.Provider, error) { return pdns.NewDNSProvider() },
}

// provider checks what can be checked, and returns what makes the provider. lego
// reads the environment: it has the variables for as long as that takes.
func (l *Lego) provider(d *strictyaml.Document, path string) (func() (acme.Provider, error), error) {
	create := legoProviders[l.Name]
	if create == nil {
		return nil, d.Errorf(path+".name", "%q is none of %s", l.Name, strings.Join(slices.Sorted(maps.Keys(legoProviders)), ", "))
	}
	variables := map[string]string{}
	if l.EnvFile != "" {
		text, err := cli.SecretOf(d.Name(), l.EnvFile)
		if err == nil {
			variables, err = readVariables(text)
		}
		if err != nil {
			return nil, d.Errorf(path+".env_file", "%v", err)
		}
	}
	return func() (acme.Provider, error) {
		defer setVariables(variables)()
		provider, err := create()
		if err != nil {
			return nil, d.Errorf(path, "%v", err)
		}
		return &legodns.Provider{DNS: provider}, nil
	}, nil
}

// readVariables reads one NAME=value a line.
func readVariables(text string) (map[string]string, error) {
	variables := map[string]string{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("line %d: want NAME=value", n)
		}
		variables[name] = value
	}
	return variables, nil
}

// setVariables sets variables until restore is called.
func setVariables(variables map[string]string) (restore func()) {
	var undo []func()
	for name, value := range variables {
		before, had := os.LookupEnv(name)
		os.Setenv(name, value)
		undo = append(undo, func() {
			os.Unsetenv(name)
			if had {
				os.Setenv(name, before)
			}
		})
	}
	return func() {
		for _, u := range undo {
			u()
		}
	}
}
