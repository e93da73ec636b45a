package nat64

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

var (
	// ErrPrefixLength is returned for a prefix that RFC 6052 has no layout for.
	ErrPrefixLength = errors.New("nat64: the length of a NAT64 prefix is 32, 40, 48, 56, 64 or 96")
	// ErrReservedOctet is returned for a /96 whose bits 64 to 71 are not zero.
	ErrReservedOctet = errors.New("nat64: bits 64 to 71 of a NAT64 prefix must be zero")
	// ErrWellKnown is returned for a prefix that overlaps 64:ff9b::/96 without being it.
	ErrWellKnown = errors.New("nat64: the Well-Known Prefix is 64:ff9b::/96 and has no other length")
	// ErrNotIPv4 is returned for an address that is to be embedded and is not IPv4.
	ErrNotIPv4 = errors.New("nat64: not an IPv4 address")
	// ErrNotGlobal is returned for an address that the Well-Known Prefix must not carry.
	ErrNotGlobal = errors.New("nat64: the Well-Known Prefix carries global IPv4 addresses only; use a prefix of your own, or one in 64:ff9b:1::/48")
	// ErrNoPrefix is returned where no prefix is known or none applies.
	ErrNoPrefix = errors.New("nat64: no prefix")
)

// A Prefix is an IPv6 prefix that IPv4 addresses are embedded in, in the
// layout of RFC 6052, section 2.2. It is comparable and safe for concurrent
// use; its methods do not allocate. The zero Prefix is not valid.
type Prefix struct {
	hi, lo uint64 // the address, most significant half first
	n      uint8
}

// WellKnown returns 64:ff9b::/96, the prefix of RFC 6052, section 2.1. It
// carries only IPv4 addresses that are global (section 3.1).
func WellKnown() Prefix {
	return Prefix{hi: 0x0064_ff9b_0000_0000, n: 96}
}

// PrefixFrom returns p as a NAT64 prefix. The bits behind its length must be
// zero, as netip.Prefix.Masked leaves them.
func PrefixFrom(p netip.Prefix) (Prefix, error) {
	switch {
	case !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6():
		return Prefix{}, fmt.Errorf("nat64: %v is not an IPv6 prefix", p)
	case p != p.Masked():
		return Prefix{}, fmt.Errorf("nat64: %v has bits set behind its length: is it %v?", p, p.Masked())
	case p.Addr().IsMulticast() || p.Addr().IsLinkLocalUnicast() || p.Overlaps(reserved()) || isObsolete(p):
		return Prefix{}, fmt.Errorf("nat64: %v is not unicast: no translator can have it", p)
	case !isLength(p.Bits()):
		return Prefix{}, fmt.Errorf("%w, not %v", ErrPrefixLength, p)
	}
	hi, lo := halves(p.Addr())
	prefix := Prefix{hi, lo, uint8(p.Bits())}
	switch {
	case lo>>56 != 0:
		return Prefix{}, fmt.Errorf("%w: %v", ErrReservedOctet, p)
	case prefix != WellKnown() && p.Overlaps(WellKnown().Prefix()):
		return Prefix{}, fmt.Errorf("%w: %v", ErrWellKnown, p)
	}
	return prefix, nil
}

// ParsePrefix is [PrefixFrom] for text such as "2001:db8:64::/96".
func ParsePrefix(s string) (Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Prefix{}, fmt.Errorf("nat64: %q is not a prefix such as 64:ff9b::/96", s)
	}
	return PrefixFrom(p)
}

// MustParsePrefix is [ParsePrefix] for constants: it panics on an error.
func MustParsePrefix(s string) Prefix {
	p, err := ParsePrefix(s)
	if err != nil {
		panic(err)
	}
	return p
}

// Lengths returns the lengths that a prefix can have, longest first.
func Lengths() []int { return []int{96, 64, 56, 48, 40, 32} }

// reserved is where the unspecified, loopback and IPv4-mapped addresses are.
func reserved() netip.Prefix { return netip.PrefixFrom(netip.IPv6Unspecified(), 64) }

// isObsolete reports whether p is site-local (RFC 3879) or in a tunnel's
// prefix: 6to4 (RFC 3056) or Teredo (RFC 4380).
func isObsolete(p netip.Prefix) bool {
	b := p.Addr().As16()
	return b[0] == 0xfe && b[1]&0xc0 == 0xc0 || b[0] == 0x20 && b[1] == 0x02 || [4]byte(b[:4]) == [4]byte{0x20, 0x01}
}

