package munin

import (
	"maps"
	"slices"
	"strings"
)

// ChangeKind says what became of a host, a group or a setting.
type ChangeKind string

const (
	Added   ChangeKind = "added"   // a host is new; its settings follow as Set
	Removed ChangeKind = "removed" // a host is gone, with its settings
	Moved   ChangeKind = "moved"   // a host is in another group; its RRDs are not
	Set     ChangeKind = "set"     // a setting is new
	Unset   ChangeKind = "unset"   // a setting is gone
	Changed ChangeKind = "changed" // a setting has another value
)

// Change is one difference between two configurations, as a person would say it.
type Change struct {
	Kind ChangeKind `json:"kind"` // says which of the other fields are set
	// Host is "group;host", "group;" for a group's own setting, "" for a global
	// one. Of a host that moved it is the new name.
	Host string `json:"host,omitempty"`
	// Key is munin's key; "" where the whole host is meant.
	Key string `json:"key,omitempty"`
	// Old and New are values, or, of a host that moved, its full names.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// String returns the change as one line.
func (c Change) String() string {
	subject := c.Host
	if c.Key != "" && subject != "" {
		subject += ": "
	}
	subject += c.Key
	switch c.Kind {
	case Moved:
		return c.Old + ": moved to " + c.New
	case Set:
		return subject + ": " + c.New
	case Unset:
		return subject + ": no longer " + c.Old
	case Changed:
		return subject + ": " + c.Old + " -> " + c.New
	}
	return subject + ": " + string(c.Kind)
}

// Diff returns what leads from old to new, in the order of the written files;
// nil is an empty configuration. A host that is in another group has moved, if
// its name is there once before and once after.
func Diff(old, new *Master) []Change {
	var ps problems // invalid masters have differences too
	before, after := tree{}, tree{}
	if old != nil {
		before = old.tree(&ps)
	}
	if new != nil {
		after = new.tree(&ps)
	}
	moved := moves(before, after)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(union(before, after))) {
		from, to := before[name], after[name]
		switch {
		case to == nil && moved.from[name]:
		case to == nil && from.host != "":
			changes = append(changes, Change{Kind: Removed, Host: name})
			continue
		case from == nil && moved.to[name] != "":
			from = before[moved.to[name]]
			changes = append(changes, Change{Kind: Moved, Host: name, Old: moved.to[name], New: name})
		case from == nil && to.host != "":
			changes = append(changes, Change{Kind: Added, Host: name})
		}
		if to != nil || from.host == "" {
			changes = append(changes, diffSettings(name, from.values(), to.values())...)
		}
	}
	return changes
}

func (s *section) values() map[string]setting {
	if s == nil {
		return nil
	}
	return s.settings
}

func diffSettings(name string, before, after map[string]setting) []Change {
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(union(before, after))) {
		from, was := before[key]
		to, is := after[key]
		c := Change{Host: name, Key: key, Old: from.value, New: to.value}
		switch {
		case was && is && from.value == to.value:
			continue
		case was && is:
			c.Kind = Changed
		case is:
			c.Kind = Set
		default:
			c.Kind = Unset
		}
		changes = append(changes, c)
	}
	return changes
}

func union[V any](a, b map[string]V) map[string]struct{} {
	keys := make(map[string]struct{}, len(a)+len(b))
	for key := range a {
		keys[key] = struct{}{}
	}
	for key := range b {
		keys[key] = struct{}{}
	}
	return keys
}

// movedHosts are full names: those left, and those taken with where from.
type movedHosts struct {
	from map[string]bool
	to   map[string]string
}

func moves(before, after tree) movedHosts {
	gone, come := onlyIn(before, after), onlyIn(after, before)
	m := movedHosts{map[string]bool{}, map[string]string{}}
	for host, to := range come {
		if from := gone[host]; len(from) == 1 && len(to) == 1 {
			m.from[from[0]], m.to[to[0]] = true, from[0]
		}
	}
	return m
}

// onlyIn returns the full names of hosts that are in a and not in b, by their
// names.
func onlyIn(a, b tree) map[string][]string {
	hosts := map[string][]string{}
	for name, s := range a {
		if s.host != "" && b[name] == nil {
			lower := strings.ToLower(s.host)
			hosts[lower] = append(hosts[lower], name)
		}
	}
	return hosts
}
