package nat64

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// A Rule says which prefix a range of IPv4 addresses is embedded in.
type Rule struct {
	// IPv4 is the range, and 0.0.0.0/0 for all addresses without a rule of their own.
	IPv4 netip.Prefix
	// Prefix carries the range. Zero excludes it: its addresses are not synthesized.
	Prefix Prefix
}

// A Table maps ranges of IPv4 addresses to prefixes: the longest range that
// holds an address decides (RFC 6147, section 5.2, wants prefixes for ranges).
// It does not change, and is safe for concurrent use. The zero Table and nil
// know no prefix.
type Table struct {
	rules []Rule // longest range first
	only  Prefix // set when one rule holds all addresses
}

// NewTable returns a table of the rules, or all that is wrong with them.
func NewTable(rules ...Rule) (*Table, error) {
	var errs []error
	seen := map[netip.Prefix]bool{}
	for _, rule := range rules {
		switch r := rule.IPv4; {
		case !r.IsValid() || !r.Addr().Is4():
			errs = append(errs, fmt.Errorf("nat64: %v is not an IPv4 range such as 192.0.2.0/24", r))
		case r != r.Masked():
			errs = append(errs, fmt.Errorf("nat64: %v has bits set behind its length: is it %v?", r, r.Masked()))
		case seen[r]:
			errs = append(errs, fmt.Errorf("nat64: %v has two rules", r))
		}
		seen[rule.IPv4] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t := &Table{rules: slices.Clone(rules)}
	slices.SortStableFunc(t.rules, func(a, b Rule) int { return b.IPv4.Bits() - a.IPv4.Bits() })
	if len(rules) == 1 && rules[0].IPv4.Bits() == 0 {
		t.only = rules[0].Prefix
	}
	return t, nil
}

// TableOf returns the table that embeds all IPv4 addresses in p.
func TableOf(p Prefix) *Table {
	return &Table{rules: []Rule{{IPv4: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Prefix: p}}, only: p}
}

// Lookup returns the prefix that carries ipv4. It is not valid when the table
// has no rule for ipv4 or excludes it.
func (t *Table) Lookup(ipv4 netip.Addr) Prefix {
	if t == nil {
		return Prefix{}
	}
	if t.only.IsValid() {
		return t.only
	}
	for _, rule := range t.rules {
		if rule.IPv4.Contains(ipv4) {
			return rule.Prefix
		}
	}
	return Prefix{}
}

// Synthesize is [Prefix.Synthesize] with the prefix that carries ipv4, and
// fails with [ErrNoPrefix] when none does.
func (t *Table) Synthesize(ipv4 netip.Addr) (netip.Addr, error) {
	ipv4 = ipv4.Unmap()
	return t.Lookup(ipv4).Synthesize(ipv4)
}

// Extract returns the IPv4 address that ipv6 carries, when ipv6 is what
// [Table.Synthesize] makes of it, the suffix aside.
func (t *Table) Extract(ipv6 netip.Addr) (netip.Addr, bool) {
	if t == nil {
		return netip.Addr{}, false
	}
	for _, rule := range t.rules {
		ipv4, ok := rule.Prefix.Extract(ipv6)
		if ok && rule.IPv4.Contains(ipv4) && t.Lookup(ipv4) == rule.Prefix {
			return ipv4, true
		}
	}
	return netip.Addr{}, false
}

// Prefixes returns each prefix of the table once, that of the widest range first.
func (t *Table) Prefixes() []Prefix {
	var prefixes []Prefix
	if t == nil {
		return nil
	}
	for _, rule := range slices.Backward(t.rules) {
		if rule.Prefix.IsValid() && !slices.Contains(prefixes, rule.Prefix) {
			prefixes = append(prefixes, rule.Prefix)
		}
	}
	return prefixes
}

// Rules returns the rules, the longest range first.
func (t *Table) Rules() []Rule {
	if t == nil {
		return nil
	}
	return slices.Clone(t.rules)
}
