package poe

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// PortID names a port of a PSE: Group and Port are RFC 3621's
// pethPsePortGroupIndex and pethPsePortIndex, both from 1 to 2147483647. The zero value names no port. In
// text it is "group.port", as in "1.24".
type PortID struct{ Group, Port int }

// maxIndex is the end of the range of both indices in RFC 3621.
const maxIndex = 1<<31 - 1

// ParsePortID reads "group.port", the form that String writes and no other.
func ParsePortID(s string) (PortID, error) {
	group, port, _ := strings.Cut(s, ".")
	g, errGroup := parseIndex(group)
	p, errPort := parseIndex(port)
	if errGroup != nil || errPort != nil {
		return PortID{}, fmt.Errorf("poe: port %q: want group.port, such as 1.24", s)
	}
	return PortID{g, p}, nil
}

func parseIndex(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxIndex || strconv.Itoa(n) != s {
		return 0, errors.New("not an index")
	}
	return n, nil
}

// IsValid reports whether both indices are within RFC 3621's range.
func (p PortID) IsValid() bool {
	return p.Group >= 1 && p.Group <= maxIndex && p.Port >= 1 && p.Port <= maxIndex
}

func (p PortID) String() string { return strconv.Itoa(p.Group) + "." + strconv.Itoa(p.Port) }

// Compare orders by group, then by port.
func (p PortID) Compare(q PortID) int {
	return cmp.Or(cmp.Compare(p.Group, q.Group), cmp.Compare(p.Port, q.Port))
}

// MarshalText writes what String does, and nothing for the zero value.
func (p PortID) MarshalText() ([]byte, error) {
	if p == (PortID{}) {
		return nil, nil
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what MarshalText writes.
func (p *PortID) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*p = PortID{}
		return nil
	}
	*p, err = ParsePortID(string(text))
	return err
}
