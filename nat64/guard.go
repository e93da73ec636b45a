package nat64

import (
	"fmt"
	"net/netip"
	"syscall"
)

// An Embedding is a way in which an IPv6 address carries an IPv4 address.
type Embedding string

// The embeddings that a [Guard] sees through.
const (
	Translated  Embedding = "RFC 6052"        // a prefix of the operator's, or the Well-Known one
	LocalUse    Embedding = "RFC 8215"        // 64:ff9b:1::/48, in each layout that it can have
	Mapped      Embedding = "IPv4-mapped"     // ::ffff:0:0/96
	Compatible  Embedding = "IPv4-compatible" // ::/96
	SIIT        Embedding = "IPv4-translated" // ::ffff:0:0:0/96, RFC 2765
	SixToFour   Embedding = "6to4"            // 2002::/16
	TeredoHost  Embedding = "Teredo client"   // 2001::/32
	TeredoRelay Embedding = "Teredo server"   // 2001::/32
	ISATAP      Embedding = "ISATAP"          // the interface identifiers of RFC 5214
)

// An Embedded is an IPv4 address that an IPv6 address carries or may carry.
type Embedded struct {
	IPv4 netip.Addr // the address
	By   Embedding  // how it is carried
}

// A Guard keeps a program that connects where others tell it to (a webhook, a
// feed reader, a proxy) away from what is not the public internet, as a server-
// side request forgery wants it to. It sees through every embedding of IPv4
// addresses in IPv6, in the operator's NAT64 prefixes too, and fails closed: an
// address with several readings passes only if each of them may be reached.
//
// The zero Guard is ready for use where no NAT64 prefix is, or the Well-Known
// one. Its fields must not change while it is in use. [Dialer] adds the
// prefixes that it knows to those of its Guard.
type Guard struct {
	// Prefixes are the NAT64 prefixes that hosts of this network can reach.
	Prefixes []Prefix
	// Allow are ranges that may be reached though they are not public. An address that carries an IPv4
	// address passes only if that one may be reached, too: in 64:ff9b:1::/48 and outside Prefixes, all
	// that its layouts can mean. IPv4-mapped ranges are IPv4 ranges.
	Allow []netip.Prefix
	// Deny are ranges that must not be reached though they are public. It wins over Allow. IPv4-mapped
	// ranges are IPv4 ranges.
	Deny []netip.Prefix
}

// A ForbiddenError says which address a [Guard] refused, and why.
type ForbiddenError struct {
	Addr     netip.Addr // what was to be reached
	Embedded Embedded   // the reading of Addr that is refused, zero for Addr itself
}

// Error says which address, and where it leads.
func (e *ForbiddenError) Error() string {
	if e.Embedded.By == "" {
		return fmt.Sprintf("nat64: %v is not a public address", e.Addr)
	}
	return fmt.Sprintf("nat64: %v leads to %v (%s), which is not a public address", e.Addr, e.Embedded.IPv4, e.Embedded.By)
}

// Check returns a [*ForbiddenError] unless addr may be reached.
func (g *Guard) Check(addr netip.Addr) error { return g.check(addr, nil) }

// Control is for net.Dialer: it refuses to connect to an address that
// [Guard.Check] forbids, after the name was resolved, so that no second answer
// of a name server can differ from the one that was checked.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	return g.control(network, address, nil)
}

func (g *Guard) control(network, address string, more []Prefix) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("nat64: guard: %s %q is not an address and port", network, address)
	}
	return g.check(ap.Addr(), more)
}

func (g *Guard) check(addr netip.Addr, more []Prefix) error {
	plain := addr.WithZone("")
	if !plain.IsValid() {
		return &ForbiddenError{Addr: addr}
	}
	readings, carrier := g.readings(plain, more)
	if !g.permits(plain, carrier) {
		return &ForbiddenError{Addr: addr}
	}
	for _, e := range readings {
		if !g.permits(e.IPv4, false) {
			return &ForbiddenError{Addr: addr, Embedded: e}
		}
	}
	return nil
}

// permits judges one address; carrier says that packets to it do not stay
// IPv6, so that only what it carries has to be public.
func (g *Guard) permits(addr netip.Addr, carrier bool) bool {
	if within(addr, g.Deny) {
		return false
	}
	if carrier || within(addr, g.Allow) {
		return true
	}
	if addr.Is4() {
		return isGlobal4(addr.As4())
	}
	return isGlobal6(addr.As16())
}

// within reports whether a range holds the address, however either is written.
func within(addr netip.Addr, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		if r.Contains(addr.Unmap()) || r.Addr().Is4In6() && r.Bits() >= 96 &&
			netip.PrefixFrom(r.Addr().Unmap(), r.Bits()-96).Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// Embedded returns the IPv4 addresses that packets to addr may end at,
// whatever octet 8 and the suffix are, and none when addr carries none.
func (g *Guard) Embedded(addr netip.Addr) []Embedded {
	readings, _ := g.readings(addr.WithZone(""), nil)
	return readings
}

// readings returns what addr may carry, and whether a translator or the
// kernel takes all packets to addr for IPv4.
func (g *Guard) readings(addr netip.Addr, more []Prefix) (readings []Embedded, carrier bool) {
	if !addr.Is6() {
		return nil, false
	}
	b := addr.As16()
	hi, lo := halves(addr)
	add := func(by Embedding, v4 [4]byte) {
		readings = append(readings, Embedded{netip.AddrFrom4(v4), by})
	}
	for _, prefixes := range [][]Prefix{g.Prefixes, more, {WellKnown()}} {
		for _, p := range prefixes {
			if p.IsValid() && p.contains(hi, lo) {
				add(Translated, embedded(hi, lo, p.n))
				carrier = true
			}
		}
	}
	switch {
	case addr.Is4In6():
		add(Mapped, [4]byte(b[12:]))
		return readings, true
	case carrier:
		return readings, true
	case isLocalUse(b): // any prefix in it of 48 bits or more may be in use
		for _, n := range [...]uint8{48, 56, 64, 96} {
			add(LocalUse, embedded(hi, lo, n))
		}
		return readings, true
	}
	addTunnels(b, add)
	return readings, false
}

func isLocalUse(b [16]byte) bool { // RFC 8215
	return [6]byte(b[:6]) == [6]byte{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}
}

// addTunnels adds what addresses of the transition mechanisms carry that are
// tunnels, or that were given up.
func addTunnels(b [16]byte, add func(Embedding, [4]byte)) {
	last := [4]byte(b[12:])
	switch {
	case [15]byte(b[:15]) == [15]byte{} && b[15] <= 1: // unspecified, loopback: carry nothing (RFC 4291, section 2.5.5.1)
	case [12]byte(b[:12]) == [12]byte{}:
		add(Compatible, last)
	case [12]byte(b[:12]) == [12]byte{8: 0xff, 9: 0xff}:
		add(SIIT, last)
	case b[0] == 0x20 && b[1] == 0x02: // RFC 3056, section 2
		add(SixToFour, [4]byte(b[2:6]))
	case [4]byte(b[:4]) == [4]byte{0x20, 0x01}: // RFC 4380, section 4
		add(TeredoRelay, [4]byte(b[4:8]))
		add(TeredoHost, [4]byte{^last[0], ^last[1], ^last[2], ^last[3]})
	}
	if b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe { // RFC 5214, section 6.1
		add(ISATAP, last)
	}
}
