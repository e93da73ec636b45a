package topk

import (
	"encoding/binary"
	"errors"
	"math"
)

const (
	version     = 1
	maxCapacity = 1 << 20
	maxKey      = 1 << 16
)

var errBinary = errors.New("topk: not a Summary of this version, or damaged")

// AppendBinary appends what UnmarshalBinary reads. Equal Summaries give equal bytes only if they were made alike.
func (s *Summary) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(s.capacity))
	b = binary.AppendUvarint(b, uint64(len(s.names)))
	for i, n := range s.names {
		b = binary.AppendUvarint(b, uint64(len(n.key)))
		b = append(b, n.key...)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.counters[i].count))
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(n.error))
		b = append(b, s.clients[i][:]...)
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
		count, name, clients := d.entry()
		if d.bad || read.lookup(name.key) >= 0 {
			return errBinary
		}
		read.insert(count, name, clients)
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

func (d *decoder) entry() (count float64, n name, clients registers) {
	n.key = string(d.take(d.number(maxKey)))
	count, n.error = d.float(), d.float()
	copy(clients[:], d.take(len(clients)))
	for _, run := range clients {
		d.bad = d.bad || run > 58
	}
	d.bad = d.bad || n.error > count
	return count, n, clients
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
