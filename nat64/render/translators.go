package render

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"github.com/berryrack/berryrack/nat64"
)

// TAYGA is a stateless translator; a masquerading firewall behind it makes a
// NAT64 of it: `nft add rule ip nat postrouting oifname eth0 masquerade`.
type TAYGA struct {
	Version Version // zero: 0.9.2
	// Table has one prefix and no ranges.
	Table *nat64.Table
	// Device is its tun device. Empty: nat64.
	Device string
	// Pool is where IPv6 clients get IPv4 addresses from, for the way to the firewall, with the
	// second address for TAYGA itself. Zero: 192.168.255.0/24.
	Pool netip.Prefix
	// IPv6 is TAYGA's own IPv6 address. Zero is what TAYGA makes of its IPv4 address, which it
	// cannot with the Well-Known Prefix and a private pool.
	IPv6 netip.Addr
	// DataDir is where it remembers which client has which address. Empty: /var/spool/tayga.
	DataDir string
	// CarryPrivate lets the Well-Known Prefix carry private addresses, against RFC 6052, section
	// 3.1. It needs version 0.9.4 or later: older ones always drop them.
	CarryPrivate bool
}

// Render returns tayga.conf.
func (c TAYGA) Render() (string, error) {
	version := c.Version.or(0, 9, 2)
	p := problems{program: "TAYGA " + version.String()}
	prefix := p.onlyPrefix(c.Table)
	pool := c.Pool
	if !pool.IsValid() {
		pool = netip.MustParsePrefix("192.168.255.0/24")
	}
	if !pool.Addr().Is4() || pool != pool.Masked() || pool.Bits() > 29 {
		p.add("%v is not an IPv4 pool of 8 addresses or more", pool)
	}
	own := pool.Addr().Next()
	if prefix.IsWellKnown() && !c.IPv6.IsValid() {
		if _, err := prefix.Synthesize(own); err != nil {
			p.add("with %v and the private address %v it needs an IPv6 address of its own", prefix, own)
		}
	}
	if c.IPv6.IsValid() && (!c.IPv6.Is6() || prefix.IsValid() && prefix.Prefix().Contains(c.IPv6)) {
		p.add("its IPv6 address %v must be outside of %v", c.IPv6, prefix)
	}
	switch {
	case !c.CarryPrivate:
	case version.before(0, 9, 4):
		p.add("it cannot carry private addresses in the Well-Known Prefix: that needs 0.9.4 (wkpf-strict)")
	case !prefix.IsWellKnown():
		p.add("only the Well-Known Prefix is kept from private addresses: leave CarryPrivate out")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "tun-device %s\nipv4-addr %v\n", cmp.Or(c.Device, "nat64"), own)
	if c.IPv6.IsValid() {
		fmt.Fprintf(&b, "ipv6-addr %v\n", c.IPv6)
	}
	fmt.Fprintf(&b, "prefix %v\ndynamic-pool %v\ndata-dir %s\n", prefix, pool, cmp.Or(c.DataDir, "/var/spool/tayga"))
	if c.CarryPrivate {
		b.WriteString("wkpf-strict no\n")
	}
	return result(b.String(), &p)
}

// Jool is a stateful NAT64 in the kernel (RFC 6146). The text is for `jool file handle`.
type Jool struct {
	Version Version // zero: 4.1.9
	// Table has one prefix and no ranges.
	Table *nat64.Table
	// Instance is its name. Empty: default.
	Instance string
	// Pool4 is which IPv4 addresses it masquerades as. Nil: those of the machine, with ports from 61001.
	Pool4 []netip.Prefix
}

// joolFile is what Jool 4 reads.
type joolFile struct {
	Instance  string      `json:"instance"`
	Framework string      `json:"framework"`
	Global    joolGlobal  `json:"global"`
	Pool4     []joolPool4 `json:"pool4,omitempty"`
}

type joolGlobal struct {
	Pool6 string `json:"pool6"`
}

type joolPool4 struct {
	Protocol string `json:"protocol"`
	Prefix   string `json:"prefix"`
}

// Render returns a JSON document.
func (c Jool) Render() (string, error) {
	version := c.Version.or(4, 1, 9)
	p := problems{program: "Jool " + version.String()}
	if version.before(4, 0, 0) {
		p.add("files like this need version 4")
	}
	file := joolFile{cmp.Or(c.Instance, "default"), "netfilter", joolGlobal{p.onlyPrefix(c.Table).String()}, nil}
	if len(file.Instance) > 15 {
		p.add("the instance's name %q is longer than 15 octets", file.Instance)
	}
	for _, pool := range c.Pool4 {
		if !pool.IsValid() || !pool.Addr().Is4() || pool != pool.Masked() {
			p.add("%v is not an IPv4 pool", pool)
			continue
		}
		for _, protocol := range []string{"TCP", "UDP", "ICMP"} {
			file.Pool4 = append(file.Pool4, joolPool4{protocol, pool.String()})
		}
	}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return "", err
	}
	return result(string(text)+"\n", &p)
}

// result returns the text unless there are problems.
func result(text string, p *problems) (string, error) {
	if err := p.err(); err != nil {
		return "", err
	}
	return text, nil
}
