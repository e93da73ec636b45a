package topk

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
)

// Item is a key and what is known about it.
type Item struct {
	Key     string  // as it was added
	Count   float64 // it occurred at most so often
	Error   float64 // and at least Count-Error times
	Clients int     // by about so many different clients, since it was last listed
}

// Summary counts keys. Make it with New.
type Summary struct {
	capacity int
	seed     maphash.Seed
	slots    []slot // a power of two of them, at most half of them taken
	counters []counter
	keys     [][]byte // of the counters; the memory of one that is no longer listed is its successor's
	heap     []node   // the smallest floor first
}

// counter is 64 bytes, a line of most caches: nearly all time of Add is waiting for memory, once for the index and once
// for this. It is found by its hash alone: that two keys have the same 64 bits, with a seed that nobody knows, is less
// likely than a broken memory.
type counter struct {
	hash    uint64 // of the key
	count   float64
	error   float64
	clients registers
	_       [8]byte
}

// node refers to a counter in the heap. Its floor was the counter's count once: counts grow without the heap being told,
// so the smallest one is found by lifting floors at the root until one is true.
type node struct {
	floor float64
	at    int32
}

// New returns a Summary that lists up to capacity keys, at least one and at most 1<<20. Each takes some 150 bytes and
// its own length, or that of a longer key whose place it took.
func New(capacity int) *Summary {
	capacity = min(max(capacity, 1), maxCapacity)
	room := min(capacity, 8192) // what grows leaves garbage behind
	return &Summary{
		capacity: capacity, seed: maphash.MakeSeed(), slots: make([]slot, 64),
		counters: make([]counter, 0, room), keys: make([][]byte, 0, room), heap: make([]node, 0, room),
	}
}

// Add counts one occurrence of key, by the client with this hash (see [Client]; 0 is nobody in particular).
// The key is copied when it is listed.
func (s *Summary) Add(key []byte, client uint64) {
	hash := s.hash(key)
	i := s.find(hash)
	if i < 0 {
		i = s.list(hash, key)
	}
	c := &s.counters[i]
	c.count++
	if client != 0 {
		c.clients.add(client)
	}
}

// list gives key a counter: a new one while there is room, else the smallest.
func (s *Summary) list(hash uint64, key []byte) int32 {
	if n := len(s.counters); n < s.capacity {
		s.push(counter{hash: hash}, bytes.Clone(key))
		return int32(n)
	}
	i := s.least()
	c := &s.counters[i]
	s.leave(i)
	*c = counter{hash: hash, count: c.count, error: c.count}
	s.keys[i] = append(s.keys[i][:0], key...)
	s.enter(i)
	return i
}

// push adds a counter where there is room, and keeps key.
func (s *Summary) push(c counter, key []byte) {
	i := int32(len(s.counters))
	s.counters, s.keys = append(s.counters, c), append(s.keys, key)
	s.enter(i)
	s.heap = append(s.heap, node{c.count, i})
	for at := len(s.heap) - 1; at > 0 && s.heap[at].floor < s.heap[(at-1)/2].floor; at = (at - 1) / 2 {
		s.heap[at], s.heap[(at-1)/2] = s.heap[(at-1)/2], s.heap[at]
	}
}

// least returns the counter with the smallest count.
func (s *Summary) least() int32 {
	for {
		root := s.heap[0]
		count := s.counters[root.at].count
		if count == root.floor {
			return root.at
		}
		s.sink(node{count, root.at})
	}
}

// sink puts n in the place of the root.
func (s *Summary) sink(n node) {
	at := 0
	for {
		child := 2*at + 1
		if child+1 < len(s.heap) && s.heap[child+1].floor < s.heap[child].floor {
			child++
		}
		if child >= len(s.heap) || s.heap[child].floor >= n.floor {
			s.heap[at] = n
			return
		}
		s.heap[at] = s.heap[child]
		at = child
	}
}

// Capacity is how many keys can be listed.
func (s *Summary) Capacity() int { return s.capacity }

// Len is how many keys are listed.
func (s *Summary) Len() int { return len(s.counters) }

// Unlisted is how often a key that is not listed may have occurred.
func (s *Summary) Unlisted() float64 {
	if len(s.counters) < s.capacity {
		return 0
	}
	return s.counters[s.least()].count
}

// Halve makes all that was counted count half, clients too.
func (s *Summary) Halve() {
	for i := range s.counters {
		c := &s.counters[i]
		c.count /= 2
		c.error /= 2
		c.clients.halve()
	}
	for i := range s.heap {
		s.heap[i].floor /= 2
	}
}

// Top returns the n keys with the largest counts, largest first, or all that are listed when they are fewer.
func (s *Summary) Top(n int) []Item {
	order := s.order()
	items := make([]Item, min(max(n, 0), len(order)))
	for at := range items {
		items[at] = s.item(order[at])
	}
	return items
}

func (s *Summary) item(i int32) Item {
	c := &s.counters[i]
	return Item{Key: string(s.keys[i]), Count: c.count, Error: c.error, Clients: c.clients.estimate()}
}

// order returns the counters, larger ones first.
func (s *Summary) order() []int32 {
	order := make([]int32, len(s.counters))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(s.counters[b].count, s.counters[a].count), bytes.Compare(s.keys[a], s.keys[b]))
	})
	return order
}

// Merge adds what other has counted, as if s had seen both streams (Agarwal and others, "Mergeable Summaries",
// PODS 2012). Other is not changed. When it is full and smaller, s becomes as small: what other no longer knew cannot be
// told from what never occurred.
func (s *Summary) Merge(other *Summary) {
	capacity := s.capacity
	if len(other.counters) == other.capacity {
		capacity = min(capacity, other.capacity)
	}
	mine, theirs := s.Unlisted(), other.Unlisted()
	all := New(len(s.counters) + len(other.counters))
	for i, c := range s.counters {
		if j := other.lookup(s.keys[i]); j >= 0 {
			o := &other.counters[j]
			c.count, c.error = c.count+o.count, c.error+o.error
			c.clients.join(&o.clients)
		} else {
			c.count, c.error = c.count+theirs, c.error+theirs
		}
		all.insert(c, s.keys[i])
	}
	for j, c := range other.counters {
		if s.lookup(other.keys[j]) < 0 {
			c.count, c.error = c.count+mine, c.error+mine
			all.insert(c, other.keys[j])
		}
	}
	merged := New(capacity)
	for _, i := range all.order()[:min(all.Len(), capacity)] {
		merged.insert(all.counters[i], all.keys[i])
	}
	*s = *merged
}

func (s *Summary) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

// lookup returns a key's counter, or -1.
func (s *Summary) lookup(key []byte) int32 {
	return s.find(s.hash(key))
}

// insert pushes a copy of what another Summary has of key, whose hash there is not ours.
func (s *Summary) insert(c counter, key []byte) {
	c.hash = s.hash(key)
	s.push(c, bytes.Clone(key))
}
