package switchconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/vlan"
)

// find returns the switch of that name of a plan without problems, all of whose
// ports have names of their own.
func find(plan vlan.Plan, name string) (vlan.Switch, error) {
	if err := plan.Check(); err != nil {
		return vlan.Switch{}, fmt.Errorf("switchconf: %w", err)
	}
	at := slices.IndexFunc(plan.Switches, func(s vlan.Switch) bool { return s.Name == name })
	if at < 0 {
		return vlan.Switch{}, fmt.Errorf("switchconf: the plan has no switch %q", name)
	}
	var problems []error
	for _, port := range plan.Switches[at].Ports {
		if port.Name == "" {
			problems = append(problems, fmt.Errorf("switchconf: switch %s: port %d has no name", name, port.Number))
		}
	}
	return plan.Switches[at], errors.Join(problems...)
}

// named is a VLAN and what it is called.
type named struct {
	id   vlan.ID
	name string
}

// vlans returns the VLANs of a switch in order. One that is untagged on a port
// is called what the port is described as, the public one "public".
func vlans(plan vlan.Plan, s vlan.Switch) []named {
	names := map[vlan.ID]string{}
	for _, port := range s.Ports {
		for _, id := range slices.Concat(port.Untagged, port.Tagged) {
			if names[id] == "" {
				names[id] = fmt.Sprintf("vlan%d", id)
			}
		}
	}
	for _, port := range s.Ports {
		if word := oneWord(port.Description); word != "" && port.PVID != 0 {
			names[port.PVID] = fmt.Sprintf("%s-%d", word, port.PVID)
		}
	}
	if _, ok := names[plan.Public]; ok {
		names[plan.Public] = fmt.Sprintf("public-%d", plan.Public)
	}
	var all []named
	for id, name := range names {
		all = append(all, named{id, name})
	}
	slices.SortFunc(all, func(a, b named) int { return int(a.id) - int(b.id) })
	return all
}

// maxWord is what is left of the 32 bytes of a name on IOS for a description.
const maxWord = 24

// oneWord makes of a description what every switch takes in a VLAN's name.
func oneWord(description string) string {
	word := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
			return c
		}
		return '-'
	}, description)
	return strings.Trim(word[:min(len(word), maxWord)], "-")
}

// ranges writes ids as 10-17,131, in parts of at most n ranges.
func ranges(ids []vlan.ID, n int) []string {
	sorted := slices.Compact(slices.Sorted(slices.Values(ids)))
	var parts []string
	for len(sorted) > 0 {
		last := 0
		for last+1 < len(sorted) && sorted[last+1] == sorted[last]+1 {
			last++
		}
		part := sorted[0].String()
		if last > 0 {
			part += "-" + sorted[last].String()
		}
		parts = append(parts, part)
		sorted = sorted[last+1:]
	}
	var lines []string
	for chunk := range slices.Chunk(parts, n) {
		lines = append(lines, strings.Join(chunk, ","))
	}
	return lines
}
