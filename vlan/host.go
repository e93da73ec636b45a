package vlan

import (
	"fmt"
)

// Host is a computer with VLAN interfaces.
type Host struct {
	// Name says in errors and comments which host it is.
	Name string
	// RootDevice is the interface over which the host has mounted its root
	// filesystem, as eth0. The kernel has configured it, and every file
	// leaves it as it is. Empty is none.
	RootDevice string
	// Interfaces are in the order in which they are written.
	Interfaces []Interface
}

// File is a file that a host's network configuration wants.
type File struct {
	// Name is its slash-separated path below the directory that the function
	// that made it names.
	Name string
	// Text is the whole contents.
	Text string
	// Secret files are ignored by their reader unless root alone can read
	// them: their mode is 0600.
	Secret bool
}

// parents returns the parents of the host's interfaces in order, each once.
func (h Host) parents() []string {
	var parents []string
	seen := map[string]bool{}
	for _, i := range h.Interfaces {
		if !seen[i.Parent] {
			parents = append(parents, i.Parent)
		}
		seen[i.Parent] = true
	}
	return parents
}

func (h Host) problems() []error {
	var problems []error
	if h.RootDevice != "" {
		if err := nameProblem(h.RootDevice); err != nil {
			problems = append(problems, fmt.Errorf("root device: %w", err))
		}
	}
	names, tags := map[string]bool{h.RootDevice: true}, map[parentTag]string{}
	for _, i := range h.Interfaces {
		name := i.IfName()
		for _, problem := range i.problems() {
			problems = append(problems, fmt.Errorf("%s: %w", name, problem))
		}
		if names[name] {
			problems = append(problems, fmt.Errorf("%s: the name is another interface's too", name))
		}
		names[name] = true
		key := parentTag{i.Parent, tag{i.Protocol, i.ID}}
		if other, ok := tags[key]; ok {
			problems = append(problems, fmt.Errorf("%s: VLAN %d is on %s twice: as %s too", name, i.ID, i.Parent, other))
		}
		tags[key] = name
	}
	return problems
}
