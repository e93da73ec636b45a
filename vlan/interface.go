package vlan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Protocol is the kind of a VLAN's tag. The zero Protocol is 802.1Q.
type Protocol uint8

// The tags, with their EtherTypes.
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

// MaxName is how many bytes the name of a Linux interface can have (IFNAMSIZ less its NUL).
const MaxName = 15

// The MTUs that the kernel lets a VLAN interface have, and what IPv6 needs (RFC 8200, section 5).
const (
	minMTU     = 68
	minMTUIPv6 = 1280
	maxMTU     = 65535
)

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
func (i Interface) Check() error {
	var problems []error
	for _, problem := range i.problems() {
		problems = append(problems, fmt.Errorf("vlan: %s: %w", i.IfName(), problem))
	}
	return errors.Join(problems...)
}

func (i Interface) problems() []error {
	var problems []error
	if err := i.ID.problem(); err != nil {
		problems = append(problems, err)
	}
	if err := nameProblem(i.Parent); err != nil {
		problems = append(problems, fmt.Errorf("parent: %w", err))
	} else if err := nameProblem(i.IfName()); err != nil {
		problems = append(problems, err)
	}
	if i.Protocol > Dot1AD {
		problems = append(problems, fmt.Errorf("protocol %d is neither 802.1Q nor 802.1ad", i.Protocol))
	}
	problems = append(problems, i.mtuProblems()...)
	problems = append(problems, i.addressProblems()...)
	return append(problems, i.gatewayProblems()...)
}

// nameProblem reports why name is not an interface's. The kernel takes more
// than this, but not every file in which the name will stand.
func nameProblem(name string) error {
	switch {
	case name == "":
		return errors.New("no name")
	case len(name) > MaxName:
		return fmt.Errorf("name %q has %d bytes, and an interface's at most %d: give it a shorter one", name, len(name), MaxName)
	case strings.HasPrefix(name, "-"), strings.Trim(name, ".") == "", strings.ContainsFunc(name, notOfName):
		return fmt.Errorf("name %q: want letters, digits, '.', '_' and '-'", name)
	}
	return nil
}

func notOfName(c rune) bool {
	return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c)
}

func (i Interface) mtuProblems() []error {
	switch {
	case i.MTU == 0:
		return nil
	case i.MTU < minMTU || i.MTU > maxMTU:
		return []error{fmt.Errorf("MTU %d is not in %d..%d", i.MTU, minMTU, maxMTU)}
	case i.MTU < minMTUIPv6 && i.has(netip.Addr.Is6):
		return []error{fmt.Errorf("MTU %d: IPv6 needs at least %d", i.MTU, minMTUIPv6)}
	}
	return nil
}

// has reports whether one of the addresses is of the family.
func (i Interface) has(family func(netip.Addr) bool) bool {
	for _, prefix := range i.Addresses {
		if family(prefix.Addr()) {
			return true
		}
	}
	return false
}

func (i Interface) addressProblems() []error {
	var problems []error
	seen := map[netip.Addr]bool{}
	for _, prefix := range i.Addresses {
		if err := addressProblem(prefix); err != nil {
			problems = append(problems, err)
		} else if seen[prefix.Addr()] {
			problems = append(problems, fmt.Errorf("address %v twice", prefix.Addr()))
		}
		seen[prefix.Addr()] = true
	}
	return problems
}

// addressProblem reports why a host cannot have the address.
func addressProblem(prefix netip.Prefix) error {
	addr := prefix.Addr()
	switch {
	case !prefix.IsValid():
		return errors.New("an address that is no address: it wants a prefix length as in 10.46.189.1/30")
	case addr.Zone() != "" || addr.Is4In6() || addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() || prefix.Bits() == 0:
		return fmt.Errorf("%v is not a host's address", prefix)
	case addr.BitLen()-prefix.Bits() < 2:
		return nil // RFC 3021, RFC 6164: both addresses of a pair are hosts
	case addr == prefix.Masked().Addr():
		return fmt.Errorf("%v is the address of the subnet itself", prefix)
	case addr.Is4() && addr == lastAddr(prefix):
		return fmt.Errorf("%v is the subnet's broadcast address", prefix)
	}
	return nil
}

// lastAddr returns the last address of an IPv4 prefix.
func lastAddr(prefix netip.Prefix) netip.Addr {
	addr := prefix.Masked().Addr().As4()
	for bit := prefix.Bits(); bit < 32; bit++ {
		addr[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(addr)
}

func (i Interface) gatewayProblems() []error {
	var problems []error
	seen := map[int]bool{}
	for _, gateway := range i.Gateways {
		switch {
		case !gateway.IsValid() || gateway.Zone() != "":
			problems = append(problems, fmt.Errorf("gateway %v is no plain address", gateway))
		case seen[gateway.BitLen()]:
			problems = append(problems, fmt.Errorf("gateway %v is the second one of its family", gateway))
		case gateway.Is6() && gateway.IsLinkLocalUnicast() && i.has(netip.Addr.Is6):
		case i.subnet(gateway) < 0:
			problems = append(problems, fmt.Errorf("gateway %v is on no subnet of the interface", gateway))
		case i.Addresses[i.subnet(gateway)].Addr() == gateway:
			problems = append(problems, fmt.Errorf("gateway %v is the interface's own address", gateway))
		}
		seen[gateway.BitLen()] = true
	}
	return problems
}

// subnet returns the index of the address whose subnet a gateway is on: -1 if
// there is none. A link-local gateway is on that of the first IPv6 address.
func (i Interface) subnet(gateway netip.Addr) int {
	for n, prefix := range i.Addresses {
		if prefix.Contains(gateway) || gateway.Is6() && gateway.IsLinkLocalUnicast() && prefix.Addr().Is6() {
			return n
		}
	}
	return -1
}
