package qbridge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/vlan"
)

// Difference is one thing in which a switch is not as planned.
type Difference struct {
	// Port is the bridge port, and Name what the switch calls it. Zero: it is
	// about the whole switch, or about a port that the switch has not.
	Port int
	Name string
	// What is the difference in a few words.
	What string
}

// String returns the difference as one line.
func (d Difference) String() string {
	switch {
	case d.Port == 0 && d.Name == "":
		return d.What
	case d.Name == "":
		return fmt.Sprintf("port %d: %s", d.Port, d.What)
	}
	return fmt.Sprintf("port %d (%s): %s", d.Port, d.Name, d.What)
}

// Diff compares a switch of the plan with what it says: the VLANs that there
// must be, on each planned port PVID, members and ingress filtering, and on all
// other ports that they are no members of a computer's VLAN. A port is found by
// its name (ifName, or ifDescr), or if the plan has none, by its number.
func Diff(want vlan.Switch, have Switch) []Difference {
	var differences []Difference
	for _, id := range vlans(want) {
		if _, ok := have.VLANs[id]; !ok {
			differences = append(differences, Difference{What: fmt.Sprintf("VLAN %d is missing", id)})
		}
	}
	planned := map[int]bool{}
	private := map[vlan.ID]bool{}
	for _, port := range want.Ports {
		for _, id := range port.Untagged {
			private[id] = private[id] || !port.Trunk
		}
		number, ok := have.find(port)
		if !ok {
			differences = append(differences, Difference{Name: port.Name, Port: port.Number, What: "the switch has no such port"})
			continue
		}
		planned[number] = true
		differences = append(differences, compare(port, number, have.Ports[number])...)
	}
	for _, number := range slices.Sorted(maps.Keys(have.Ports)) {
		port := have.Ports[number]
		for _, id := range slices.Concat(port.Untagged, port.Tagged) {
			if !planned[number] && private[id] {
				differences = append(differences, Difference{number, port.Name, fmt.Sprintf("is a member of VLAN %d, but not planned", id)})
			}
		}
	}
	return differences
}

// vlans returns the VLANs of a planned switch in order.
func vlans(s vlan.Switch) []vlan.ID {
	ids := map[vlan.ID]bool{}
	for _, port := range s.Ports {
		for _, id := range slices.Concat(port.Untagged, port.Tagged) {
			ids[id] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// find returns the number of the bridge port that the plan means.
func (s Switch) find(want vlan.Port) (int, bool) {
	if want.Name == "" {
		_, ok := s.Ports[want.Number]
		return want.Number, ok
	}
	for number, port := range s.Ports {
		// On Junos the bridge port is unit 0 of the interface.
		if want.Name == strings.TrimSuffix(port.Name, ".0") || want.Name == strings.TrimSuffix(port.Description, ".0") {
			return number, true
		}
	}
	return 0, false
}

func compare(want vlan.Port, number int, have Port) []Difference {
	var differences []Difference
	add := func(format string, args ...any) {
		differences = append(differences, Difference{number, have.Name, fmt.Sprintf(format, args...)})
	}
	// A port without a VLAN for untagged frames has some PVID all the same,
	// of a VLAN that it is no member of.
	if have.PVID != want.PVID && (want.PVID != 0 || slices.Contains(have.Untagged, have.PVID) || slices.Contains(have.Tagged, have.PVID)) {
		add("PVID is %d, planned %d", have.PVID, want.PVID)
	}
	for _, set := range []struct {
		name       string
		want, have []vlan.ID
	}{{"untagged", want.Untagged, have.Untagged}, {"tagged", want.Tagged, have.Tagged}} {
		for _, id := range set.want {
			if !slices.Contains(set.have, id) {
				add("VLAN %d is not %s", id, set.name)
			}
		}
		for _, id := range set.have {
			if !slices.Contains(set.want, id) {
				add("VLAN %d is %s, but not planned so", id, set.name)
			}
		}
	}
	if have.Unfiltered {
		add("ingress filtering is off")
	}
	return differences
}
