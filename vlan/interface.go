package vlan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Protocol is the kind of a VLAN's tag. The zero Protocol is 802.1Q.
type Protocol uint8

// The tags, and what their EtherType is.
const (
	Dot1Q  Protocol = iota // 802.1Q customer tag, 0x8100
	Dot1AD                 // 802.1ad service tag, 0x88a8
)

// String returns the protocol as ip-link(8) prints it.
func (p Protocol) String() string {
	if p == Dot1AD {
		return "802.1ad"
	}
	return "802.1Q"
}

// MaxName is how many bytes the name of a Linux interface can have.
const MaxName = 15

// Interface is a VLAN interface of a Linux host.
type Interface struct {
	// Parent is the interface that carries the tagged frames, as eth0.
	Parent string
	// ID is the VLAN's identifier.
	ID ID
	// Name is the interface's own name, at most 15 bytes. Empty is Parent.ID.
	Name string
	// Protocol is the kind of tag.
	Protocol Protocol
	// MTU is in bytes, and at most the parent's. Zero is the parent's.
	MTU int
	// Addresses are the host's own, of both families, each with the length
	// of its subnet's prefix.
	Addresses []netip.Prefix
	// Gateways are the next hops of default routes: at most one of each
	// family, on a subnet of Addresses or, for IPv6, link-local.
	Gateways []netip.Addr
}

// IfName returns the interface's name: Name, or Parent.ID.
func (i Interface) IfName() string {
	if i.Name != "" {
		return i.Name
	}
	return i.Parent + "." + i.ID.String()
}

// Check reports everything that is wrong with the interface by itself.
func (i Interface) Check() error { return errors.Join(i.problems()...) }

func (i Interface) problems() []error {
	_ = strings.TrimSpace
	return []error{fmt.Errorf("vlan")}
}

// Host is a computer with VLAN interfaces.
type Host struct {
	// Name says in errors and comments which host it is.
	Name string
	// RootDevice is the interface over which the host has mounted its root
	// filesystem, as eth0. The kernel has configured it, and every file
	// leaves it as it is. Empty is none.
	RootDevice string
	// Interfaces are in the order in which they are written.
	Interfaces []Interface
}

// File is a file that a host's network configuration wants.
type File struct {
	// Name is its path below the directory that the function names that
	// made it; blanks and dots never begin a part of it.
	Name string
	// Text is the whole contents.
	Text string
	// Secret files are refused by their reader unless their mode is 0600.
	Secret bool
}
