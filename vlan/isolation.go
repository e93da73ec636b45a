package vlan

import "net/netip"

// Peer is a private interface of the fileserver and the one address that may
// be behind it.
type Peer struct {
	Interface string
	Address   netip.Addr
}

// Sysctl returns sysctl.d(5) text that makes the kernel drop packets of a
// source that is not behind the interface that they come in by (rp_filter), and
// keeps IPv6 off the interfaces. The keys are set off by slashes, because a dot
// in an interface's name is read as a separator in the dotted form.
func Sysctl(interfaces []string) string { return "" }

// Nftables returns nft(8) text of one table of family inet and the given name,
// which it replaces atomically, whether or not there is one: from each private
// interface only its peer's address is let in, and nothing is forwarded from
// one private interface to another.
func Nftables(table string, peers []Peer) (string, error) { return "", nil }
