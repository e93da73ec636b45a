package nfsroot

import "net/netip"

// linkBits is the length of a link's prefix: network, server, client, broadcast.
const linkBits = 30

// Pool is an IPv4 prefix cut into /30 networks, a slot each. Slot n is always
// the same /30, whatever the other slots do: nothing is stored. The zero Pool
// has no slots; [NewPool] makes one.
type Pool struct{ prefix netip.Prefix }

// NewPool returns the pool of a prefix of at most 30 bits. Errors: an IPv6
// prefix, a longer one, one with bits set behind its length, one that is not
// for hosts (0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3).
func NewPool(prefix netip.Prefix) (Pool, error) { return Pool{}, nil }

// PoolBits returns the length of the smallest prefix with that many slots,
// 0 when no IPv4 prefix has them.
func PoolBits(slots int) int { return 0 }

// Prefix returns what the pool was made of.
func (p Pool) Prefix() netip.Prefix { return p.prefix }

// Slots returns the number of slots, which count from 0.
func (p Pool) Slots() int { return 0 }

// Link returns the network of a slot. It is computed, and allocates nothing.
// A slot that the pool has not is an error that says how large a prefix has it.
func (p Pool) Link(slot int) (Link, error) { return Link{}, nil }

// Slot returns the slot whose network holds the address.
func (p Pool) Slot(addr netip.Addr) (slot int, ok bool) { return 0, false }

// CheckPools returns an error for each two pools that overlap.
func CheckPools(pools ...Pool) error { return nil }

// Link is the private network of one Pi.
type Link struct {
	Network   netip.Prefix // the /30
	Server    netip.Addr   // its first address, the fileserver's
	Client    netip.Addr   // its second, the Pi's
	Broadcast netip.Addr   // its last
}