func isLength(n int) bool {
	return n == 96 || n >= 32 && n <= 64 && n%8 == 0
}

// Synthesize returns the IPv4-embedded IPv6 address of ipv4, which may be
// written as an IPv4-mapped address. It fails with [ErrNoPrefix] when p is not
// valid, [ErrNotIPv4], or [ErrNotGlobal].
func (p Prefix) Synthesize(ipv4 netip.Addr) (netip.Addr, error) {
	ipv4 = ipv4.Unmap()
	if !ipv4.Is4() {
		return netip.Addr{}, ErrNotIPv4
	}
	if p.n == 0 {
		return netip.Addr{}, ErrNoPrefix
	}
	b := ipv4.As4()
	if p.IsWellKnown() && !wellKnownCarries(b) {
		return netip.Addr{}, ErrNotGlobal
	}
	v4 := uint64(binary.BigEndian.Uint32(b[:]))
	if p.n == 96 {
		return fromHalves(p.hi, p.lo|v4), nil
	}
	// Behind the prefix, leaving octet 8 out (RFC 6052, section 2.2).
	return fromHalves(p.hi|v4>>(p.n-32), p.lo|v4<<(88-p.n)&octets9to15), nil
}

const octets9to15 = 1<<56 - 1

// embedded returns the IPv4 address in the layout of length n, whatever octet 8 is.
func embedded(hi, lo uint64, n uint8) [4]byte {
	v4 := uint32(lo)
	if n != 96 {
		v4 = uint32(hi<<(n-32) | lo&octets9to15>>(88-n))
	}
	return [4]byte{byte(v4 >> 24), byte(v4 >> 16), byte(v4 >> 8), byte(v4)}
}

func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func fromHalves(hi, lo uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.AddrFrom16(b)
}

// Extract returns the IPv4 address that ipv6 carries, and whether ipv6 is an
// address of p with octet 8 zero. It ignores the suffix, as RFC 6052, section
// 2.3, wants, and a zone.
func (p Prefix) Extract(ipv6 netip.Addr) (netip.Addr, bool) {
	if p.n == 0 || !ipv6.Is6() {
		return netip.Addr{}, false
	}
	hi, lo := halves(ipv6)
	if !p.contains(hi, lo) || lo>>56 != 0 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(embedded(hi, lo, p.n)), true
}

// contains reports whether the address begins with p, which is valid.
func (p Prefix) contains(hi, lo uint64) bool {
	if p.n == 96 {
		return hi == p.hi && lo>>32 == p.lo>>32
	}
	return (hi^p.hi)>>(64-p.n) == 0
}

// ChecksumNeutral reports whether p leaves TCP's and UDP's checksums as they
// are, as the Well-Known Prefix does (RFC 6052, section 4.2).
func (p Prefix) ChecksumNeutral() bool {
	var sum uint64
	for shift := 0; shift < 64; shift += 16 {
		sum += p.hi>>shift&0xffff + p.lo>>shift&0xffff
	}
	return p.IsValid() && sum%0xffff == 0
}

// IsValid reports whether p is more than the zero Prefix.
func (p Prefix) IsValid() bool { return p.n != 0 }

// IsWellKnown reports whether p is 64:ff9b::/96.
func (p Prefix) IsWellKnown() bool { return p == WellKnown() }

// Prefix returns p for package netip.
func (p Prefix) Prefix() netip.Prefix {
	if !p.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(fromHalves(p.hi, p.lo), int(p.n))
}

// Bits returns the length of p, and 0 when p is not valid.
func (p Prefix) Bits() int { return int(p.n) }

// String returns p as RFC 5952 writes it, and "invalid Prefix" for the zero one.
func (p Prefix) String() string {
	if !p.IsValid() {
		return "invalid Prefix"
	}
	return p.Prefix().String()
}

// MarshalText is String, and empty for the zero Prefix.
func (p Prefix) MarshalText() ([]byte, error) { return p.Prefix().MarshalText() }

// UnmarshalText is [ParsePrefix]. Nothing is the zero Prefix.
func (p *Prefix) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*p = Prefix{}
		return nil
	}
	parsed, err := ParsePrefix(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}

// masked returns the prefix of length n that the octets begin with.
func masked(octets []byte, n uint8) (Prefix, error) {
	var b [16]byte
	copy(b[:n/8], octets)
	return PrefixFrom(netip.PrefixFrom(netip.AddrFrom16(b), int(n)))
}
