package accesslog

import (
	"bytes"
	"time"
)

// parser makes Hits of lines in one Format. What it returns is valid until the next line.
type parser struct {
	format   Format
	hit      Hit
	escapes  bool   // the line may hold escapes
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

// parse reports whether the line, without its line feed, is in the format. Without a backslash it has no escapes.
func (p *parser) parse(line []byte, backslash bool) bool {
	p.escapes = backslash && !p.format.raw
	if p.format.combined && !p.escapes && p.combined(line) {
		return true
	}
	p.hit, p.upstream, p.decoded = Hit{}, false, p.decoded[:0]
	switch {
	case p.format.json:
		return p.object(line)
	case !hasPrefix(line, p.format.start):
		return false
	}
	line = line[len(p.format.start):]
	for i := range p.format.steps {
		s := &p.format.steps[i]
		end := p.end(line, s)
		if end < 0 || s.field != skipped && !p.set(s.field, line[:end]) {
			return false
		}
		line = line[end+len(s.stop):]
	}
	// A line with more fields than the format is as common as a format that was once extended.
	return len(line) == 0 || line[0] == ' '
}

// end returns where the value at the start of line ends: where the text after it begins, or -1.
func (p *parser) end(line []byte, s *step) int {
	switch {
	case s.stop == "":
		return len(line)
	case s.quoted:
		end := p.closingQuote(line)
		if end >= 0 && hasPrefix(line[end:], s.stop) {
			return end
		}
		return -1
	case len(s.stop) == 1:
		return nearByte(line, s.stop[0])
	case s.field == timeLocal && len(line) > localSize && hasPrefix(line[localSize:], s.stop):
		return localSize
	}
	for from := 0; ; from++ {
		i := nearByte(line[from:], s.stop[0])
		if i < 0 {
			return -1
		}
		if from += i; hasPrefix(line[from:], s.stop) {
			return from
		}
	}
}

// closingQuote returns the place of the first quotation mark that no backslash escapes, or -1.
func (p *parser) closingQuote(s []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(s[from:], '"')
		if i < 0 || !p.escapes {
			return i
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

// hasPrefix is for the few bytes between two fields: a loop is faster than a call there.
func hasPrefix(s []byte, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if s[i] != prefix[i] {
			return false
		}
	}
	return true
}

// nearByte is bytes.IndexByte for what is mostly near the start.
func nearByte(s []byte, c byte) int {
	for i := range min(len(s), 8) {
		if s[i] == c {
			return i
		}
	}
	return bytes.IndexByte(s, c)
}

// set stores one value, and reports whether it is one.
func (p *parser) set(f field, v []byte) bool {
	h := &p.hit
	switch f {
	case skipped:
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
	if !p.escapes || bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	from := len(p.decoded)
	p.decoded = unescape(p.decoded, v)
	return p.decoded[from:]
}

func (p *parser) setTime(f field, v []byte) bool {
	if len(v) > 0 && string(v) == string(p.stamp) {
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
	first, last := 3, len(v)-len(" HTTP/1.1")
	if len(v) < 4 || string(v[:4]) != "GET " {
		first = nearByte(v, ' ')
	}
	if last < 0 || string(v[last:]) != " HTTP/1.1" && string(v[last:]) != " HTTP/2.0" {
		last = bytes.LastIndexByte(v, ' ')
	}
	switch {
	case first <= 0:
		return nil, v
	case first == last: // HTTP/0.9
		return v[:first], v[first+1:]
	}
	return v[:first], v[first+1 : last]
}
