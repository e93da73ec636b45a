package accesslog

import (
	"bytes"
	"io"
)

// readAhead is how much is read at once: more would not stay in a core's own cache until it is parsed.
const readAhead = 64 << 10

// lines cuts what r gives into lines, in a buffer of its own.
type lines struct {
	r        io.Reader
	buf      []byte
	from, to int  // what is read and not yet cut: buf[from:to]
	slash    int  // the first backslash in there, or to
	escapes  bool // the line that was returned last holds a backslash
	skipping bool // within a line that is too long
	consumed int64
}

// next returns a line without its line feed, or nil for one that was too long. At the end of r it returns io.EOF, and
// what has no line feed is kept: r may go on later.
func (l *lines) next() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(l.buf[l.from+searched:l.to], '\n'); i >= 0 {
			line := l.buf[l.from : l.from+searched+i]
			l.consume(len(line) + 1)
			if l.skipping || len(line) > MaxLine {
				l.skipping = false
				return nil, nil
			}
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		searched = l.to - l.from
		if l.skipping || searched > MaxLine {
			l.skipping = true
			l.consume(searched)
			searched = 0
		}
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
}

func (l *lines) consume(n int) {
	l.from += n
	l.consumed += int64(n)
	if l.escapes = l.slash < l.from; l.escapes {
		l.findSlash(l.from)
	}
}

// findSlash looks for a backslash. Few lines have one: this is a search for each of those, not for each line.
func (l *lines) findSlash(from int) {
	l.slash = l.to
	if i := bytes.IndexByte(l.buf[from:l.to], '\\'); i >= 0 {
		l.slash = from + i
	}
}

// fill reads more behind what is there.
func (l *lines) fill() error {
	if l.buf == nil {
		l.buf = make([]byte, 4*MaxLine)
	}
	if l.from > 0 {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.slash -= l.from
		l.from = 0
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.to:min(l.to+readAhead, len(l.buf))])
		before := l.to
		l.to += n
		if l.slash == before {
			l.findSlash(before)
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// pending reports whether there is the start of a line that has no end yet.
func (l *lines) pending() bool { return l.skipping || l.from < l.to }

// takeRest returns the line that will have no end, or nil if it is too long.
func (l *lines) takeRest() []byte {
	rest := l.buf[l.from:l.to]
	l.consume(len(rest))
	if l.skipping {
		l.skipping = false
		return nil
	}
	return rest
}
