package render

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/berryrack/berryrack/nat64"
)

// A Version is a program's, as far as it decides what the program can do:
// Major.Minor.Patch.
type Version struct {
	Major, Minor, Patch int
}

// ParseVersion reads the numbers that text begins with: "1.17.1-2+deb12u4" is 1.17.1.
func ParseVersion(text string) (Version, error) {
	numbers := text
	if end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' }); end >= 0 {
		numbers = text[:end]
	}
	parts := strings.Split(numbers, ".")
	var v Version
	for i, at := range []*int{&v.Major, &v.Minor, &v.Patch} {
		if i >= len(parts) {
			break
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return Version{}, fmt.Errorf("render: %q is not a version such as 1.17.1", text)
		}
		*at = n
	}
	return v, nil
}

// String returns v as "1.17.1".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// or returns v, or the version of Debian 12 for the zero one.
func (v Version) or(major, minor, patch int) Version {
	if v == (Version{}) {
		return Version{major, minor, patch}
	}
	return v
}

func (v Version) before(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major < major
	}
	if v.Minor != minor {
		return v.Minor < minor
	}
	return v.Patch < patch
}

// problems are what a program cannot express.
type problems struct {
	program string
	errs    []error
}

func (p *problems) add(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("render: "+p.program+": "+format, args...))
}

func (p *problems) err() error { return errors.Join(p.errs...) }

// onlyPrefix returns the prefix of a table that has no ranges, for programs
// that have none either.
func (p *problems) onlyPrefix(table *nat64.Table) nat64.Prefix {
	rules := table.Rules()
	switch {
	case len(rules) == 0 || !rules[len(rules)-1].Prefix.IsValid() && len(rules) == 1:
		p.add("no prefix is given")
	case len(rules) > 1 || rules[0].IPv4.Bits() != 0:
		p.add("it has one prefix for all IPv4 addresses, not ranges with prefixes of their own or none")
	default:
		return rules[0].Prefix
	}
	return nat64.Prefix{}
}
