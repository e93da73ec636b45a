package vlan

import (
	"fmt"
	"net/netip"
	"strings"
)

// NetworkManager returns the files for /etc/NetworkManager of a host that is
// free of problems ([Plan.Check]): a profile in system-connections for each
// VLAN, and in conf.d what makes the root device unmanaged, or it would get a
// profile of NetworkManager's own as soon as its carrier comes back.
func (h Host) NetworkManager() []File {
	var files []File
	if h.RootDevice != "" {
		files = append(files, File{Name: "conf.d/90-root-device.conf", Text: fmt.Sprintf(
			"# %s carries the root filesystem: the kernel configured it, and nothing else may.\n"+
				"[device-root]\nmatch-device=interface-name:=%[1]s\nmanaged=0\n", h.RootDevice)})
	}
	for _, i := range h.Interfaces {
		files = append(files, i.keyfile())
	}
	return files
}

func (i Interface) keyfile() File {
	var b strings.Builder
	fmt.Fprintf(&b, "[connection]\nid=%s\ntype=vlan\ninterface-name=%[1]s\nautoconnect=true\n\n", i.IfName())
	fmt.Fprintf(&b, "[vlan]\nparent=%s\nid=%d\n", i.Parent, i.ID)
	fmt.Fprintf(&b, "flags=1\n") // REORDER_HDR, as the kernel's own default
	if i.Protocol == Dot1AD {
		b.WriteString("protocol=802.1ad\n")
	}
	if i.MTU != 0 {
		fmt.Fprintf(&b, "\n[ethernet]\nmtu=%d\n", i.MTU)
	}
	b.WriteString(i.keyfileFamily("ipv4", netip.Addr.Is4))
	b.WriteString(i.keyfileFamily("ipv6", netip.Addr.Is6))
	return File{Name: "system-connections/" + i.IfName() + ".nmconnection", Text: b.String(), Secret: true}
}

func (i Interface) keyfileFamily(section string, family func(netip.Addr) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n[%s]\n", section)
	if !i.has(family) {
		b.WriteString("method=disabled\n")
		return b.String()
	}
	b.WriteString("method=manual\n")
	n := 0
	for _, prefix := range i.Addresses {
		if family(prefix.Addr()) {
			n++
			fmt.Fprintf(&b, "address%d=%v\n", n, prefix)
		}
	}
	for _, gateway := range i.Gateways {
		if family(gateway) {
			fmt.Fprintf(&b, "gateway=%v\n", gateway)
		}
	}
	return b.String()
}
