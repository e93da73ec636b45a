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
		if p == "" || stray([]byte(name), isUnreserved) >= 0 {
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
	canon, f := q.rules().canonical(nil, []byte(target))
	if f.reason != 0 {
		return Key{}, f.refusal()
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

// fault is a Refusal that has not been put into words: logs are full of them.
type fault struct {
	reason Reason
	what   string
	bytes  []byte
}

func (f fault) refusal() *Refusal {
	if f.bytes == nil {
		return &Refusal{f.reason, f.what}
	}
	return &Refusal{f.reason, fmt.Sprintf("%s %q", f.what, f.bytes)}
}

// canonical returns the target of the Key: the path of target itself, or buf with a query after it.
func (r rules) canonical(buf, target []byte) ([]byte, fault) {
	if len(target) > MaxTarget {
		return nil, fault{reason: TooLong, what: "target"}
	}
	path, query, asked := bytes.Cut(target, []byte("?"))
	if f := checkPath(path); f.reason != 0 || !asked {
		return path, f
	}
	kept, f := r.keepers(append(append(buf[:0], path...), '?'), query)
	if len(kept)-len(path)-1 > MaxQuery {
		f = fault{reason: TooLong, what: "query"}
	}
	return bytes.TrimSuffix(kept, []byte("?")), f
}

// keepers appends the parameters that are part of the key to dst, which ends with a question mark.
func (r rules) keepers(dst, query []byte) ([]byte, fault) {
	separator := false
	for more := true; more; {
		var parameter []byte
		parameter, query, more = bytes.Cut(query, []byte("&"))
		name, value, _ := bytes.Cut(parameter, []byte("="))
		keep, f := r.decide(name, value)
		if f.reason != 0 {
			return nil, f
		}
		if !keep {
			continue
		}
		if separator {
			dst = append(dst, '&')
		}
		dst, separator = append(dst, parameter...), true
	}
	return dst, fault{}
}

// decide says whether a parameter is part of the key.
func (r rules) decide(name, value []byte) (keep bool, f fault) {
	switch {
	case len(name) == 0:
		return false, fault{reason: BadQuery, what: "empty parameter"}
	case stray(name, isUnreserved) >= 0:
		return false, fault{BadQuery, "parameter", name}
	case matches(r.keep, name):
		if strayValue(value) >= 0 {
			return false, fault{BadQuery, "value of", name}
		}
		return true, fault{}
	case !matches(r.ignore, name):
		return false, fault{UnknownQuery, "parameter", name}
	case stray(value, isVisible) >= 0:
		return false, fault{BadQuery, "value of", name}
	}
	return false, fault{}
}

// stray returns the place of the first byte that is not allowed, or -1.
func stray(s []byte, allowed func(byte) bool) int {
	return slices.IndexFunc(s, func(c byte) bool { return !allowed(c) })
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
func checkPath(path []byte) fault {
	if len(path) == 0 || path[0] != '/' {
		return fault{BadPath, "no absolute path:", path}
	}
	start := 1
	for i := 1; i <= len(path); i++ {
		switch {
		case i == len(path) || path[i] == '/':
			if f := checkSegment(path[start:i], i == len(path)); f.reason != 0 {
				return f
			}
			start = i + 1
		case isPathByte[path[i]]:
		case path[i] == '%':
			if !isPathEscape(path[i:]) {
				return fault{BadPath, "escape", path[i:min(i+3, len(path))]}
			}
			i += 2
		default:
			return fault{BadPath, "byte", path[i : i+1]}
		}
	}
	return fault{}
}

func checkSegment(segment []byte, last bool) fault {
	switch {
	case len(segment) == 0 && !last:
		return fault{reason: BadPath, what: "empty segment"}
	case string(segment) == "." || string(segment) == "..":
		return fault{reason: BadPath, what: "dot segment"}
	case len(segment) > MaxSegment:
		return fault{reason: TooLong, what: "segment"}
	}
	return fault{}
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

// isVisible reports the bytes that a query may hold without ending the target.
func isVisible(c byte) bool { return ' ' < c && c < 0x7f && c != '#' }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xdf - 'A' + 10
}
