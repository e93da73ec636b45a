package switchconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/vlan"
)

// iosRanges is how many ranges of VLANs stand on a line: lines stay far below
// what the parser of an old switch takes.
const iosRanges = 15

// IOS returns commands of Cisco IOS and IOS XE for the switch of that name, to
// be entered in configuration mode. A port with tagged VLANs is a trunk there,
// also a computer's: its native VLAN is the untagged one. Each command replaces
// what was set before; a list of allowed VLANs does, and so shuts all others
// out, VLAN 1 among them.
func IOS(plan vlan.Plan, name string) (string, error) {
	s, err := find(plan, name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "! switch %s\n", s.Name)
	b.WriteString("! A switch that also knows ISL wants \"switchport trunk encapsulation dot1q\" before each \"switchport mode trunk\".\n")
	all := vlans(plan, s)
	if slices.ContainsFunc(all, func(v named) bool { return v.id > 1005 }) {
		b.WriteString("! The extended range needs it, where VTP is older than version 3.\nvtp mode transparent\n")
	}
	for _, v := range all {
		fmt.Fprintf(&b, "vlan %d\n name %s\n", v.id, v.name)
	}
	for _, port := range s.Ports {
		b.WriteString(iosPort(port))
	}
	b.WriteString("end\n")
	return b.String(), nil
}

func iosPort(port vlan.Port) string {
	var b strings.Builder
	fmt.Fprintf(&b, "interface %s\n", port.Name)
	if port.Description != "" {
		fmt.Fprintf(&b, " description %s\n", port.Description)
	}
	switch ids := slices.Concat(port.Untagged, port.Tagged); {
	case len(ids) == 0:
		b.WriteString(" shutdown\n")
		return b.String()
	case len(port.Tagged) == 0:
		fmt.Fprintf(&b, " switchport mode access\n switchport access vlan %d\n", port.PVID)
	default:
		for n, list := range ranges(ids, iosRanges) {
			add := ""
			if n > 0 {
				add = "add "
			}
			fmt.Fprintf(&b, " switchport trunk allowed vlan %s%s\n", add, list)
		}
		if port.PVID != 0 {
			fmt.Fprintf(&b, " switchport trunk native vlan %d\n", port.PVID)
		} else {
			b.WriteString(" no switchport trunk native vlan\n")
		}
		b.WriteString(" switchport mode trunk\n")
	}
	b.WriteString(" switchport nonegotiate\n")
	if !port.Trunk {
		edge := ""
		if len(port.Tagged) > 0 {
			edge = " trunk"
		}
		fmt.Fprintf(&b, " spanning-tree portfast%s\n spanning-tree bpduguard enable\n", edge)
	}
	b.WriteString(" no shutdown\n")
	return b.String()
}
