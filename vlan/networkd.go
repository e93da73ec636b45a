package vlan

import (
	"fmt"
	"net/netip"
	"strings"
)

// Networkd returns the files for /etc/systemd/network of a host that is free
// of problems ([Plan.Check]): a .netdev and a .network for each VLAN, and a
// .network for each parent, without which systemd-networkd makes no VLAN.
//
// That is why the root device cannot be `Unmanaged=yes`. It is managed in such
// a way that the kernel's address and route stay (KeepConfiguration=yes), even
// without a carrier, and its file sorts before all others. The file of any
// other parent sorts after all others: where the parent has one already, its
// VLAN= lines belong into a drop-in of that.
func (h Host) Networkd() []File {
	var files []File
	for _, parent := range h.parents() {
		files = append(files, h.networkdParent(parent))
	}
	for _, i := range h.Interfaces {
		files = append(files, i.networkdNetdev(), h.networkdNetwork(i))
	}
	return files
}

func (h Host) networkdParent(parent string) File {
	var b strings.Builder
	name := "99-" + parent + ".network"
	if parent == h.RootDevice {
		name = "05-" + parent + ".network"
		fmt.Fprintf(&b, "# %s carries the root filesystem: the kernel configured it, and it stays so.\n", parent)
	} else {
		fmt.Fprintf(&b, "# Where another file is for %s, these VLAN= lines belong into a drop-in of it.\n", parent)
	}
	fmt.Fprintf(&b, "[Match]\nName=%s\n\n", parent)
	b.WriteString("[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\nIPv6AcceptRA=no\nKeepConfiguration=yes\n")
	if parent == h.RootDevice {
		b.WriteString("ConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=yes\n")
	}
	b.WriteString(h.networkdVLANs(parent))
	return File{Name: name, Text: b.String()}
}

// networkdVLANs returns the lines by which a parent names its VLANs.
func (h Host) networkdVLANs(parent string) string {
	var b strings.Builder
	for _, i := range h.Interfaces {
		if i.Parent == parent {
			fmt.Fprintf(&b, "VLAN=%s\n", i.IfName())
		}
	}
	return b.String()
}

func (i Interface) networkdNetdev() File {
	var b strings.Builder
	fmt.Fprintf(&b, "[NetDev]\nName=%s\nKind=vlan\n", i.IfName())
	if i.MTU != 0 {
		fmt.Fprintf(&b, "MTUBytes=%d\n", i.MTU)
	}
	fmt.Fprintf(&b, "\n[VLAN]\nId=%d\n", i.ID)
	if i.Protocol == Dot1AD {
		b.WriteString("Protocol=802.1ad\n")
	}
	return File{Name: "10-" + i.IfName() + ".netdev", Text: b.String()}
}

func (h Host) networkdNetwork(i Interface) File {
	var b strings.Builder
	linkLocal := "no"
	if i.has(netip.Addr.Is6) {
		linkLocal = "ipv6"
	}
	fmt.Fprintf(&b, "[Match]\nName=%s\n\n[Network]\nDHCP=no\nLinkLocalAddressing=%s\nIPv6AcceptRA=no\n", i.IfName(), linkLocal)
	for _, prefix := range i.Addresses {
		fmt.Fprintf(&b, "Address=%v\n", prefix)
	}
	for _, gateway := range i.Gateways {
		fmt.Fprintf(&b, "Gateway=%v\n", gateway)
	}
	// A VLAN can be a parent, too.
	b.WriteString(h.networkdVLANs(i.IfName()))
	return File{Name: "10-" + i.IfName() + ".network", Text: b.String()}
}
