package topk

import "hash/maphash"

// index finds entries by their keys: a hash table with linear probing. It is faster than a map here, since a slot is
// small, and what is in it leads to no entry but the right one, mostly.
type index struct {
	seed  maphash.Seed
	slots []slot // a power of two of them, at most half of them taken
	taken int
}

// slot holds half of the hash of an entry's key, and the number of the entry plus one: 0 is free.
type slot struct {
	half  uint32
	entry int32
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, 64)}
}

func (x *index) hash(key []byte) uint64       { return maphash.Bytes(x.seed, key) }
func (x *index) hashString(key string) uint64 { return maphash.String(x.seed, key) }

// find returns the entry of the key with this hash, or -1.
func (x *index) find(counters []counter, hash uint64) int32 {
	for at := x.home(uint32(hash)); ; at = x.after(at) {
		s := x.slots[at]
		if s.entry == 0 || s.half == uint32(hash) && counters[s.entry-1].hash == hash {
			return s.entry - 1
		}
	}
}

func (x *index) home(half uint32) int { return int(half) & (len(x.slots) - 1) }
func (x *index) after(at int) int     { return (at + 1) & (len(x.slots) - 1) }

// add lists entry i, whose key has this hash and is not listed.
func (x *index) add(hash uint64, i int32) {
	if x.taken++; 2*x.taken > len(x.slots) {
		full := x.slots
		x.slots = make([]slot, 2*len(full))
		for _, s := range full {
			if s.entry != 0 {
				x.put(s)
			}
		}
	}
	x.put(slot{uint32(hash), i + 1})
}

func (x *index) put(s slot) {
	at := x.home(s.half)
	for x.slots[at].entry != 0 {
		at = x.after(at)
	}
	x.slots[at] = s
}

// remove takes entry i out, and moves those that were put further on because of it.
func (x *index) remove(hash uint64, i int32) {
	x.taken--
	free := x.home(uint32(hash))
	for x.slots[free].entry != i+1 {
		free = x.after(free)
	}
	for at := x.after(free); x.slots[at].entry != 0; at = x.after(at) {
		home := x.home(x.slots[at].half)
		// It may move unless its home lies after the free slot and not after its own.
		if (at-home)&(len(x.slots)-1) >= (at-free)&(len(x.slots)-1) {
			x.slots[free], free = x.slots[at], at
		}
	}
	x.slots[free] = slot{}
}
