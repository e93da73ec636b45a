package staticify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/berryrack/berryrack/staticify/topk"
)

const rankerVersion = 1

var errRanker = errors.New("staticify: not the counts of a Ranker of this version, or damaged: remove the file to count anew")

// MarshalBinary returns what was counted, for UnmarshalBinary. The fields that are set by hand are not in it.
func (r *Ranker) MarshalBinary() ([]byte, error) {
	if r.pages == nil {
		r.start()
	}
	b := []byte{rankerVersion}
	for _, t := range []time.Time{r.first, r.latest, r.anchor} {
		b = binary.AppendVarint(b, unix(t))
	}
	b = binary.AppendVarint(b, int64(r.span))
	b = binary.AppendUvarint(b, r.requests)
	b = binary.AppendUvarint(b, r.own)
	for _, s := range []*topk.Summary{r.pages, r.refused} {
		counts, err := s.MarshalBinary()
		if err != nil {
			return nil, err
		}
		b = binary.AppendUvarint(b, uint64(len(counts)))
		b = append(b, counts...)
	}
	return b, nil
}

// UnmarshalBinary takes up what another Ranker had counted. Its HalfLife should be the same, its Capacity may be another.
// Damaged data is an error, and leaves r as it was.
func (r *Ranker) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != rankerVersion {
		return errRanker
	}
	d := varints{rest: data[1:]}
	read := *r
	read.start()
	capacity := read.pages.Capacity()
	read.first, read.latest, read.anchor = d.time(), d.time(), d.time()
	read.span = time.Duration(d.signed())
	read.requests, read.own = d.unsigned(), d.unsigned()
	for _, s := range []*topk.Summary{read.pages, read.refused} {
		if err := s.UnmarshalBinary(d.bytes()); err != nil {
			return fmt.Errorf("%w (%w)", errRanker, err)
		}
	}
	if d.bad || len(d.rest) > 0 || read.span < 0 {
		return errRanker
	}
	for _, item := range read.refused.Top(read.refused.Len()) {
		if item.Key == "" {
			return errRanker
		}
	}
	if read.pages.Capacity() != capacity {
		counted := read.pages
		read.pages = topk.New(capacity)
		read.pages.Merge(counted)
	}
	read.clients = true
	*r = read
	return nil
}

// unix is 0 for the zero Time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// varints reads numbers, and remembers whether all were there.
type varints struct {
	rest []byte
	bad  bool
}

func (d *varints) signed() int64 {
	v, n := binary.Varint(d.rest)
	d.skip(n)
	return v
}

func (d *varints) unsigned() uint64 {
	v, n := binary.Uvarint(d.rest)
	d.skip(n)
	return v
}

func (d *varints) skip(n int) {
	if n <= 0 || d.bad {
		d.bad, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *varints) time() time.Time {
	if ns := d.signed(); ns != 0 {
		return time.Unix(0, ns).UTC()
	}
	return time.Time{}
}

func (d *varints) bytes() []byte {
	n := d.unsigned()
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}
