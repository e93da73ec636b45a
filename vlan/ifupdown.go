package vlan

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Ifupdown returns the interfaces(5) text of a host that is free of problems
// ([Plan.Check]). Without a RootDevice it is stanzas for
// /etc/network/interfaces.d; with one it is the whole of
// /etc/network/interfaces, with lo, and the root device as `manual` and
// `no-auto-down`: ifup configures the parent of a VLAN, and ifdown -a would
// otherwise take it down.
//
// ifupdown makes 802.1Q interfaces that are named Parent.ID by itself; the others
// are made by pre-up commands.
func (h Host) Ifupdown() string {
	var stanzas []string
	if h.RootDevice != "" {
		stanzas = append(stanzas,
			"auto lo\niface lo inet loopback\n",
			fmt.Sprintf("# %s carries the root filesystem: the kernel configured it, and nothing else may.\nno-auto-down %[1]s\niface %[1]s inet manual\n", h.RootDevice))
	}
	for _, i := range h.Interfaces {
		stanzas = append(stanzas, i.ifupdown())
	}
	return strings.Join(stanzas, "\n")
}

// ifupdown returns an auto line and an iface stanza for each address, of which
// ifupdown applies all.
func (i Interface) ifupdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "auto %s\n", i.IfName())
	if len(i.Addresses) == 0 {
		fmt.Fprintf(&b, "iface %s inet manual\n%s", i.IfName(), i.ifupdownLink())
		if i.MTU != 0 { // the method has no option for it
			fmt.Fprintf(&b, "\tpre-up ip link set dev %s mtu %d\n", i.IfName(), i.MTU)
		}
	}
	for n, prefix := range i.byFamily() {
		family, netmask := "inet", net.IP(net.CIDRMask(prefix.Bits(), 32)).String()
		if prefix.Addr().Is6() {
			family, netmask = "inet6", fmt.Sprint(prefix.Bits())
		}
		fmt.Fprintf(&b, "iface %s %s static\n", i.IfName(), family)
		if n == 0 {
			b.WriteString(i.ifupdownLink())
		}
		fmt.Fprintf(&b, "\taddress %v\n\tnetmask %s\n", prefix.Addr(), netmask)
		if n == 0 && i.MTU != 0 {
			fmt.Fprintf(&b, "\tmtu %d\n", i.MTU)
		}
		for _, gateway := range i.Gateways {
			if i.Addresses[i.subnet(gateway)] == prefix {
				fmt.Fprintf(&b, "\tgateway %v\n", gateway)
			}
		}
	}
	return b.String()
}

// byFamily returns the addresses, IPv4 first.
func (i Interface) byFamily() []netip.Prefix {
	return slices.SortedStableFunc(slices.Values(i.Addresses), func(a, b netip.Prefix) int {
		return a.Addr().BitLen() - b.Addr().BitLen()
	})
}

// ifupdownLink returns the commands that make the interface where ifupdown
// would not, or would make another one: it reads parent and id from the name
// up to a second dot, and knows 802.1Q alone.
func (i Interface) ifupdownLink() string {
	name := i.IfName()
	if i.Protocol == Dot1Q && name == i.Parent+"."+i.ID.String() && !strings.Contains(i.Parent, ".") {
		return ""
	}
	return fmt.Sprintf("\tpre-up ip link delete dev %[1]s 2>/dev/null || true\n"+
		"\tpre-up ip link set dev %[2]s up\n"+
		"\tpre-up ip link add link %[2]s name %[1]s type vlan protocol %[4]s id %[3]d\n"+
		"\tpost-down ip link delete dev %[1]s\n", name, i.Parent, i.ID, i.Protocol)
}
