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
	var h uint64
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		h = uint64(binary.BigEndian.Uint32(b[:]))<<1 | 1
	} else {
		b := a.As16()
		h = binary.BigEndian.Uint64(b[:8])
	}
	// The finalizer of SplitMix64; one is added so that no client is 0.
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return (h ^ h>>31) | 1<<63
}

// registers are a HyperLogLog: each keeps the longest run of zeros, plus one, among the hashes that fell to it. They
// have four bits, two to a byte.
type registers [32]uint8

const (
	registerCount = 2 * len(registers{})
	longestRun    = 15
)

func (r *registers) add(hash uint64) {
	run := uint8(min(bits.TrailingZeros64(hash>>6)+1, longestRun))
	at, shift := &r[hash&63>>1], hash&1*4
	if *at>>shift&longestRun < run {
		*at = *at&^(longestRun<<shift) | run<<shift
	}
}

func (r *registers) get(i int) uint8 { return r[i/2] >> (i % 2 * 4) & longestRun }

func (r *registers) set(i int, run uint8) {
	shift := i % 2 * 4
	r[i/2] = r[i/2]&^(longestRun<<shift) | run<<shift
}

// halve halves the estimate: one zero less in a run is what half as many clients would have left. A register at 1,
// which is what half of all clients leave, is empty afterwards.
func (r *registers) halve() {
	for i := range registerCount {
		r.set(i, r.get(i)-min(r.get(i), 1))
	}
}

func (r *registers) join(other *registers) {
	for i := range registerCount {
		r.set(i, max(r.get(i), other.get(i)))
	}
}

func (r *registers) estimate() int {
	const m = float64(registerCount)
	sum, empty := 0.0, 0
	for i := range registerCount {
		run := r.get(i)
		sum += 1 / float64(uint64(1)<<run)
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
