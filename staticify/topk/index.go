package topk

import "hash/maphash"

// index finds entries by their keys: a hash table with linear probing. It is faster than a map here, since entries keep
// their hashes and the slots are small.
type index struct {
	seed  maphash.Seed
	slots []int32 // the number of an entry plus one; 0 is free; a power of two of them, at most half of them taken
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]int32, 64)}
}

// find returns the entry of a key with this hash, or -1.
func (x *index) find(entries []entry, hash uint64, key []byte) int32 {
	for at := x.home(hash); ; at = x.after(at) {
		i := x.slots[at] - 1
		if i < 0 || entries[i].hash == hash && entries[i].key == string(key) {
			return i
		}
	}
}

func (x *index) home(hash uint64) int { return int(hash & uint64(len(x.slots)-1)) }
func (x *index) after(at int) int     { return (at + 1) & (len(x.slots) - 1) }

// add lists entry i, whose key is not listed.
func (x *index) add(entries []entry, i int32) {
	if 2*len(entries) > len(x.slots) {
		x.slots = make([]int32, 2*len(x.slots))
		for other := range entries {
			if int32(other) != i {
				x.put(entries[other].hash, int32(other))
			}
		}
	}
	x.put(entries[i].hash, i)
}

func (x *index) put(hash uint64, i int32) {
	at := x.home(hash)
	for x.slots[at] != 0 {
		at = x.after(at)
	}
	x.slots[at] = i + 1
}

// remove takes entry i out, and moves those that were put further on because of it.
func (x *index) remove(entries []entry, i int32) {
	free := x.home(entries[i].hash)
	for x.slots[free] != i+1 {
		free = x.after(free)
	}
	for at := x.after(free); x.slots[at] != 0; at = x.after(at) {
		home := x.home(entries[x.slots[at]-1].hash)
		// It may move unless its home lies after the free slot and not after its own.
		if (at-home)&(len(x.slots)-1) >= (at-free)&(len(x.slots)-1) {
			x.slots[free], free = x.slots[at], at
		}
	}
	x.slots[free] = 0
}
