package topk

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

// The slots are a hash table of the counters, by the hashes of their keys, with linear probing. It is faster than a map
// here, since a slot is small, and what is in it leads to no counter but the right one, mostly.

// find returns the counter of the key with this hash, or -1.
func (s *Summary) find(hash uint64) int32 {
	for at := s.home(hash); ; at = s.after(at) {
		x := s.slots[at]
		if x == 0 || x&^numberMask == tag(hash) && s.counters[x.counter()].hash == hash {
			return x.counter()
		}
	}
}

func (s *Summary) home(hash uint64) int { return int(hash) & (len(s.slots) - 1) }
func (s *Summary) after(at int) int     { return (at + 1) & (len(s.slots) - 1) }

// enter puts counter i into a slot; it has none yet.
func (s *Summary) enter(i int32) {
	if 2*len(s.counters) > len(s.slots) {
		full := s.slots
		s.slots = make([]slot, 2*len(full))
		for _, x := range full {
			if x != 0 {
				s.put(x.counter())
			}
		}
	}
	s.put(i)
}

func (s *Summary) put(i int32) {
	hash := s.counters[i].hash
	at := s.home(hash)
	for s.slots[at] != 0 {
		at = s.after(at)
	}
	s.slots[at] = newSlot(hash, i)
}

// leave frees the slot of counter i, and moves those that were put further on because of it.
func (s *Summary) leave(i int32) {
	free := s.home(s.counters[i].hash)
	for s.slots[free].counter() != i {
		free = s.after(free)
	}
	for at := s.after(free); s.slots[at] != 0; at = s.after(at) {
		home := s.home(s.counters[s.slots[at].counter()].hash)
		// It may move unless its home lies after the free slot and not after its own.
		if (at-home)&(len(s.slots)-1) >= (at-free)&(len(s.slots)-1) {
			s.slots[free], free = s.slots[at], at
		}
	}
	s.slots[free] = 0
}
