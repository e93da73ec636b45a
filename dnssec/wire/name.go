package wire

import (
	"errors"
	"fmt"
	"strings"
)

// MaxName is the longest name in octets, with its root label (RFC 1035 section 3.1).
const MaxName = 255

var (
	errEmptyLabel = errors.New("empty label")
	errLongLabel  = errors.New("label longer than 63 octets")
	errLongName   = errors.New("name longer than 255 octets")
	errEscape     = errors.New(`bad escape: want \DDD up to 255, or \ and a character`)
	errEmptyName  = errors.New("empty name")
)

// Name is a domain name in uncompressed wire form (RFC 1035 section 3.1), with
// its letters in lower case and its root label. The zero value is no name.
type Name string

// Root is the name of the root zone.
const Root Name = "\x00"

// ParseName reads a name in presentation form. A name without a final dot is
// taken as if it had one.
func ParseName(text string) (Name, error) {
	wire, err := appendName(nil, []byte(text), Root, true)
	if err != nil {
		return "", fmt.Errorf("wire: name %q: %w", text, err)
	}
	return Name(wire), nil
}

// NameFromWire takes the name at the start of wire, and returns what follows it.
// Compression is an error.
func NameFromWire(wire []byte) (name Name, rest []byte, err error) {
	n, err := wireNameLen(wire)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	lowered := append(make([]byte, 0, MaxName), wire[:n]...)
	lower(lowered)
	return Name(lowered), wire[n:], nil
}

// String returns the presentation form, with its final dot.
func (n Name) String() string { return string(AppendName(nil, string(n))) }

// Labels counts the labels, the root's not.
func (n Name) Labels() int {
	count := 0
	for i := 0; i < len(n) && n[i] != 0; i += int(n[i]) + 1 {
		count++
	}
	return count
}

// Parent returns the name without its first label, "" for the root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return ""
	}
	return n[int(n[0])+1:]
}

// Ancestor returns the name's last labels; the name itself when it has no more.
func (n Name) Ancestor(labels int) Name {
	for drop := n.Labels() - labels; drop > 0; drop-- {
		n = n.Parent()
	}
	return n
}

// Under reports whether the name is parent or a name below it.
func (n Name) Under(parent Name) bool {
	if !strings.HasSuffix(string(n), string(parent)) {
		return false
	}
	for len(n) > len(parent) {
		n = n.Parent()
	}
	return n == parent
}

// IsWildcard reports whether the first label is an asterisk (RFC 4592 section 2.1.1).
func (n Name) IsWildcard() bool { return strings.HasPrefix(string(n), "\x01*") }

// Wildcard returns the wildcard directly below the name, "" when that is too long.
func (n Name) Wildcard() Name {
	if len(n)+2 > MaxName {
		return ""
	}
	return "\x01*" + n
}

// Compare orders names canonically (RFC 4034 section 6.1).
func (n Name) Compare(m Name) int {
	var a, b [2 * MaxName]byte
	return strings.Compare(string(AppendKey(a[:0], string(n))), string(AppendKey(b[:0], string(m))))
}

// AppendKey appends a form of the name whose octets compare as the names do in
// canonical order, and which begins with the key of each of its ancestors: the
// labels from the root on, each ended by 0, with 0 and 1 inside them escaped.
func AppendKey(dst []byte, wire string) []byte {
	var starts [MaxName / 2]uint8
	labels := 0
	for i := 0; i < len(wire) && wire[i] != 0; i += int(wire[i]) + 1 {
		starts[labels] = uint8(i)
		labels++
	}
	for labels--; labels >= 0; labels-- {
		at := int(starts[labels])
		for _, c := range []byte(wire[at+1 : at+1+int(wire[at])]) {
			if c <= 1 {
				dst = append(dst, 1)
				c++
			}
			dst = append(dst, c)
		}
		dst = append(dst, 0)
	}
	return dst
}

// wireNameLen returns the length of the uncompressed name at the start of wire.
func wireNameLen(wire []byte) (int, error) {
	for at := 0; at < len(wire) && at < MaxName; at += int(wire[at]) + 1 {
		switch {
		case wire[at] == 0:
			return at + 1, nil
		case wire[at] > 63:
			return 0, errLongLabel
		}
	}
	if len(wire) >= MaxName {
		return 0, errLongName
	}
	return 0, errors.New("name is cut short")
}

// AppendWire appends the wire form of a name in presentation form, in lower case; a
// relative one is completed with origin.
func AppendWire(dst, text []byte, origin Name) ([]byte, error) {
	return appendName(dst, text, origin, true)
}

// appendName is AppendWire, which leaves letters as they are if so told.
func appendName(dst, text []byte, origin Name, toLower bool) ([]byte, error) {
	if len(text) == 1 {
		switch text[0] {
		case '.':
			return append(dst, 0), nil
		case '@':
			return append(dst, origin...), nil
		}
	}
	if len(text) == 0 {
		return dst, errEmptyName
	}
	start, length := len(dst), len(dst)
	dst = append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			if len(dst) == length+1 {
				return dst, errEmptyLabel
			}
			dst[length] = byte(len(dst) - length - 1)
			length = len(dst)
			dst = append(dst, 0)
			continue
		}
		if c == '\\' {
			var err error
			if c, i, err = unescape(text, i); err != nil {
				return dst, err
			}
		}
		if toLower && c-'A' < 26 {
			c += 'a' - 'A'
		}
		if len(dst)-length > 63 {
			return dst, errLongLabel
		}
		dst = append(dst, c)
	}
	if len(dst) > length+1 { // no final dot: a relative name
		dst[length] = byte(len(dst) - length - 1)
		dst = append(dst, origin...)
	}
	if len(dst)-start > MaxName {
		return dst, errLongName
	}
	return dst, nil
}

// unescape reads the escape at text[i], and returns the index of its last octet.
func unescape(text []byte, i int) (c byte, last int, err error) {
	if i+1 >= len(text) {
		return 0, i, errEscape
	}
	if !isDigit(text[i+1]) {
		return text[i+1], i + 1, nil
	}
	if i+3 >= len(text) || !isDigit(text[i+2]) || !isDigit(text[i+3]) {
		return 0, i, errEscape
	}
	value := int(text[i+1]-'0')*100 + int(text[i+2]-'0')*10 + int(text[i+3]-'0')
	if value > 255 {
		return 0, i, errEscape
	}
	return byte(value), i + 3, nil
}

// AppendName appends the presentation form of the wire-form name at the start of
// wire, with its final dot. The case of its letters is kept.
func AppendName(dst []byte, wire string) []byte {
	if len(wire) == 0 || wire[0] == 0 {
		return append(dst, '.')
	}
	for at := 0; at < len(wire) && wire[at] != 0; at += int(wire[at]) + 1 {
		for _, c := range []byte(wire[at+1 : min(at+1+int(wire[at]), len(wire))]) {
			switch {
			case c <= ' ' || c >= 0x7f:
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
				continue
			case strings.IndexByte(`."\;()@$`, c) >= 0:
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
		dst = append(dst, '.')
	}
	return dst
}

func isDigit(c byte) bool { return c-'0' < 10 }

// lower turns the ASCII letters of a wire-form name into lower case: its lengths
// are at most 63 and so never letters.
func lower(wire []byte) {
	for i, c := range wire {
		if c-'A' < 26 {
			wire[i] = c + 'a' - 'A'
		}
	}
}
