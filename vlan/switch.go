package vlan

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Port is a port of a switch, in the terms of IEEE 802.1Q.
type Port struct {
	// Number is the port's number on the front panel, and in the switch's
	// bridge MIB (dot1dBasePort). It counts from 1.
	Number int
	// Name is the port in the switch's own words: GigabitEthernet1/0/1,
	// ge-0/0/1, swp1. Empty is none: then no configuration can be written.
	Name string
	// Description is one line of text, as the name of what is plugged in.
	// Empty is none.
	Description string
	// Trunk says that the port leads to the fileserver or to another switch,
	// and not to one computer of the rack.
	Trunk bool
	// PVID is the VLAN of frames that come in without a tag. Zero: they are
	// dropped.
	PVID ID
	// Untagged are the VLANs whose frames leave without a tag: PVID, or none
	// if that is zero.
	Untagged []ID
	// Tagged are the VLANs whose frames come and leave with a tag.
	Tagged []ID
}

// portNameBytes are what switches call their ports with. Everything else could
// end a command.
const portNameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./:_-"

// Switch is a switch and all its ports that the plan uses.
type Switch struct {
	// Name says in errors and comments which switch it is.
	Name string
	// Ports are in the order in which they are written.
	Ports []Port
}

// Carries reports whether frames of the VLAN pass the port, tagged or not.
func (p Port) Carries(id ID) bool {
	return p.PVID == id || slices.Contains(p.Untagged, id) || slices.Contains(p.Tagged, id)
}

// problems reports what is wrong with the port by itself.
func (p Port) problems() []error {
	var problems []error
	if p.Number < 1 {
		problems = append(problems, fmt.Errorf("number %d: ports count from 1", p.Number))
	}
	if strings.Trim(p.Name, portNameBytes) != "" {
		problems = append(problems, fmt.Errorf("name %q: want letters, digits and one of ./:_-", p.Name))
	}
	if strings.ContainsFunc(p.Description, func(c rune) bool { return !unicode.IsPrint(c) || c == '"' }) {
		problems = append(problems, fmt.Errorf("description %q is not one line of text without quotes", p.Description))
	}
	switch {
	case p.PVID == 0 && len(p.Untagged) > 0, p.PVID != 0 && !slices.Equal(p.Untagged, []ID{p.PVID}):
		problems = append(problems, fmt.Errorf("PVID %d, but untagged %v: frames would not leave as they come in", p.PVID, p.Untagged))
	}
	return append(problems, p.idProblems()...)
}

func (p Port) idProblems() []error {
	var problems []error
	if !p.Trunk && p.Carries(1) {
		problems = append(problems, fmt.Errorf("VLAN 1 is left on a computer's port"))
	}
	seen := map[ID]bool{}
	for _, id := range slices.Concat(p.Untagged, p.Tagged) {
		if err := id.problem(); err != nil && (id != 1 || p.Trunk) {
			problems = append(problems, err)
		}
		if seen[id] {
			problems = append(problems, fmt.Errorf("VLAN %d twice", id))
		}
		seen[id] = true
	}
	return problems
}
