package topk

import (
	"encoding/binary"
	"errors"
	"math"
)

const (
	version = 1
	maxKey  = 1 << 16
)

var errBinary = errors.New("topk: not a Summary of this version, or damaged")

// AppendBinary appends what UnmarshalBinary reads. Equal Summaries give equal bytes only if they were made alike.
func (s *Summary) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(s.capacity))
	b = binary.AppendUvarint(b, uint64(len(s.counters)))
	for i, c := range s.counters {
		b = binary.AppendUvarint(b, uint64(len(s.keys[i])))
		b = append(b, s.keys[i]...)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.count))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(c.error))
		for r := range registerCount {
			b = append(b, c.clients.get(r))
		}
	}
	return b, nil
}

// MarshalBinary is AppendBinary to nothing.
func (s *Summary) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// UnmarshalBinary replaces s. Damaged data is an error, and leaves s as it was.
func (s *Summary) UnmarshalBinary(data []byte) error {
	d := decoder{rest: data}
	if b := d.take(1); d.bad || b[0] != version {
		return errBinary
	}
	capacity, n := d.number(maxCapacity), d.number(maxCapacity)
	if d.bad || capacity == 0 || n > capacity {
		return errBinary
	}
	read := New(capacity)
	for range n {
		key, c := d.counter()
		if d.bad || read.lookup(key) >= 0 {
			return errBinary
		}
		read.insert(c, key)
	}
	if len(d.rest) > 0 {
		return errBinary
	}
	*s = *read
	return nil
}

type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) counter() (key []byte, c counter) {
	key = d.take(d.number(maxKey))
	c.count, c.error = d.float(), d.float()
	for i, run := range d.take(registerCount) {
		d.bad = d.bad || run > 58 // the longest that a hash can leave
		c.clients.set(i, min(run, longestRun))
	}
	d.bad = d.bad || c.error > c.count
	return key, c
}

func (d *decoder) take(n int) []byte {
	if d.bad || n > len(d.rest) {
		d.bad = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) number(most uint64) int {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > most {
		d.bad = true
		return 0
	}
	d.rest = d.rest[n:]
	return int(v)
}

func (d *decoder) float() float64 {
	b := d.take(8)
	if d.bad {
		return 0
	}
	f := math.Float64frombits(binary.BigEndian.Uint64(b))
	d.bad = !(f >= 0 && f <= 1<<53)
	return f
}
