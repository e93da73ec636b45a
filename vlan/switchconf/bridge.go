package switchconf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/berryrack/berryrack/vlan"
)

// bridgeName is the Linux bridge that is the switch.
const bridgeName = "br0"

// linuxSwitch returns the switch, all of whose ports have names that a Linux
// interface can have.
func linuxSwitch(plan vlan.Plan, name string) (vlan.Switch, error) {
	s, err := find(plan, name)
	if err != nil {
		return vlan.Switch{}, err
	}
	var problems []error
	for _, port := range s.Ports {
		// A VLAN's parent is an interface like any other.
		if err := (vlan.Interface{Parent: port.Name, Name: "x", ID: 2}).Check(); err != nil || port.Name == bridgeName {
			problems = append(problems, fmt.Errorf("switchconf: switch %s: port %d: %q is no Linux interface for a port", name, port.Number, port.Name))
		}
	}
	return s, errors.Join(problems...)
}

// Bridge returns a shell script of iproute2 commands that make a VLAN-filtering
// bridge br0 of a Linux machine's interfaces. It can be run again: a port is
// down until it has exactly its VLANs.
func Bridge(plan vlan.Plan, name string) (string, error) {
	s, err := linuxSwitch(plan, name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\n# switch %s\nset -eu\n", s.Name)
	fmt.Fprintf(&b, "ip link show dev %[1]s >/dev/null 2>&1 || ip link add name %[1]s type bridge\n", bridgeName)
	fmt.Fprintf(&b, "ip link set dev %s type bridge vlan_filtering 1 vlan_default_pvid 0\n", bridgeName)
	for _, port := range s.Ports {
		b.WriteString(bridgePort(port))
	}
	fmt.Fprintf(&b, "ip link set dev %s up\n", bridgeName)
	return b.String(), nil
}

func bridgePort(port vlan.Port) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("ip link set dev %s down", port.Name)
	if port.Description != "" {
		line("ip link set dev %s alias \"%s\"", port.Name, shellQuoted(port.Description))
	}
	line("ip link set dev %s master %s", port.Name, bridgeName)
	line("bridge vlan delete dev %s vid %d-%d", port.Name, 1, vlan.MaxID)
	if port.PVID != 0 {
		line("bridge vlan add dev %s vid %d pvid untagged", port.Name, port.PVID)
	}
	for _, ids := range ranges(port.Tagged, 1) {
		line("bridge vlan add dev %s vid %s", port.Name, ids)
	}
	if port.PVID != 0 || len(port.Tagged) > 0 {
		line("ip link set dev %s up", port.Name)
	}
	return b.String()
}

// shellQuoted escapes what a shell reads between double quotes.
func shellQuoted(text string) string {
	return strings.NewReplacer("\\", "\\\\", "$", "\\$", "`", "\\`", `"`, `\"`).Replace(text)
}

// Networkd returns the same bridge as files for /etc/systemd/network.
func Networkd(plan vlan.Plan, name string) ([]vlan.File, error) {
	s, err := linuxSwitch(plan, name)
	if err != nil {
		return nil, err
	}
	files := []vlan.File{
		{Name: "10-" + bridgeName + ".netdev", Text: fmt.Sprintf("# switch %s\n[NetDev]\nName=%s\nKind=bridge\n\n[Bridge]\nVLANFiltering=yes\nDefaultPVID=none\n", s.Name, bridgeName)},
		{Name: "10-" + bridgeName + ".network", Text: fmt.Sprintf("[Match]\nName=%s\n\n[Network]\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n", bridgeName)},
	}
	for _, port := range s.Ports {
		files = append(files, networkdPort(port))
	}
	return files, nil
}

func networkdPort(port vlan.Port) vlan.File {
	var b strings.Builder
	if port.Description != "" {
		fmt.Fprintf(&b, "# %s\n", port.Description)
	}
	fmt.Fprintf(&b, "[Match]\nName=%s\n", port.Name)
	if port.PVID == 0 && len(port.Tagged) == 0 {
		b.WriteString("\n[Link]\nActivationPolicy=always-down\n")
	}
	fmt.Fprintf(&b, "\n[Network]\nBridge=%s\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n", bridgeName)
	if port.PVID != 0 {
		fmt.Fprintf(&b, "\n[BridgeVLAN]\nVLAN=%d\nPVID=%[1]d\nEgressUntagged=%[1]d\n", port.PVID)
	}
	for _, ids := range ranges(port.Tagged, 1) {
		fmt.Fprintf(&b, "\n[BridgeVLAN]\nVLAN=%s\n", ids)
	}
	return vlan.File{Name: "10-" + port.Name + ".network", Text: b.String()}
}
