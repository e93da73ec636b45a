package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/nat64"
)

// A Config says what a [Frontend] serves and to whom it may connect.
type Config struct {
	// Listen is where clients come in. Only ListenAndServe reads it.
	Listen Listen
	// Allow is where backends may be. It must hold all of them.
	Allow []netip.Prefix
	// Sites are what is served. A name is in one of them only.
	Sites []Site
	// SourcePrefix carries the clients' addresses of sites with [SourceAddress]. It is not the
	// Well-Known Prefix, which carries global addresses only.
	SourcePrefix nat64.Prefix
	// Limits bound what clients can take.
	Limits Limits
}

// Listen is where clients come in: addresses with ports, such as "0.0.0.0:443"
// and "[::]:443", which is IPv6 only.
type Listen struct {
	TLS, HTTP []string // by what clients speak
}

// A Site is a group of names that the same backends serve.
type Site struct {
	// Names are DNS names; "*.example.org" is every name below example.org
	// without an entry of its own, and "*" every name, or none.
	Names []string
	// Backends are IPv6 addresses.
	Backends []netip.Addr
	// Ports are the backends'.
	Ports Ports
	// Proxy is how they learn who the client is.
	Proxy Proxy
	// Health is how they are watched.
	Health Health
}

// Ports are the backends' ports. 0: 443 for TLS, 80 for HTTP.
type Ports struct {
	TLS, HTTP uint16 // by what clients speak
}

// Proxy is how a backend learns who the client is.
type Proxy string

const (
	NoProxy       Proxy = ""       // it does not, but for X-Forwarded-For over HTTP
	ProxyV2       Proxy = "v2"     // by the PROXY protocol, version 2
	SourceAddress Proxy = "source" // by an IPv6 source address that embeds the client's IPv4 address
)

// Health is how backends are watched.
type Health struct {
	// TCP says to connect to each backend's TLS port, or to its HTTP port where nothing listens
	// for TLS clients. Without it only the clients' connections tell which backends are up.
	TCP bool
	// Interval is between two connects. 0: 2 s.
	Interval time.Duration
}

// Limits bound what clients can take. Zero fields have the defaults.
type Limits struct {
	// Connections is how many clients are served at once. 0: 16384.
	Connections int
	// PerClient is how many of them an IPv4 address or an IPv6 /64 has. 0: 1024.
	PerClient int
	// Hello is how long a client may take for its ClientHello or its HTTP header. 0: 5 s.
	Hello time.Duration
	// HelloSize is how long those may be, in octets. 0: 16384.
	HelloSize int
	// Connect is how long each backend may take to accept. 0: 3 s.
	Connect time.Duration
	// Idle is after what time without an octet a connection is closed. 0: 30 min, and 1 min between two HTTP requests.
	Idle time.Duration
	// Drain is how long connections may go on when the frontend ends. 0: 30 s.
	Drain time.Duration
}

func (l Limits) withDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 16384)
	l.PerClient = cmp.Or(l.PerClient, 1024)
	l.Hello = cmp.Or(l.Hello, 5*time.Second)
	l.HelloSize = cmp.Or(l.HelloSize, 16384)
	l.Connect = cmp.Or(l.Connect, 3*time.Second)
	l.Idle = cmp.Or(l.Idle, 30*time.Minute)
	l.Drain = cmp.Or(l.Drain, 30*time.Second)
	return l
}

// A ConfigError is one thing that is wrong with a [Config].
type ConfigError struct {
	Path   string // such as sites[1].backends[0], in the words of frontend.yaml
	Reason string // what is wrong there
}

// Error says where and what.
func (e *ConfigError) Error() string { return "frontend: " + e.Path + ": " + e.Reason }

// Validate returns all that is wrong with c: [*ConfigError]s, joined.
func (c *Config) Validate() error {
	var errs []error
	add := func(path, format string, args ...any) {
		errs = append(errs, &ConfigError{path, fmt.Sprintf(format, args...)})
	}
	if len(c.Allow) == 0 {
		add("allow_backends", "is empty: name the networks that backends may be in")
	}
	owner := map[string]int{}
	for i := range c.Sites {
		c.validateSite(&c.Sites[i], fmt.Sprintf("sites[%d]", i), add)
		for j, name := range c.Sites[i].Names {
			if other, taken := owner[canonical(name)]; taken {
				add(fmt.Sprintf("sites[%d].names[%d]", i, j), "%s belongs to sites[%d] already", name, other)
			}
			owner[canonical(name)] = i
		}
	}
	for _, limit := range []struct {
		path  string
		value int64
	}{
		{"connections", int64(c.Limits.Connections)}, {"per_client", int64(c.Limits.PerClient)}, {"hello", int64(c.Limits.Hello)},
		{"hello_size", int64(c.Limits.HelloSize)}, {"connect", int64(c.Limits.Connect)}, {"idle", int64(c.Limits.Idle)}, {"drain", int64(c.Limits.Drain)},
	} {
		if limit.value < 0 {
			add("limits."+limit.path, "is negative")
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateSite(s *Site, path string, add func(path, format string, args ...any)) {
	if len(s.Names) == 0 {
		add(path+".names", "is empty")
	}
	for i, name := range s.Names {
		if !isPattern(canonical(name)) {
			add(fmt.Sprintf("%s.names[%d]", path, i), "%q is not a DNS name, nor *.NAME, nor *", name)
		}
	}
	if len(s.Backends) == 0 {
		add(path+".backends", "is empty")
	}
	for i, backend := range s.Backends {
		at := fmt.Sprintf("%s.backends[%d]", path, i)
		switch {
		case !backend.Is6() || backend.Is4In6():
			add(at, "%v is not an IPv6 address", backend)
		case backend.Zone() != "" || backend.IsMulticast() || backend.IsUnspecified():
			add(at, "%v is not a unicast address without a zone", backend)
		case !slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(backend) }):
			add(at, "%v is not in allow_backends", backend)
		case slices.Contains(s.Backends[:i], backend):
			add(at, "%v is there twice", backend)
		}
	}
	switch s.Proxy {
	case NoProxy, ProxyV2:
	case SourceAddress:
		switch {
		case !c.SourcePrefix.IsValid():
			add(path+".proxy", "source wants a source_prefix")
		case c.SourcePrefix.IsWellKnown():
			add("source_prefix", "%v carries no private addresses, which clients may have: use a prefix of your own", c.SourcePrefix)
		}
	default:
		add(path+".proxy", "%q is not none, v2 or source", s.Proxy)
	}
	if s.Health.Interval < 0 {
		add(path+".health.interval", "is negative")
	}
}

// canonical returns a name as it is looked up.
func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// isPattern reports whether a canonical name may stand in a configuration.
func isPattern(name string) bool {
	return name == "*" || isHostName(strings.TrimPrefix(name, "*."))
}

// isHostName reports whether name can be a host's. Underscores are in use.
func isHostName(name string) bool {
	if len(name) == 0 || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
