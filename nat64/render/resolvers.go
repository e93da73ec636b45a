package render

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/nat64"
)

// Unbound is unbound's DNS64, and its own way to IPv4-only name servers.
type Unbound struct {
	Version Version // zero: 1.17.1
	// Table has one prefix and no ranges.
	Table *nat64.Table
	// IgnoreAAAA are names whose AAAA records are not believed.
	IgnoreAAAA []string
	// Validate keeps DNSSEC validation on.
	Validate bool
	// ReachIPv4 lets unbound itself reach name servers through the NAT64. It needs version 1.18.
	ReachIPv4 bool
}

// Render returns a server clause of unbound.conf.
func (c Unbound) Render() (string, error) {
	version := c.Version.or(1, 17, 1)
	p := problems{program: "unbound " + version.String()}
	prefix := p.onlyPrefix(c.Table)
	if c.ReachIPv4 && version.before(1, 18, 0) {
		p.add("it cannot use a NAT64 itself: do-nat64 needs 1.18")
	}
	modules := "dns64 iterator"
	if c.Validate {
		modules = "dns64 validator iterator"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "server:\n    module-config: %q\n    dns64-prefix: %v\n", modules, prefix)
	for _, name := range c.IgnoreAAAA {
		if !isName(name) {
			p.add("%q is not a DNS name", name)
		}
		fmt.Fprintf(&b, "    dns64-ignore-aaaa: %q\n", name)
	}
	if c.ReachIPv4 {
		fmt.Fprintf(&b, "    do-nat64: yes\n    nat64-prefix: %v\n", prefix)
	}
	return result(b.String(), &p)
}

// BIND is named's DNS64. It can do all that a table can.
type BIND struct {
	Version Version // zero: 9.18.0
	// Table has any number of ranges.
	Table *nat64.Table
	// Clients are who gets synthesized answers. Nil: any.
	Clients []netip.Prefix
	// Exclude are AAAA records that are as good as none. Nil: ::ffff:0:0/96, as named has it.
	Exclude []netip.Prefix
	// BreakDNSSEC synthesizes also where that makes answers bogus for validating clients.
	BreakDNSSEC bool
}

// Render returns statements for named.conf's options or a view.
func (c BIND) Render() (string, error) {
	version := c.Version.or(9, 18, 0)
	p := problems{program: "BIND " + version.String()}
	if version.before(9, 8, 0) {
		p.add("dns64 needs 9.8")
	}
	prefixes := c.Table.Prefixes()
	if len(prefixes) == 0 {
		p.add("no prefix is given")
	}
	var b strings.Builder
	for _, prefix := range prefixes {
		fmt.Fprintf(&b, "dns64 %v {\n", prefix)
		if c.Clients != nil {
			fmt.Fprintf(&b, "    clients {%s };\n", list(c.Clients))
		}
		if mapped := c.mapped(prefix); mapped != "" {
			fmt.Fprintf(&b, "    mapped {%s };\n", mapped)
		}
		if c.Exclude != nil {
			fmt.Fprintf(&b, "    exclude {%s };\n", list(c.Exclude))
		}
		if c.BreakDNSSEC {
			b.WriteString("    break-dnssec yes;\n")
		}
		b.WriteString("};\n")
	}
	return result(b.String(), &p)
}

// mapped returns the address match list of the IPv4 addresses that the prefix
// carries, the longest range first, as the first match decides; "" for all.
func (c BIND) mapped(prefix nat64.Prefix) string {
	rules := c.Table.Rules()
	if len(rules) == 1 && rules[0].IPv4.Bits() == 0 {
		return ""
	}
	var b strings.Builder
	for _, rule := range rules {
		negation := "!"
		if rule.Prefix == prefix {
			negation = ""
		}
		fmt.Fprintf(&b, " %s%v;", negation, rule.IPv4)
	}
	return b.String()
}

func list(ranges []netip.Prefix) string {
	if len(ranges) == 0 {
		return " none;"
	}
	var b strings.Builder
	for _, r := range ranges {
		fmt.Fprintf(&b, " %v;", r)
	}
	return b.String()
}

// isName reports whether a name can stand in a configuration without harm.
func isName(name string) bool {
	return name != "" && len(name) < 255 && !slices.Contains(strings.Split(strings.TrimSuffix(name, "."), "."), "") &&
		strings.IndexFunc(name, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}) < 0
}
