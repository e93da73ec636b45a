package wire

import (
	"encoding/binary"
	"iter"
	"slices"
)

// RDATA is the data of records of one type: each in canonical form (RFC 4034
// section 6.2), led by its length in two octets.
type RDATA []byte

// Append adds the data of a record, at most 65,535 octets.
func (d RDATA) Append(rdata []byte) RDATA {
	return append(binary.BigEndian.AppendUint16(d, uint16(len(rdata))), rdata...)
}

// All yields the data of each record.
func (d RDATA) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(d) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(d))
			if !yield(d[2:end:end]) {
				return
			}
			d = d[end:]
		}
	}
}

// Len counts the records.
func (d RDATA) Len() int {
	n := 0
	for range d.All() {
		n++
	}
	return n
}

// First returns the data of the first record, nil when there is none.
func (d RDATA) First() []byte {
	for first := range d.All() {
		return first
	}
	return nil
}

// Sorted returns the records in canonical order (RFC 4034 section 6.3), without duplicates.
func (d RDATA) Sorted() RDATA {
	var sorted RDATA
	for _, record := range slices.CompactFunc(slices.SortedFunc(d.All(), slices.Compare), slices.Equal) {
		sorted = sorted.Append(record)
	}
	return sorted
}
