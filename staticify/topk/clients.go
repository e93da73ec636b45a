package topk

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// Client returns a hash of who asked: an IPv4 address, or the /64 that an IPv6 address is in, since whoever has one
// address there has them all. It is the same in every process. An address that is not valid gives 0.
func Client(a netip.Addr) uint64 {
	if !a.IsValid() {
		return 0
	}
	b := a.As16()
	h := binary.BigEndian.Uint64(b[:8])
	if a.Unmap().Is4() {
		h ^= uint64(binary.BigEndian.Uint32(b[12:]))<<1 | 1
	}
	// The finalizer of SplitMix64; one is added so that no client is 0.
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return (h ^ h>>31) | 1<<63
}

// registers are a HyperLogLog: each keeps the longest run of zeros, plus one, among the hashes that fell to it.
type registers [64]uint8

func (r *registers) add(hash uint64) {
	run := uint8(bits.TrailingZeros64(hash>>6) + 1) // bit 63 of a Client ends the run
	if at := &r[hash&63]; run > *at {
		*at = run
	}
}

// halve halves the estimate: one zero less in a run is what half as many clients would have left. A register at 1,
// which is what half of all clients leave, is empty afterwards.
func (r *registers) halve() {
	for i := range r {
		r[i] -= min(r[i], 1)
	}
}

func (r *registers) join(other *registers) {
	for i := range r {
		r[i] = max(r[i], other[i])
	}
}

func (r *registers) estimate() int {
	const m = float64(len(registers{}))
	sum, empty := 0.0, 0
	for _, run := range r {
		sum += 1 / float64(uint64(1)<<(run&63))
		if run == 0 {
			empty++
		}
	}
	estimate := 0.709 * m * m / sum
	if estimate <= 2.5*m && empty > 0 {
		estimate = m * math.Log(m/float64(empty))
	}
	return int(math.Round(estimate))
}
