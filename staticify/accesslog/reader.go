package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
)

// MaxLine is the longest line that is read, in bytes. Longer ones are skipped and counted.
const MaxLine = 64 << 10

// Stats counts the lines that were read. Lines is all of them, the unreadable ones included.
type Stats struct {
	Lines     uint64
	Malformed uint64 // not in the format, or cut off
	TooLong   uint64 // longer than MaxLine
}

// Reader reads one log from start to end. It is not safe for use from several goroutines.
type Reader struct {
	lines  lines
	parser *parser
	path   string // for errors
	close  func() error
	stats  Stats
}

// NewReader reads lines in format f from r, whether that is compressed with gzip or not. It reads ahead.
func NewReader(r io.Reader, f Format) *Reader {
	return &Reader{lines: lines{r: &text{r: r}}, parser: newParser(f), close: func() error { return nil }}
}

// Open reads the file at path as NewReader does. Close it.
func Open(path string, f Format) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	r := NewReader(file, f)
	r.path, r.close = path, file.Close
	return r, nil
}

// text is what r holds, without its compression.
type text struct {
	r     io.Reader
	begun bool
}

func (t *text) Read(b []byte) (int, error) {
	if !t.begun {
		t.begun = true
		if err := t.begin(); err != nil {
			t.r = strings.NewReader("")
			return 0, err
		}
	}
	return t.r.Read(b)
}

func (t *text) begin() (err error) {
	buffered := bufio.NewReader(t.r)
	t.r = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		t.r, err = gzip.NewReader(buffered)
	}
	return err
}

// Close closes what Open opened.
func (r *Reader) Close() error { return r.close() }

// Stats returns the counts up to now.
func (r *Reader) Stats() Stats { return r.stats }

// Next returns the next line that is in the format; lines that are not are counted in Stats, and skipped. The Hit is
// valid until the next call, which reuses it. The error is io.EOF at the end.
func (r *Reader) Next() (*Hit, error) {
	for {
		line, err := r.lines.next()
		if err == io.EOF && r.lines.pending() {
			line, err = r.lines.takeRest(), nil
		}
		if err != nil && err != io.EOF && r.path != "" {
			err = fmt.Errorf("accesslog: %s: after line %d: %w", r.path, r.stats.Lines, err)
		}
		if err != nil {
			return nil, err
		}
		if r.count(line) {
			return &r.parser.hit, nil
		}
	}
}

// count parses a line; nil is one that was too long.
func (r *Reader) count(line []byte) bool {
	r.stats.Lines++
	switch {
	case line == nil:
		r.stats.TooLong++
	case !r.parser.parse(line, r.lines.escapes):
		r.stats.Malformed++
	default:
		return true
	}
	return false
}

// All ranges over the rest of the log. An error ends it.
func (r *Reader) All() iter.Seq2[*Hit, error] { return Merge(r) }

// Merge ranges over the rest of several logs, in the order of their times as far as each log is in that order itself. A
// log that cannot be read further gives its error once, and the others go on.
func Merge(readers ...*Reader) iter.Seq2[*Hit, error] {
	return func(yield func(*Hit, error) bool) {
		heads := make([]*Hit, len(readers))
		// advance reads the next line of one log, and reports whether the caller wants more.
		advance := func(i int) bool {
			var err error
			if heads[i], err = readers[i].Next(); err != nil && err != io.EOF {
				return yield(nil, err)
			}
			return true
		}
		for i := range readers {
			if !advance(i) {
				return
			}
		}
		for {
			i := earliest(heads)
			if i < 0 || !yield(heads[i], nil) || !advance(i) {
				return
			}
		}
	}
}

// earliest returns the place of the Hit with the earliest time, or -1 when all are nil.
func earliest(heads []*Hit) int {
	first := -1
	for i, h := range heads {
		if h != nil && (first < 0 || h.Time.Before(heads[first].Time)) {
			first = i
		}
	}
	return first
}
