package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/berryrack/berryrack/nat64"
)

// radvdMaxInterval is radvd's MaxRtrAdvInterval if nothing else is set.
const radvdMaxInterval = 600 * time.Second

// Radvd announces prefixes in Router Advertisements (RFC 8781).
type Radvd struct {
	// Version must be 2.20 or later. Zero is Debian 12's 2.19, which cannot announce prefixes.
	Version Version
	// Interface is where.
	Interface string
	// Prefixes are announced in this order.
	Prefixes []nat64.Prefix
	// Lifetime of the prefixes: whole seconds, not below MaxInterval. 0: 3 times that (RFC 8781, section 4.1).
	Lifetime time.Duration
	// MaxInterval is MaxRtrAdvInterval. 0: 600 s.
	MaxInterval time.Duration
}

// Render returns an interface block of radvd.conf.
func (c Radvd) Render() (string, error) {
	version := c.Version.or(2, 19, 0)
	p := problems{program: "radvd " + version.String()}
	if version.before(2, 20, 0) {
		p.add("it cannot announce NAT64 prefixes: nat64prefix needs 2.20")
	}
	if c.Interface == "" || strings.ContainsAny(c.Interface, " \t\n{};\"") {
		p.add("%q is not an interface", c.Interface)
	}
	if len(c.Prefixes) == 0 {
		p.add("no prefix is given")
	}
	interval, lifetime := c.MaxInterval, c.Lifetime
	if interval == 0 {
		interval = radvdMaxInterval
	}
	if lifetime == 0 {
		lifetime = min(3*interval, nat64.MaxPREF64Lifetime)
	}
	if interval < 4*time.Second || interval > 1800*time.Second || interval%time.Second != 0 {
		p.add("MaxRtrAdvInterval %v is not between 4 s and 1800 s (RFC 4861, section 6.2.1)", interval)
	}
	if lifetime < interval || lifetime > nat64.MaxPREF64Lifetime || lifetime%time.Second != 0 {
		p.add("lifetime %v is not between MaxRtrAdvInterval %v and %v", lifetime, interval, nat64.MaxPREF64Lifetime)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "interface %s\n{\n    AdvSendAdvert on;\n    MaxRtrAdvInterval %d;\n", c.Interface, int(interval.Seconds()))
	for _, prefix := range c.Prefixes {
		if !prefix.IsValid() {
			p.add("a prefix is not valid")
		}
		fmt.Fprintf(&b, "    nat64prefix %v\n    {\n        AdvValidLifetime %d;\n    };\n", prefix, int(lifetime.Seconds()))
	}
	b.WriteString("};\n")
	return result(b.String(), &p)
}
