package munin

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a configuration. The errors of this
// package wrap all of them with [errors.Join].
type Problem struct {
	// File and Line are where it was read: the first line of the statement,
	// from 1. They are "" and 0 for what was not read from a file.
	File string
	Line int
	// Host is "group;host", or "group;" for a group's own setting, or "".
	Host string
	// Key is munin's key; "" when the host itself is wrong.
	Key string
	// Rule says what is wrong and what to do.
	Rule string
}

func (p *Problem) Error() string {
	text := "munin: "
	if p.File != "" {
		text += fmt.Sprintf("%s:%d: ", p.File, p.Line)
	}
	for _, part := range []string{p.Host, p.Key} {
		if part != "" {
			text += printable(part) + ": "
		}
	}
	return text + p.Rule
}

// printable quotes what would break a line or a terminal.
func printable(s string) string {
	if q := fmt.Sprintf("%q", s); q != `"`+s+`"` {
		return q
	}
	return s
}

// problems collects problems and joins them, in the order of files and lines.
type problems []*Problem

func (ps *problems) add(at position, host, key, format string, args ...any) {
	*ps = append(*ps, &Problem{at.file, at.line, host, key, fmt.Sprintf(format, args...)})
}

func (ps problems) join() error {
	slices.SortStableFunc(ps, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// position is where a setting was read.
type position struct {
	file string
	line int
}

// setting is a key's value. One that has none (bare) is munin's undef.
type setting struct {
	value   string
	bare    bool
	at      position
	earlier position // where it stood before; its line is 0 when it did not
}

// section is the settings of one place: of a host, of a group when host is "",
// and of munin as a whole when there are no groups either.
type section struct {
	groups   []string
	host     string
	settings map[string]setting
	at       position // of the first setting
}

// name is "group;host", "group;" or "".
func (s *section) name() string { return placeName(s.groups, s.host) }

func placeName(groups []string, host string) string {
	if len(groups) == 0 {
		return ""
	}
	return strings.Join(groups, ";") + ";" + host
}

// keys returns the section's keys in their written order.
func (s *section) keys() []string {
	keys := make([]string, 0, len(s.settings))
	for key := range s.settings {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// tree is a configuration as munin-update holds it in memory.
type tree map[string]*section

// at returns the section of a place, made if need be.
func (t tree) at(groups []string, host string, where position) *section {
	name := placeName(groups, host)
	s := t[name]
	if s == nil {
		s = &section{groups: groups, host: host, settings: make(map[string]setting, 4), at: where}
		t[name] = s
	}
	return s
}

// sorted returns the sections in their written order: munin's own settings, and
// each group before its hosts.
func (t tree) sorted() []*section {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	sections := make([]*section, len(names))
	for i, name := range names {
		sections[i] = t[name]
	}
	return sections
}
