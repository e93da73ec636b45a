package topk

import "hash/maphash"

// index finds counters by the hashes of their keys: a hash table with linear probing. It is faster than a map here,
// since a slot is small, and what is in it leads to no counter but the right one, mostly.
type index struct {
	seed  maphash.Seed
	slots []slot // a power of two of them, at most half of them taken
}

// slot is the number of a counter plus one, below the first bits of its hash: 0 is free.
type slot uint32

const (
	numberBits  = 22 // of a slot
	numberMask  = 1<<numberBits - 1
	maxCapacity = 1 << (numberBits - 2) // two Summaries are merged in one table
)

func newSlot(hash uint64, i int32) slot { return tag(hash) | slot(i+1) }

func tag(hash uint64) slot { return slot(hash>>32) &^ numberMask }

// counter is -1 of a free slot.
func (s slot) counter() int32 { return int32(s&numberMask) - 1 }

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, 64)}
}

func (x *index) hash(key []byte) uint64 { return maphash.Bytes(x.seed, key) }

// find returns the counter of the key with this hash, or -1.
func (x *index) find(counters []counter, hash uint64) int32 {
	for at := x.home(hash); ; at = x.after(at) {
		s := x.slots[at]
		if s == 0 || s&^numberMask == tag(hash) && counters[s.counter()].hash == hash {
			return s.counter()
		}
	}
}

func (x *index) home(hash uint64) int { return int(hash) & (len(x.slots) - 1) }
func (x *index) after(at int) int     { return (at + 1) & (len(x.slots) - 1) }

// add lists counter i, the only one that is not listed.
func (x *index) add(counters []counter, i int32) {
	if 2*len(counters) > len(x.slots) {
		full := x.slots
		x.slots = make([]slot, 2*len(full))
		for _, s := range full {
			if s != 0 {
				x.put(counters[s.counter()].hash, s.counter())
			}
		}
	}
	x.put(counters[i].hash, i)
}

func (x *index) put(hash uint64, i int32) {
	at := x.home(hash)
	for x.slots[at] != 0 {
		at = x.after(at)
	}
	x.slots[at] = newSlot(hash, i)
}

// remove takes counter i out, and moves those that were put further on because of it.
func (x *index) remove(counters []counter, i int32) {
	free := x.home(counters[i].hash)
	for x.slots[free].counter() != i {
		free = x.after(free)
	}
	for at := x.after(free); x.slots[at] != 0; at = x.after(at) {
		home := x.home(counters[x.slots[at].counter()].hash)
		// It may move unless its home lies after the free slot and not after its own.
		if (at-home)&(len(x.slots)-1) >= (at-free)&(len(x.slots)-1) {
			x.slots[free], free = x.slots[at], at
		}
	}
	x.slots[free] = 0
}
