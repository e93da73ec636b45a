package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
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

// NewReader reads lines in format f from r, which is not compressed. It reads ahead.
func NewReader(r io.Reader, f Format) *Reader {
	return &Reader{lines: lines{r: r}, parser: newParser(f), close: func() error { return nil }}
}

// Open reads the file at path, whether it is compressed with gzip or not. Close it.
func Open(path string, f Format) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	buffered := bufio.NewReader(file)
	r := NewReader(buffered, f)
	r.path, r.close = path, file.Close
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("accesslog: %s: %w", path, err), file.Close())
		}
		r.lines.r = unzipped
	}
	return r, nil
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
