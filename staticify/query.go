package staticify

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// DefaultIgnore is what a nil [Query.Ignore] stands for: parameters that tell campaigns apart, not pages.
func DefaultIgnore() []string { return []string{"utm_*", "gclid", "fbclid"} }

// Query says which parameters make a page. A request with any other one is for the origin.
//
// A pattern is a name, or the beginning of one and a star. Names are compared byte by byte, case included, and are made
// of letters, digits and the four bytes "-._~"; Keep wins where both lists match.
type Query struct {
	Ignore []string // dropped from the request, before it is rendered too; nil means DefaultIgnore, empty means none
	Keep   []string // part of the Key
}

// Validate returns all the patterns that can match nothing, as one error.
func (q Query) Validate() error {
	var bad []string
	for _, p := range slices.Concat(q.Ignore, q.Keep) {
		name, _ := strings.CutSuffix(p, "*")
		if p == "" || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || !isUnreserved(byte(r)) }) {
			bad = append(bad, fmt.Sprintf("%q", p))
		}
	}
	if bad == nil {
		return nil
	}
	return fmt.Errorf("staticify: query patterns %s: want letters, digits and -._~, then perhaps one star at the end", strings.Join(bad, ", "))
}

// Canonical makes the Key of a request target as the request line had it. It never repairs a target: one that is not in
// normal form may be redirected by the origin, and a server that compares bytes would not find the file; so it is
// refused. The error is a *[Refusal].
//
// The order of parameters is kept: servers cannot sort, and an origin may tell two orders apart.
func (q Query) Canonical(target string) (Key, error) {
	canon, refusal := q.rules().canonical(nil, []byte(target))
	if refusal != nil {
		return Key{}, refusal
	}
	return keyOf(string(canon)), nil
}

// rules is a Query made ready for many targets.
type rules struct{ ignore, keep []string }

func (q Query) rules() rules {
	r := rules{ignore: q.Ignore, keep: q.Keep}
	if r.ignore == nil {
		r.ignore = DefaultIgnore()
	}
	return r
}

// canonical returns the target of the Key. It is target itself, or the query is appended to buf[:0] after the path.
func (r rules) canonical(buf, target []byte) ([]byte, *Refusal) {
	if len(target) > MaxTarget {
		return nil, &Refusal{TooLong, fmt.Sprintf("%d bytes", len(target))}
	}
	path, query, asked := bytes.Cut(target, []byte("?"))
	if refusal := checkPath(path); refusal != nil {
		return nil, refusal
	}
	if !asked {
		return path, nil
	}
	kept, refusal := r.keepers(append(append(buf[:0], path...), '?'), query)
	if refusal != nil {
		return nil, refusal
	}
	if len(kept)-len(path)-1 > MaxQuery {
		return nil, &Refusal{TooLong, fmt.Sprintf("query of %d bytes", len(kept)-len(path)-1)}
	}
	return bytes.TrimSuffix(kept, []byte("?")), nil
}

// keepers appends the parameters that are part of the key to dst, which ends with a question mark.
func (r rules) keepers(dst, query []byte) ([]byte, *Refusal) {
	separator := false
	for more := true; more; {
		var parameter []byte
		parameter, query, more = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(parameter, []byte("="))
		if len(name) == 0 || bytes.ContainsFunc(name, func(c rune) bool { return c > 0x7e || !isUnreserved(byte(c)) }) {
			return nil, &Refusal{BadQuery, fmt.Sprintf("parameter %q", name)}
		}
		switch {
		case matches(r.keep, name):
			if at := strayValue(value); at >= 0 {
				return nil, &Refusal{BadQuery, fmt.Sprintf("byte %q in the value of %s", value[at], name)}
			}
			if separator {
				dst = append(dst, '&')
			}
			dst, separator = append(dst, parameter...), true
		case !matches(r.ignore, name):
			return nil, &Refusal{UnknownQuery, string(name)}
		case bytes.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }):
			return nil, &Refusal{BadQuery, fmt.Sprintf("value of %s", name)}
		}
	}
	return dst, nil
}

func matches(patterns []string, name []byte) bool {
	for _, p := range patterns {
		if start, open := strings.CutSuffix(p, "*"); open {
			if len(name) >= len(start) && string(name[:len(start)]) == start {
				return true
			}
		} else if string(name) == p {
			return true
		}
	}
	return false
}

// strayValue returns the place of the first byte that no kept value may hold, or -1.
func strayValue(value []byte) int {
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case isUnreserved(c), c == '+':
		case c == '%' && i+2 < len(value) && isHex(value[i+1]) && isHex(value[i+2]):
			i += 2
		default:
			return i
		}
	}
	return -1
}

// checkPath refuses what is no absolute path in normal form (RFC 3986, sections 3.3 and 6.2.2).
func checkPath(path []byte) *Refusal {
	if len(path) == 0 || path[0] != '/' {
		return &Refusal{BadPath, "not an absolute path"}
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		switch {
		case i == len(path) || path[i] == '/':
			if refusal := checkSegment(path[start:i], i == len(path)); refusal != nil {
				return refusal
			}
			start = i + 1
		case isPathByte[path[i]]:
		case path[i] == '%':
			if !isPathEscape(path[i:]) {
				return &Refusal{BadPath, fmt.Sprintf("escape %q", path[i:min(i+3, len(path))])}
			}
			i += 2
		default:
			return &Refusal{BadPath, fmt.Sprintf("byte %q", path[i])}
		}
	}
	return nil
}

func checkSegment(segment []byte, last bool) *Refusal {
	switch {
	case len(segment) == 0 && !last:
		return &Refusal{BadPath, "empty segment"}
	case string(segment) == "." || string(segment) == "..":
		return &Refusal{BadPath, "dot segment"}
	case len(segment) > MaxSegment:
		return &Refusal{TooLong, fmt.Sprintf("segment of %d bytes", len(segment))}
	}
	return nil
}

// isPathEscape reports whether s begins with an escape that means what it says: two hexadecimal digits for a byte that
// could not stand there itself, and that no server takes for a separator, an end or a control.
func isPathEscape(s []byte) bool {
	if len(s) < 3 || !isHex(s[1]) || !isHex(s[2]) {
		return false
	}
	c := unhex(s[1])<<4 | unhex(s[2])
	return c >= 0x20 && c != 0x7f && !isPathByte[c] && !strings.ContainsRune(`/\%?#`, rune(c))
}

// isPathByte holds the bytes of pchar (RFC 3986, section 3.3) without the percent sign.
var isPathByte = func() (table [256]bool) {
	for c := range table {
		table[c] = isUnreserved(byte(c)) || strings.IndexByte("!$&'()*+,;=:@", byte(c)) >= 0
	}
	return table
}()

// isUnreserved reports the bytes that never need an escape (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xdf - 'A' + 10
}
