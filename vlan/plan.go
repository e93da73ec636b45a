package vlan

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Plan is the VLANs of a rack: of its fileserver, its computers and its switches.
type Plan struct {
	// Private numbers the VLANs that a computer shares with the fileserver alone.
	Private Numbering
	// Public is the VLAN that all computers share. Zero is none.
	Public ID
	// Server is the fileserver, which has an interface in every private VLAN.
	Server Host
	// Hosts are the computers of the rack.
	Hosts []Host
	// Switches are those that connect them.
	Switches []Switch
}

// Check reports everything in the plan that would not work, or that would let
// one computer into another one's network, as one error of a line for each:
//
//   - an interface that is wrong by itself ([Interface.Check])
//   - an id twice on one parent, a name twice on one host
//   - an address on two interfaces, overlapping prefixes in two VLANs or on
//     two interfaces of a host
//   - a private VLAN on the ports of two computers, on a port from which no
//     trunk of that switch carries it on, or on a host that is not the fileserver
//   - a private VLAN untagged on a trunk, or tagged on a computer's port
//   - VLAN 1 on a computer's port, and a PVID that is not the untagged VLAN
//   - a public VLAN that some slot's private one can be
//   - a port twice on one switch
func (p Plan) Check() error {
	problems := p.numberingProblems()
	problems = append(problems, p.hostProblems()...)
	problems = append(problems, p.subnetProblems()...)
	problems = append(problems, p.switchProblems()...)
	for i, problem := range problems {
		problems[i] = fmt.Errorf("vlan: %w", problem)
	}
	return errors.Join(problems...)
}

func (p Plan) numberingProblems() []error {
	var problems []error
	if p.Private.Slots > p.Private.free() {
		problems = append(problems, fmt.Errorf("private VLANs: %d slots, but from id %d on only %d are free", p.Private.Slots, p.Private.first(), p.Private.free()))
	}
	if p.Public == 0 {
		return problems
	}
	if err := p.Public.problem(); err != nil {
		problems = append(problems, fmt.Errorf("public VLAN: %w", err))
	}
	if slot, ok := p.Private.Slot(p.Public); ok {
		problems = append(problems, fmt.Errorf("public VLAN %d is inside the private range: it is that of slot %d: skip it", p.Public, slot))
	}
	return problems
}

// hosts returns the fileserver, if there is one, and the computers.
func (p Plan) hosts() []Host {
	if p.Server.Name == "" && len(p.Server.Interfaces) == 0 {
		return p.Hosts
	}
	return append([]Host{p.Server}, p.Hosts...)
}

func (p Plan) hostProblems() []error {
	var problems []error
	seen := map[string]bool{}
	for _, host := range p.hosts() {
		if host.Name == "" || seen[host.Name] {
			problems = append(problems, fmt.Errorf("host %q: the name is empty or another one's", host.Name))
		}
		seen[host.Name] = true
		for _, problem := range host.problems() {
			problems = append(problems, fmt.Errorf("host %s: %w", host.Name, problem))
		}
	}
	for _, host := range p.Hosts {
		for _, i := range host.Interfaces {
			if slot, ok := p.Private.Slot(i.ID); ok {
				problems = append(problems, fmt.Errorf("host %s: %s: VLAN %d is the private one of slot %d, which reaches its computer untagged", host.Name, i.IfName(), i.ID, slot))
			}
		}
	}
	return problems
}

// place is an address on an interface, for errors.
type place struct {
	prefix netip.Prefix
	host   string
	device string
	vlan   tag
}

func (p place) String() string { return fmt.Sprintf("%v on %s %s", p.prefix, p.host, p.device) }

// tag is what keeps a VLAN's frames apart from another one's.
type tag struct {
	protocol Protocol
	id       ID
}

// subnetProblems finds addresses and prefixes that two interfaces cannot both
// have. The kernel accepts all of them.
func (p Plan) subnetProblems() []error {
	var problems []error
	var places []place
	owner := map[netip.Addr]place{}
	for _, host := range p.hosts() {
		for _, i := range host.Interfaces {
			for _, prefix := range i.Addresses {
				here := place{prefix, host.Name, i.IfName(), tag{i.Protocol, i.ID}}
				if other, ok := owner[prefix.Addr()]; !ok {
					owner[prefix.Addr()] = here
				} else if other.host != here.host || other.device != here.device {
					problems = append(problems, fmt.Errorf("one address twice: %v and %v", other, here))
				}
				if prefix.IsValid() {
					places = append(places, here)
				}
			}
		}
	}
	return append(problems, overlaps(places)...)
}

