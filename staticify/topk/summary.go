package topk

import (
	"cmp"
	"slices"
	"strings"
)

// Item is a key and what is known about it.
type Item struct {
	Key     string  // the bytes that Add was given, UTF-8 or not
	Count   float64 // it occurred at most so often
	Error   float64 // and at least Count-Error times
	Clients int     // by about so many different clients, since it was last listed
}

// Summary counts keys. Make it with New.
type Summary struct {
	capacity int
	index    index
	entries  []entry
	clients  []registers // of the entries
	heap     []node      // the smallest floor first
}

type entry struct {
	key          string
	count, error float64
}

// node refers to an entry in the heap. Its floor was the entry's count once: counts grow without the heap being told,
// so the entry with the smallest count is found by lifting floors at the root until one is true.
type node struct {
	floor float64
	entry int32
}

// New returns a Summary that lists up to capacity keys, at least one. Each takes some 100 bytes and its own length.
func New(capacity int) *Summary {
	return &Summary{capacity: max(capacity, 1), index: newIndex()}
}

// Add counts one occurrence of key, by the client with this hash (see [Client]; 0 is nobody in particular).
// The key is copied when it is listed, and it costs no memory otherwise.
func (s *Summary) Add(key []byte, client uint64) {
	hash := s.index.hash(key)
	i := s.index.find(s.entries, hash, key)
	if i < 0 {
		i = s.list(hash, string(key))
	}
	s.entries[i].count++
	if client != 0 {
		s.clients[i].add(client)
	}
}

// list gives key an entry: a new one while there is room, else the one with the smallest count.
func (s *Summary) list(hash uint32, key string) int32 {
	if n := len(s.entries); n < s.capacity {
		s.push(hash, entry{key: key}, registers{})
		return int32(n)
	}
	least := s.least()
	e := &s.entries[least]
	s.index.remove(s.index.hashString(e.key), least)
	*e, s.clients[least] = entry{key: key, count: e.count, error: e.count}, registers{}
	s.index.add(hash, least)
	return least
}

// push adds an entry where there is room.
func (s *Summary) push(hash uint32, e entry, clients registers) {
	i := int32(len(s.entries))
	s.entries, s.clients = append(s.entries, e), append(s.clients, clients)
	s.index.add(hash, i)
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
		s.entries[i].count /= 2
		s.entries[i].error /= 2
		s.clients[i].halve()
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
		e := &s.entries[order[at]]
		items[at] = Item{Key: e.key, Count: e.count, Error: e.error, Clients: s.clients[order[at]].estimate()}
	}
	return items
}

// order returns the entries, those with larger counts first.
func (s *Summary) order() []int32 {
	order := make([]int32, len(s.entries))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		x, y := &s.entries[a], &s.entries[b]
		return cmp.Or(cmp.Compare(y.count, x.count), strings.Compare(x.key, y.key))
	})
	return order
}

// Merge adds what other has counted, as if s had seen both streams (Agarwal and others, "Mergeable Summaries",
// PODS 2012). Other is not changed.
func (s *Summary) Merge(other *Summary) {
	mine, theirs := s.Unlisted(), other.Unlisted()
	all := New(len(s.entries) + len(other.entries))
	for i, e := range s.entries {
		clients := s.clients[i]
		if j, both := other.lookup(e.key); both {
			e.count, e.error = e.count+other.entries[j].count, e.error+other.entries[j].error
			clients.join(&other.clients[j])
		} else {
			e.count, e.error = e.count+theirs, e.error+theirs
		}
		all.insert(e, clients)
	}
	for j, e := range other.entries {
		if _, both := s.lookup(e.key); !both {
			e.count, e.error = e.count+mine, e.error+mine
			all.insert(e, other.clients[j])
		}
	}
	merged := New(s.capacity)
	for _, i := range all.order()[:min(len(all.entries), s.capacity)] {
		merged.insert(all.entries[i], all.clients[i])
	}
	*s = *merged
}

// lookup finds a key's entry.
func (s *Summary) lookup(key string) (int32, bool) {
	i := s.index.find(s.entries, s.index.hashString(key), []byte(key))
	return i, i >= 0
}

// insert pushes an entry of another Summary, whose hashes are not ours.
func (s *Summary) insert(e entry, clients registers) {
	s.push(s.index.hashString(e.key), e, clients)
}
