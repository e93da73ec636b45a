package qbridge

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

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
	name := d.Name
	if strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		name = strconv.Quote(name) // a switch's word is not a terminal's
	}
	switch {
	case d.Port == 0 && name == "":
		return d.What
	case name == "":
		return fmt.Sprintf("port %d: %s", d.Port, d.What)
	}
	return fmt.Sprintf("port %d (%s): %s", d.Port, name, d.What)
}

// Diff compares a switch of the plan with what it says: the VLANs that there
// must be, on each planned port PVID, members and ingress filtering, and on all
// other ports that nothing leads from them into a computer's VLAN. A port is found by
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
		if !planned[number] {
			differences = append(differences, leaks(number, have.Ports[number], private)...)
		}
	}
	return differences
}

// leaks finds the ways from a port that is not planned into a computer's VLAN.
func leaks(number int, port Port, private map[vlan.ID]bool) []Difference {
	var differences []Difference
	for _, id := range slices.Concat(port.Untagged, port.Tagged) {
		if private[id] {
			differences = append(differences, Difference{number, port.Name, fmt.Sprintf("is a member of VLAN %d, but not planned", id)})
		}
	}
	if private[port.PVID] && !slices.Contains(port.Untagged, port.PVID) {
		differences = append(differences, Difference{number, port.Name, fmt.Sprintf("PVID is %d, a computer's, but not planned", port.PVID)})
	}
	if port.Unfiltered && len(private) > 0 {
		differences = append(differences, Difference{number, port.Name, unfiltered + ", and frames of any VLAN come in"})
	}
	return differences
}

const unfiltered = "ingress filtering is off, or not told"

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
	for _, number := range slices.Sorted(maps.Keys(s.Ports)) {
		port := s.Ports[number]
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
		add(unfiltered)
	}
	return differences
}
