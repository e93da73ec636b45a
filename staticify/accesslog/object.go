package accesslog

import "bytes"

// maxDepth bounds objects within objects, which are skipped.
const maxDepth = 16

// object reads a line that is one JSON object. It takes the members whose names it knows, and checks of the others only
// where they end.
func (p *parser) object(line []byte) bool {
	rest, ok := after(line, '{')
	if !ok {
		return false
	}
	if end, ok := after(rest, '}'); ok {
		return len(blank(end)) == 0
	}
	for {
		var key, value []byte
		if key, rest, ok = p.quoted(rest); !ok {
			return false
		}
		if rest, ok = after(rest, ':'); !ok {
			return false
		}
		if value, rest, ok = p.jsonValue(rest); !ok || !p.member(key, value) {
			return false
		}
		next, more := after(rest, ',')
		if !more {
			break
		}
		rest = next
	}
	rest, ok = after(rest, '}')
	return ok && len(blank(rest)) == 0
}

// member stores a value unless it is null, an object or an array.
func (p *parser) member(key, value []byte) bool {
	f := fieldOf(string(key))
	if f == skipped || len(value) == 0 {
		return true
	}
	return p.set(f, value)
}

// jsonValue cuts the value off that s begins with. Strings come without their marks; what has no text comes empty.
func (p *parser) jsonValue(s []byte) (value, rest []byte, ok bool) {
	s = blank(s)
	if len(s) == 0 {
		return nil, nil, false
	}
	switch s[0] {
	case '"':
		return p.quoted(s)
	case '{', '[':
		rest, ok = p.skipNested(s)
		return nil, rest, ok
	}
	end := bytes.IndexAny(s, ",}] \t")
	if end <= 0 {
		return nil, nil, false
	}
	value, rest = s[:end], s[end:]
	if string(value) == "null" {
		value = nil
	}
	return value, rest, true
}

func (p *parser) quoted(s []byte) (text, rest []byte, ok bool) {
	s, ok = after(s, '"')
	end := p.closingQuote(s)
	if !ok || end < 0 {
		return nil, nil, false
	}
	return s[:end], s[end+1:], true
}

// skipNested returns what follows the object or array that s begins with.
func (p *parser) skipNested(s []byte) ([]byte, bool) {
	for depth := 0; len(s) > 0; {
		switch s[0] {
		case '"':
			var ok bool
			if _, s, ok = p.quoted(s); !ok {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s = s[1:]
		if depth == 0 {
			return s, true
		}
		if depth > maxDepth {
			break
		}
	}
	return nil, false
}

// after returns what follows c, where c is the next byte that is not blank.
func after(s []byte, c byte) ([]byte, bool) {
	s = blank(s)
	if len(s) == 0 || s[0] != c {
		return nil, false
	}
	return s[1:], true
}

func blank(s []byte) []byte { return bytes.TrimLeft(s, " \t\r") }
