package topk

import "hash/maphash"

// index finds entries by their keys: a hash table with linear probing. It is faster than a map here, since a slot is
// small, and what is in it leads to no entry but the right one, mostly.
type index struct {
	seed  maphash.Seed
	slots []slot // a power of two of them, at most half of them taken
	taken int
}

// slot holds the hash of an entry's key, and the number of the entry plus one: 0 is free.
type slot struct {
	hash  uint32
	entry int32
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, 64)}
}

func (x *index) hash(key []byte) uint32       { return uint32(maphash.Bytes(x.seed, key)) }
func (x *index) hashString(key string) uint32 { return uint32(maphash.String(x.seed, key)) }

// find returns the entry of a key with this hash, or -1.
func (x *index) find(entries []entry, hash uint32, key []byte) int32 {
	for at := x.home(hash); ; at = x.after(at) {
		s := x.slots[at]
		if s.entry == 0 || s.hash == hash && entries[s.entry-1].key == string(key) {
			return s.entry - 1
		}
	}
}

func (x *index) home(hash uint32) int { return int(hash) & (len(x.slots) - 1) }
func (x *index) after(at int) int     { return (at + 1) & (len(x.slots) - 1) }

// add lists entry i, whose key has this hash and is not listed.
func (x *index) add(hash uint32, i int32) {
	if x.taken++; 2*x.taken > len(x.slots) {
		full := x.slots
		x.slots = make([]slot, 2*len(full))
		for _, s := range full {
			if s.entry != 0 {
				x.put(s)
			}
		}
	}
	x.put(slot{hash, i + 1})
}

func (x *index) put(s slot) {
	at := x.home(s.hash)
	for x.slots[at].entry != 0 {
		at = x.after(at)
	}
	x.slots[at] = s
}

// remove takes entry i out, and moves those that were put further on because of it.
func (x *index) remove(hash uint32, i int32) {
	x.taken--
	free := x.home(hash)
	for x.slots[free].entry != i+1 {
		free = x.after(free)
	}
	for at := x.after(free); x.slots[at].entry != 0; at = x.after(at) {
		home := x.home(x.slots[at].hash)
		// It may move unless its home lies after the free slot and not after its own.
		if (at-home)&(len(x.slots)-1) >= (at-free)&(len(x.slots)-1) {
			x.slots[free], free = x.slots[at], at
		}
	}
	x.slots[free] = slot{}
}
