package topk

import (
	"cmp"
	"slices"
)

// Item is a key and what is known about it.
type Item struct {
	Key     string
	Count   float64 // it occurred at most so often
	Error   float64 // and at least Count-Error times
	Clients int     // by about so many different clients, since it was last listed
}

// Summary counts keys. Make it with New.
type Summary struct {
	capacity int
	index    map[string]int32
	entries  []entry
	heap     []node // the smallest floor first
}

type entry struct {
	key          string
	count, error float64
	clients      registers
}

// node refers to an entry in the heap. Its floor was the entry's count once: counts grow without the heap being told,
// so the entry with the smallest count is found by lifting floors at the root until one is true.
type node struct {
	floor float64
	entry int32
}

// New returns a Summary that lists up to capacity keys, at least one. Each takes some 100 bytes and its own length.
func New(capacity int) *Summary {
	return &Summary{capacity: max(capacity, 1), index: make(map[string]int32)}
}

// Add counts one occurrence of key, by the client with this hash (see [Client]; 0 is nobody in particular).
// The key is copied when it is listed, and it costs no memory otherwise.
func (s *Summary) Add(key []byte, client uint64) {
	i, listed := s.index[string(key)]
	if !listed {
		i = s.list(string(key))
	}
	e := &s.entries[i]
	e.count++
	if client != 0 {
		e.clients.add(client)
	}
}

// list gives key an entry: a new one while there is room, else the one with the smallest count.
func (s *Summary) list(key string) int32 {
	if n := len(s.entries); n < s.capacity {
		s.push(entry{key: key})
		return int32(n)
	}
	least := s.least()
	e := &s.entries[least]
	delete(s.index, e.key)
	*e = entry{key: key, count: e.count, error: e.count}
	s.index[key] = least
	return least
}

// push adds an entry where there is room.
func (s *Summary) push(e entry) {
	i := int32(len(s.entries))
	s.index[e.key] = i
	s.entries = append(s.entries, e)
	s.heap = append(s.heap, node{e.count, i})
	for at := len(s.heap) - 1; at > 0 && s.heap[at].floor < s.heap[(at-1)/2].floor; at = (at - 1) / 2 {
		s.heap[at], s.heap[(at-1)/2] = s.heap[(at-1)/2], s.heap[at]
	}
}

// least returns the entry with the smallest count.
func (s *Summary) least() int32 {
	for {
		root := s.heap[0]
		count := s.entries[root.entry].count
		if count == root.floor {
			return root.entry
		}
		s.sink(node{count, root.entry})
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
func (s *Summary) Len() int { return len(s.entries) }

// Unlisted is how often a key that is not listed may have occurred.
func (s *Summary) Unlisted() float64 {
	if len(s.entries) < s.capacity {
		return 0
	}
	return s.entries[s.least()].count
}

// Halve makes all that was counted count half, clients too.
func (s *Summary) Halve() {
	for i := range s.entries {
		e := &s.entries[i]
		e.count /= 2
		e.error /= 2
		e.clients.halve()
	}
	for i := range s.heap {
		s.heap[i].floor /= 2
	}
}

// Top returns the n keys with the largest counts, largest first, or all that are listed when they are fewer.
func (s *Summary) Top(n int) []Item {
	order := make([]*entry, len(s.entries))
	for i := range s.entries {
		order[i] = &s.entries[i]
	}
	slices.SortFunc(order, compare)
	items := make([]Item, min(max(n, 0), len(order)))
	for i := range items {
		e := order[i]
		items[i] = Item{Key: e.key, Count: e.count, Error: e.error, Clients: e.clients.estimate()}
	}
	return items
}

// compare puts larger counts first, and has an order for equal ones.
func compare(a, b *entry) int {
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.key, b.key))
}

// Merge adds what other has counted, as if s had seen both streams (Agarwal and others, "Mergeable Summaries",
// PODS 2012). Other is not changed.
func (s *Summary) Merge(other *Summary) {
	mine, theirs := s.Unlisted(), other.Unlisted()
	all := make([]entry, 0, len(s.entries)+len(other.entries))
	for _, e := range s.entries {
		if i, both := other.index[e.key]; both {
			e.join(other.entries[i])
		} else {
			e.count, e.error = e.count+theirs, e.error+theirs
		}
		all = append(all, e)
	}
	for _, e := range other.entries {
		if _, both := s.index[e.key]; !both {
			e.count, e.error = e.count+mine, e.error+mine
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return compare(&a, &b) })
	merged := New(s.capacity)
	for _, e := range all[:min(len(all), s.capacity)] {
		merged.push(e)
	}
	*s = *merged
}

func (e *entry) join(other entry) {
	e.count += other.count
	e.error += other.error
	e.clients.join(&other.clients)
}
