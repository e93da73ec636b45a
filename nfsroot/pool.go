package nfsroot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// linkBits is the length of a link's prefix: network, server, client, broadcast.
const linkBits = 30

// Pool is an IPv4 prefix cut into /30 networks, a slot each. Slot n is always
// the same /30, whatever the other slots do: nothing is stored. The zero Pool
// has no slots; [NewPool] makes one.
type Pool struct {
	prefix netip.Prefix
	first  uint32 // the prefix's address
	slots  int
}

// Link is the private network of one Pi.
type Link struct {
	Network   netip.Prefix // the /30
	Server    netip.Addr   // its first address, the fileserver's
	Client    netip.Addr   // its second, the Pi's
	Broadcast netip.Addr   // its last
}

// notForHosts are the networks whose addresses Linux gives to no interface, or
// to none but its own.
var notForHosts = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("224.0.0.0/3"),
}

// NewPool returns the pool of a prefix of at most 30 bits. Errors: an IPv6
// prefix, a longer one, one with bits set behind its length, one that is not
// for hosts (0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3).
func NewPool(prefix netip.Prefix) (Pool, error) {
	switch {
	case !prefix.IsValid():
		return Pool{}, errors.New("nfsroot: the pool is no prefix: write one such as 10.46.189.0/27")
	case !prefix.Addr().Is4():
		return Pool{}, fmt.Errorf("nfsroot: pool %v: ip= and the firmware know IPv4 only: write a prefix such as 10.46.189.0/27", prefix)
	case prefix.Bits() > linkBits:
		return Pool{}, fmt.Errorf("nfsroot: pool %v is too small for one link: it must be a /%d or larger", prefix, linkBits)
	case prefix != prefix.Masked():
		return Pool{}, fmt.Errorf("nfsroot: pool %v has bits set behind its length: write %v", prefix, prefix.Masked())
	}
	for _, reserved := range notForHosts {
		if reserved.Overlaps(prefix) {
			return Pool{}, fmt.Errorf("nfsroot: pool %v: the addresses of %v are not for hosts", prefix, reserved)
		}
	}
	first := prefix.Addr().As4()
	return Pool{prefix, binary.BigEndian.Uint32(first[:]), 1 << (linkBits - prefix.Bits())}, nil
}

// PoolBits returns the length of the smallest prefix with that many slots,
// 0 when no IPv4 prefix has them.
func PoolBits(slots int) int {
	for bits := linkBits; bits > 0; bits-- {
		if slots <= 1<<(linkBits-bits) {
			return bits
		}
	}
	return 0
}

// Prefix returns what the pool was made of.
func (p Pool) Prefix() netip.Prefix { return p.prefix }

// Slots returns the number of slots, which count from 0.
func (p Pool) Slots() int { return p.slots }

// Link returns the network of a slot. It is computed, and allocates nothing.
// A slot that the pool has not is an error that says how large a prefix has it.
func (p Pool) Link(slot int) (Link, error) {
	if slot < 0 || slot >= p.slots {
		return Link{}, p.noSlot(slot)
	}
	first := p.first + uint32(slot)<<(32-linkBits)
	return Link{
		Network:   netip.PrefixFrom(addr4(first), linkBits),
		Server:    addr4(first + 1),
		Client:    addr4(first + 2),
		Broadcast: addr4(first + 3),
	}, nil
}

func (p Pool) noSlot(slot int) error {
	bits := 0
	if slot >= 0 {
		bits = PoolBits(slot + 1)
	}
	switch {
	case slot < 0:
		return fmt.Errorf("nfsroot: slot %d: slots count from 0", slot)
	case bits == 0:
		return fmt.Errorf("nfsroot: slot %d: no IPv4 prefix has so many /%d networks", slot, linkBits)
	case !p.prefix.IsValid():
		return fmt.Errorf("nfsroot: slot %d of an empty pool: make one of a /%d", slot, bits)
	}
	return fmt.Errorf("nfsroot: pool %v ends with slot %d: slot %d needs a /%d", p.prefix, p.Slots()-1, slot, bits)
}

// Slot returns the slot whose network holds the address.
func (p Pool) Slot(addr netip.Addr) (slot int, ok bool) {
	if !p.prefix.Contains(addr) {
		return 0, false
	}
	a := addr.As4()
	return int((binary.BigEndian.Uint32(a[:]) - p.first) >> (32 - linkBits)), true
}

// CheckPools returns an error for each two pools that overlap.
func CheckPools(pools ...Pool) error {
	var errs []error
	for i, a := range pools {
		for _, b := range pools[i+1:] {
			if a.prefix.Overlaps(b.prefix) {
				errs = append(errs, fmt.Errorf("nfsroot: pools %v and %v overlap: a /%d has the slots of both", a.prefix, b.prefix, PoolBits(a.Slots()+b.Slots())))
			}
		}
	}
	return errors.Join(errs...)
}

// addr4 returns the address of a number in host order.
func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}
