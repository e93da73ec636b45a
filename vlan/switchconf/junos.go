package switchconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/vlan"
)

// Junos returns set commands of Junos with Enhanced Layer 2 Software for the
// switch of that name, as `load set` and configuration mode take them. What a
// port was before is deleted first; Junos warns of what there is not. A port
// with tagged VLANs is a trunk there, also a computer's: untagged frames are
// dropped on it but for those of its native VLAN, of which it is a member, too.
func Junos(plan vlan.Plan, name string) (string, error) {
	s, err := find(plan, name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# switch %s\n", s.Name)
	for _, v := range vlans(plan, s) {
		fmt.Fprintf(&b, "set vlans %s vlan-id %d\n", v.name, v.id)
	}
	for _, port := range s.Ports {
		b.WriteString(junosPort(port))
	}
	if slices.ContainsFunc(s.Ports, func(p vlan.Port) bool { return !p.Trunk && len(p.Untagged) > 0 }) {
		b.WriteString("set protocols rstp bpdu-block-on-edge\n")
	}
	return b.String(), nil
}

func junosPort(port vlan.Port) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("delete interfaces %s native-vlan-id", port.Name)
	line("delete interfaces %s unit 0 family ethernet-switching", port.Name)
	if port.Description != "" {
		line("set interfaces %s description %q", port.Name, port.Description)
	}
	ids := slices.Concat(port.Untagged, port.Tagged)
	if len(ids) == 0 {
		line("set interfaces %s disable", port.Name)
		return b.String()
	}
	line("delete interfaces %s disable", port.Name)
	mode := "trunk"
	if len(port.Tagged) == 0 {
		mode = "access"
	} else if port.PVID != 0 {
		line("set interfaces %s native-vlan-id %d", port.Name, port.PVID)
	}
	line("set interfaces %s unit 0 family ethernet-switching interface-mode %s", port.Name, mode)
	for _, members := range ranges(ids, 1) {
		line("set interfaces %s unit 0 family ethernet-switching vlan members %s", port.Name, members)
	}
	if !port.Trunk {
		line("set protocols rstp interface %s edge", port.Name)
	}
	return b.String()
}
