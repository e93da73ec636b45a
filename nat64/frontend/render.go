package frontend

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// YAML returns c as nat64ctl's frontend.yaml, without what has its default.
func (c Config) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {tls: [%s], http: [%s]}\n", quoted(c.Listen.TLS), quoted(c.Listen.HTTP))
	fmt.Fprintf(&b, "allow_backends: [%s]\n", quotedText(c.Allow))
	if c.SourcePrefix.IsValid() {
		fmt.Fprintf(&b, "source_prefix: %q\n", c.SourcePrefix)
	}
	if limits := c.Limits.fields(); len(limits) > 0 {
		fmt.Fprintf(&b, "limits: {%s}\n", strings.Join(limits, ", "))
	}
	if len(c.Sites) == 0 {
		b.WriteString("sites: []\n")
		return b.String()
	}
	b.WriteString("sites:\n")
	for i := range c.Sites {
		c.Sites[i].yaml(&b)
	}
	return b.String()
}

func (s *Site) yaml(b *strings.Builder) {
	fmt.Fprintf(b, "  - names: [%s]\n", quoted(s.Names))
	b.WriteString("    backends:\n")
	for _, backend := range s.Backends {
		fmt.Fprintf(b, "      - \"[%v]\"\n", backend)
	}
	fmt.Fprintf(b, "    ports: {tls: %d, http: %d}\n", s.port(kindTLS), s.port(kindHTTP))
	proxy := s.Proxy
	if proxy == NoProxy {
		proxy = "none"
	}
	fmt.Fprintf(b, "    proxy: %s\n", proxy)
	fmt.Fprintf(b, "    health: {tcp: %t, interval: %v}\n", s.Health.TCP, cmp.Or(s.Health.Interval, defaultInterval))
}

// fields returns the limits that are set.
func (l Limits) fields() []string {
	var fields []string
	for _, n := range []struct {
		key   string
		value int
	}{{"connections", l.Connections}, {"per_client", l.PerClient}, {"hello_size", l.HelloSize}} {
		if n.value != 0 {
			fields = append(fields, n.key+": "+strconv.Itoa(n.value))
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"hello", l.Hello}, {"connect", l.Connect}, {"idle", l.Idle}, {"drain", l.Drain}} {
		if d.value != 0 {
			fields = append(fields, d.key+": "+d.value.String())
		}
	}
	return fields
}

func quoted(values []string) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = strconv.Quote(value)
	}
	return strings.Join(words, ", ")
}

func quotedText(prefixes []netip.Prefix) string {
	words := make([]string, len(prefixes))
	for i, p := range prefixes {
		words[i] = p.String()
	}
	return quoted(words)
}

// Nginx returns the site's backends as upstream blocks of nginx, one for each
// kind of client: NAME_tls for a stream server and NAME_http for an http one,
// where NAME is the site's first. nginx spells health checks otherwise (by
// max_fails, on what clients see), and PROXY in its server blocks.
func (s Site) Nginx() string {
	var b strings.Builder
	for _, k := range kinds() {
		fmt.Fprintf(&b, "upstream %s_%s {\n    least_conn;\n", s.label(), k.name)
		for _, backend := range s.Backends {
			fmt.Fprintf(&b, "    server %s;\n", netip.AddrPortFrom(backend, s.port(k.kind)))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// HAProxy returns the site's backends as backend sections of HAProxy, one for
// each kind of client: NAME_tls in mode tcp and NAME_http in mode http. HAProxy
// cannot embed clients' addresses in source addresses: with [SourceAddress] the
// backends see HAProxy's.
func (s Site) HAProxy() string {
	var b strings.Builder
	for _, k := range kinds() {
		fmt.Fprintf(&b, "backend %s_%s\n    mode %s\n    balance leastconn\n", s.label(), k.name, k.haproxy)
		if k.kind == kindHTTP && s.Proxy == NoProxy {
			b.WriteString("    option forwardfor\n")
		}
		for i, backend := range s.Backends {
			fmt.Fprintf(&b, "    server s%d %s%s\n", i+1, netip.AddrPortFrom(backend, s.port(k.kind)), s.haproxyOptions())
		}
	}
	return b.String()
}

func (s *Site) haproxyOptions() string {
	var options string
	if s.Health.TCP {
		options = fmt.Sprintf(" check inter %dms", cmp.Or(s.Health.Interval, defaultInterval).Milliseconds())
	}
	if s.Proxy == ProxyV2 {
		options += " send-proxy-v2"
	}
	return options
}

type kindName struct {
	kind          kind
	name, haproxy string
}

func kinds() [2]kindName {
	return [2]kindName{{kindTLS, "tls", "tcp"}, {kindHTTP, "http", "http"}}
}

// label returns the site's first name as an identifier.
func (s *Site) label() string {
	name := "site"
	if len(s.Names) > 0 {
		name = canonical(s.Names[0])
	}
	switch {
	case name == "*":
		return "any"
	case strings.HasPrefix(name, "*."):
		return "any" + name[1:]
	}
	return name
}
