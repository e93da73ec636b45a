package vlan

import (
	"fmt"
	"net/netip"
	"strings"
)

// Step is one change of a running kernel, and what takes it back.
type Step struct {
	do   op
	undo []op
	why  string
}

// String returns the command that a person would type.
func (s Step) String() string { return s.do.String() }

// Undo returns the commands that take the step back. A link that was deleted is
// made again with all that a [Link] says, and nothing else.
func (s Step) Undo() []string {
	var commands []string
	for _, op := range s.undo {
		commands = append(commands, op.String())
	}
	return commands
}

// Why returns what the step is for, in a few words.
func (s Step) Why() string { return s.why }

// verb is what an op does.
type verb uint8

const (
	addLink verb = iota
	deleteLink
	setMTU
	setUp
	setDown
	addAddress
	deleteAddress
	addRoute
	deleteRoute
)

// op is one message to the kernel.
type op struct {
	verb   verb
	device string
	parent string       // addLink
	vlan   tag          // addLink
	mtu    int          // addLink: zero is the parent's; setMTU
	up     bool         // addLink
	prefix netip.Prefix // addAddress, deleteAddress
	via    netip.Addr   // addRoute, deleteRoute: of the default route
}

func (o op) String() string {
	switch o.verb {
	case addLink:
		return o.addLinkString()
	case deleteLink:
		return "ip link delete dev " + o.device
	case setMTU:
		return fmt.Sprintf("ip link set dev %s mtu %d", o.device, o.mtu)
	case setUp:
		return fmt.Sprintf("ip link set dev %s up", o.device)
	case setDown:
		return fmt.Sprintf("ip link set dev %s down", o.device)
	case addAddress:
		return fmt.Sprintf("ip address replace %v dev %s", o.prefix, o.device)
	case deleteAddress:
		return fmt.Sprintf("ip address delete %v dev %s", o.prefix, o.device)
	case addRoute:
		return fmt.Sprintf("ip route add default via %v dev %s proto static", o.via, o.device)
	default:
		return fmt.Sprintf("ip route delete default via %v dev %s", o.via, o.device)
	}
}

func (o op) addLinkString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "ip link add link %s name %s", o.parent, o.device)
	if o.mtu != 0 {
		fmt.Fprintf(&b, " mtu %d", o.mtu)
	}
	if o.up {
		b.WriteString(" up")
	}
	b.WriteString(" type vlan")
	if o.vlan.protocol != Dot1Q {
		fmt.Fprintf(&b, " protocol %v", o.vlan.protocol)
	}
	fmt.Fprintf(&b, " id %d", o.vlan.id)
	return b.String()
}

// create returns the ops that make the link as it is.
func (l Link) create() []op {
	ops := []op{{verb: addLink, device: l.Name, parent: l.Parent, vlan: tag{l.Protocol, l.ID}, mtu: l.MTU, up: l.Up}}
	for _, prefix := range l.Addresses {
		ops = append(ops, op{verb: addAddress, device: l.Name, prefix: prefix})
	}
	for _, gateway := range l.Gateways {
		ops = append(ops, op{verb: addRoute, device: l.Name, via: gateway})
	}
	return ops
}