// overlaps finds prefixes that are in two VLANs, or on two interfaces of a
// host. Of those that are the same it compares each with the first.
func overlaps(places []place) []error {
	slices.SortStableFunc(places, func(a, b place) int {
		return cmp.Or(a.prefix.Masked().Addr().Compare(b.prefix.Masked().Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	var problems []error
	type subnet struct {
		first   place
		devices map[string]string // of each host
	}
	var around []subnet // each one inside the one before
	for _, here := range places {
		for len(around) > 0 && !around[len(around)-1].first.prefix.Overlaps(here.prefix) {
			around = around[:len(around)-1]
		}
		for _, outer := range around {
			device, ok := outer.devices[here.host]
			if other := outer.first; other.vlan != here.vlan {
				problems = append(problems, fmt.Errorf("overlapping prefixes in two VLANs: %v and %v", other, here))
			} else if ok && device != here.device {
				problems = append(problems, fmt.Errorf("overlapping prefixes on two interfaces: %s and %v", device, here))
			}
		}
		if len(around) == 0 || around[len(around)-1].first.prefix.Bits() != here.prefix.Bits() {
			around = append(around, subnet{here, map[string]string{}})
		}
		around[len(around)-1].devices[here.host] = here.device
	}
	return problems
}

func (p Plan) switchProblems() []error {
	var problems []error
	names := map[string]bool{}
	owner := map[ID]string{}
	for _, s := range p.Switches {
		if s.Name == "" || names[s.Name] {
			problems = append(problems, fmt.Errorf("switch %q: the name is empty or another one's", s.Name))
		}
		if strings.ContainsFunc(s.Name, func(c rune) bool { return !unicode.IsPrint(c) }) {
			problems = append(problems, fmt.Errorf("switch %q: the name is not one line of text", s.Name))
		}
		names[s.Name] = true
		for _, problem := range s.problems() {
			problems = append(problems, fmt.Errorf("switch %s: %w", s.Name, problem))
		}
		carried := s.trunked()
		for _, port := range s.Ports {
			here := fmt.Sprintf("switch %s port %d", s.Name, port.Number)
			for _, problem := range p.privateProblems(port, here, owner, carried) {
				problems = append(problems, fmt.Errorf("%s: %w", here, problem))
			}
		}
	}
	return problems
}

// trunked returns the VLANs that a trunk of the switch carries with a tag.
func (s Switch) trunked() map[ID]bool {
	carried := map[ID]bool{}
	for _, port := range s.Ports {
		for _, id := range port.Tagged {
			carried[id] = carried[id] || port.Trunk
		}
	}
	return carried
}

// problems reports ports that are wrong by themselves, or there twice.
func (s Switch) problems() []error {
	var problems []error
	numbers, names := map[int]bool{}, map[string]bool{}
	for _, port := range s.Ports {
		if numbers[port.Number] || port.Name != "" && names[port.Name] {
			problems = append(problems, fmt.Errorf("port %d %s twice", port.Number, port.Name))
		}
		numbers[port.Number], names[port.Name] = true, true
		for _, problem := range port.problems() {
			problems = append(problems, fmt.Errorf("port %d: %w", port.Number, problem))
		}
	}
	return problems
}

// privateProblems reports where the port lets a private VLAN out. owner is the
// computer's port that each private VLAN was found on before.
func (p Plan) privateProblems(port Port, here string, owner map[ID]string, carried map[ID]bool) []error {
	var problems []error
	for _, id := range port.Tagged {
		if _, private := p.Private.Slot(id); private && !port.Trunk {
			problems = append(problems, fmt.Errorf("private VLAN %d is tagged on a computer's port", id))
		}
	}
	for _, id := range port.Untagged {
		switch _, private := p.Private.Slot(id); {
		case !private:
		case port.Trunk:
			problems = append(problems, fmt.Errorf("private VLAN %d is untagged on a trunk: a double-tagged frame could hop into it", id))
		case owner[id] != "":
			problems = append(problems, fmt.Errorf("private VLAN %d is that of %s too", id, owner[id]))
		case !carried[id]:
			problems = append(problems, fmt.Errorf("no trunk of the switch carries private VLAN %d", id))
			fallthrough
		default:
			owner[id] = here
		}
	}
	return problems
}
