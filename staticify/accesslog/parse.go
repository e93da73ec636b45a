package accesslog

import (
	"bytes"
	"time"
)

// parser makes Hits of lines in one Format. What it returns is valid until the next line.
type parser struct {
	format   Format
	hit      Hit
	upstream bool   // Took is the upstream's time already
	decoded  []byte // values that held escapes

	// The second before this line's is mostly the same one.
	stamp []byte
	time  time.Time
}

func newParser(f Format) *parser {
	if f.steps == nil && !f.json {
		f, _ = ParseFormat("combined")
	}
	return &parser{format: f}
}

// parse reports whether the line, without its line feed, is in the format.
func (p *parser) parse(line []byte) bool {
	p.hit, p.upstream, p.decoded = Hit{}, false, p.decoded[:0]
	if p.format.json {
		return p.object(line)
	}
	if !hasPrefix(line, p.format.start) {
		return false
	}
	line = line[len(p.format.start):]
	for i := range p.format.steps {
		s := &p.format.steps[i]
		end := p.end(line, s)
		if end < 0 || !hasPrefix(line[end:], s.stop) || !p.set(s.field, line[:end]) {
			return false
		}
		line = line[end+len(s.stop):]
	}
	// A line with more fields than the format is as common as a format that was once extended.
	return len(line) == 0 || line[0] == ' '
}

// end returns where the value at the start of line ends, or -1.
func (p *parser) end(line []byte, s *step) int {
	switch {
	case s.quoted && !p.format.raw:
		return closingQuote(line)
	case s.stop == "":
		return len(line)
	case len(s.stop) == 1:
		return bytes.IndexByte(line, s.stop[0])
	}
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], s.stop[0])
		if i < 0 {
			return -1
		}
		if from += i; hasPrefix(line[from:], s.stop) {
			return from
		}
		from++
	}
}

// closingQuote returns the place of the first quotation mark that no backslash precedes, or -1.
func closingQuote(s []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(s[from:], '"')
		if i < 0 {
			return -1
		}
		slash := bytes.IndexByte(s[from:from+i], '\\')
		if slash < 0 {
			return from + i
		}
		if from += slash + 2; from > len(s) {
			return -1
		}
	}
}

func hasPrefix(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}

// set stores one value, and reports whether it is one.
func (p *parser) set(f field, v []byte) bool {
	h := &p.hit
	switch f {
	case client:
		h.Client = parseAddr(v)
	case user:
		h.User = p.text(v)
	case timeLocal, timeISO:
		return p.setTime(f, v)
	case timeUnix:
		d, ok := parseSeconds(v)
		h.Time = time.Unix(0, int64(d)).UTC()
		return ok
	case request:
		h.Method, h.Target = splitRequest(p.text(v))
	case method:
		h.Method = p.text(v)
	case target:
		h.Target = p.text(v)
	case host:
		h.Host = p.text(v)
	case status:
		n, ok := parseDigits(v)
		h.Status = int(n)
		return ok && len(v) == 3
	case size:
		var ok bool
		h.Bytes, ok = parseDigits(v)
		return ok || string(v) == "-"
	case requestTime:
		d, ok := parseSeconds(v)
		if !p.upstream {
			h.Took = d
		}
		return ok
	case upstreamTime:
		return p.setUpstream(v)
	case userAgent:
		h.UserAgent = p.text(v)
	}
	return true
}

// text undoes the escapes of v. A single "-" is how logs write nothing.
func (p *parser) text(v []byte) []byte {
	if len(v) == 1 && v[0] == '-' {
		return nil
	}
	if p.format.raw || bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	from := len(p.decoded)
	p.decoded = unescape(p.decoded, v)
	return p.decoded[from:]
}

func (p *parser) setTime(f field, v []byte) bool {
	if len(v) > 0 && bytes.Equal(v, p.stamp) {
		p.hit.Time = p.time
		return true
	}
	parse := parseLocal
	if f == timeISO {
		parse = parseISO
	}
	t, ok := parse(v)
	if ok {
		p.stamp, p.time, p.hit.Time = append(p.stamp[:0], v...), t, t
	}
	return ok
}

// setUpstream adds the times of all upstreams that were asked: "0.010, 0.020 : 0.005"; "-" is one that was not.
func (p *parser) setUpstream(v []byte) bool {
	var sum time.Duration
	for len(v) > 0 {
		end := bytes.IndexAny(v, ",:")
		if end < 0 {
			end = len(v)
		}
		if one := bytes.TrimSpace(v[:end]); len(one) > 0 && string(one) != "-" {
			d, ok := parseSeconds(one)
			if !ok {
				return false
			}
			p.upstream = true
			sum += d
		}
		v = v[min(end+1, len(v)):]
	}
	if p.upstream {
		p.hit.Took = sum
	}
	return true
}

// splitRequest cuts a request line at its first blank and its last. What is no request line has no method.
func splitRequest(v []byte) (method, target []byte) {
	first, last := bytes.IndexByte(v, ' '), bytes.LastIndexByte(v, ' ')
	switch {
	case first <= 0:
		return nil, v
	case first == last: // HTTP/0.9
		return v[:first], v[first+1:]
	}
	return v[:first], v[first+1 : last]
}
