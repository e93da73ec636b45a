package nat64ctl

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/frontend"
)

// Frontend is the frontend.yaml that is used without one: a site of this
// machine, on ports that need no privilege.
//
//go:embed frontend.yaml
var Frontend []byte

// file is frontend.yaml.
type file struct {
	Listen struct {
		TLS  []string `yaml:"tls"`
		HTTP []string `yaml:"http"`
	} `yaml:"listen"`
	AllowBackends []netip.Prefix `yaml:"allow_backends"`
	SourcePrefix  nat64.Prefix   `yaml:"source_prefix"`
	Limits        struct {
		Connections int           `yaml:"connections"`
		PerClient   int           `yaml:"per_client"`
		Hello       time.Duration `yaml:"hello"`
		HelloSize   int           `yaml:"hello_size"`
		Connect     time.Duration `yaml:"connect"`
		Idle        time.Duration `yaml:"idle"`
		Drain       time.Duration `yaml:"drain"`
	} `yaml:"limits"`
	Sites []fileSite `yaml:"sites"`
}

type fileSite struct {
	Names    []string  `yaml:"names"`
	Backends []backend `yaml:"backends"`
	Ports    struct {
		TLS  uint16 `yaml:"tls"`
		HTTP uint16 `yaml:"http"`
	} `yaml:"ports"`
	Proxy  string `yaml:"proxy"`
	Health struct {
		TCP      bool          `yaml:"tcp"`
		Interval time.Duration `yaml:"interval"`
	} `yaml:"health"`
}

// A backend is an IPv6 address, in brackets or not.
type backend netip.Addr

func (b *backend) UnmarshalText(text []byte) error {
	inner := string(text)
	if strings.HasPrefix(inner, "[") && strings.HasSuffix(inner, "]") {
		inner = inner[1 : len(inner)-1]
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil {
		return fmt.Errorf("%q is not an address such as \"[2001:db8::1]\" (ports have a key of their own)", text)
	}
	*b = backend(addr)
	return nil
}

// ReadFrontend reads a frontend.yaml, or returns all that is wrong with it.
func ReadFrontend(name string, data []byte) (frontend.Config, error) {
	var f file
	doc, _ := strictyaml.Decode(name, data, &f) // its errors are part of Err
	config := f.config()
	for i, addrs := range [][]string{f.Listen.TLS, f.Listen.HTTP} {
		for j, addr := range addrs {
			if _, err := netip.ParseAddrPort(addr); err != nil {
				doc.Problem(fmt.Sprintf("listen.%s[%d]", [...]string{"tls", "http"}[i], j), "%q is not an address with a port, such as \"[::]:443\"", addr)
			}
		}
	}
	if len(f.Listen.TLS)+len(f.Listen.HTTP) == 0 {
		doc.Problem("listen", "nowhere to listen")
	}
	for _, problem := range problems(config.Validate()) {
		doc.Problem(problem.Path, "%s", problem.Reason)
	}
	return config, doc.Err()
}

// problems takes joined errors apart.
func problems(err error) (all []*frontend.ConfigError) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, one := range joined.Unwrap() {
		var problem *frontend.ConfigError
		if errors.As(one, &problem) {
			all = append(all, problem)
		}
	}
	return all
}

func (f *file) config() frontend.Config {
	c := frontend.Config{
		Listen:       frontend.Listen(f.Listen),
		Allow:        f.AllowBackends,
		SourcePrefix: f.SourcePrefix,
		Limits:       frontend.Limits(f.Limits),
	}
	for _, s := range f.Sites {
		site := frontend.Site{Names: s.Names, Ports: frontend.Ports(s.Ports), Proxy: frontend.Proxy(s.Proxy), Health: frontend.Health(s.Health)}
		if s.Proxy == "none" {
			site.Proxy = frontend.NoProxy
		}
		for _, b := range s.Backends {
			site.Backends = append(site.Backends, netip.Addr(b))
		}
		c.Sites = append(c.Sites, site)
	}
	return c
}
