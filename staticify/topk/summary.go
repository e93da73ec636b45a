package topk

import (
	"cmp"
	"slices"
	"strings"
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
	index    index
	// Of the entries. What Add touches is close together: most of its time is waiting for memory.
	counters []counter
	clients  []registers
	names    []name
	heap     []node // the smallest floor first
}

// counter is found by its hash alone: that two keys have the same 64 bits, with a seed that nobody knows, is less likely
// than a broken memory.
type counter struct {
	hash  uint64 // of the key
	count float64
}

type name struct {
	key   string
	error float64
}

// node refers to an entry in the heap. Its floor was the entry's count once: counts grow without the heap being told,
// so the entry with the smallest count is found by lifting floors at the root until one is true.
type node struct {
	floor float64
	entry int32
}

// New returns a Summary that lists up to capacity keys, at least one. Each takes some 150 bytes and its own length.
func New(capacity int) *Summary {
	return &Summary{capacity: max(capacity, 1), index: newIndex()}
}

// Add counts one occurrence of key, by the client with this hash (see [Client]; 0 is nobody in particular).
// The key is copied when it is listed, and it costs no memory otherwise.
func (s *Summary) Add(key []byte, client uint64) {
	hash := s.index.hash(key)
	i := s.index.find(s.counters, hash)
	if i < 0 {
		i = s.list(hash, string(key))
	}
	s.counters[i].count++
	if client != 0 {
		s.clients[i].add(client)
	}
}

// list gives key an entry: a new one while there is room, else the one with the smallest count.
func (s *Summary) list(hash uint64, key string) int32 {
	if n := len(s.counters); n < s.capacity {
		s.push(counter{hash: hash}, name{key: key}, registers{})
		return int32(n)
	}
	least := s.least()
	c := &s.counters[least]
	s.index.remove(c.hash, least)
	c.hash = hash
	s.names[least], s.clients[least] = name{key, c.count}, registers{}
	s.index.add(hash, least)
	return least
}

// push adds an entry where there is room.
func (s *Summary) push(c counter, n name, clients registers) {
	i := int32(len(s.counters))
	s.counters, s.names, s.clients = append(s.counters, c), append(s.names, n), append(s.clients, clients)
	s.index.add(c.hash, i)
	s.heap = append(s.heap, node{c.count, i})
	for at := len(s.heap) - 1; at > 0 && s.heap[at].floor < s.heap[(at-1)/2].floor; at = (at - 1) / 2 {
		s.heap[at], s.heap[(at-1)/2] = s.heap[(at-1)/2], s.heap[at]
	}
}

// least returns the entry with the smallest count.
func (s *Summary) least() int32 {
	for {
		root := s.heap[0]
		count := s.counters[root.entry].count
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
		s.counters[i].count /= 2
		s.names[i].error /= 2
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
		items[at] = s.item(order[at])
	}
	return items
}

func (s *Summary) item(i int32) Item {
	return Item{Key: s.names[i].key, Count: s.counters[i].count, Error: s.names[i].error, Clients: s.clients[i].estimate()}
}

// order returns the entries, those with larger counts first.
func (s *Summary) order() []int32 {
	order := make([]int32, len(s.counters))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(s.counters[b].count, s.counters[a].count), strings.Compare(s.names[a].key, s.names[b].key))
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
	for i, n := range s.names {
		count, clients := s.counters[i].count, s.clients[i]
		if j := other.lookup(n.key); j >= 0 {
			count, n.error = count+other.counters[j].count, n.error+other.names[j].error
			clients.join(&other.clients[j])
		} else {
			count, n.error = count+theirs, n.error+theirs
		}
		all.insert(count, n, clients)
	}
	for j, n := range other.names {
		if s.lookup(n.key) < 0 {
			n.error += mine
			all.insert(other.counters[j].count+mine, n, other.clients[j])
		}
	}
	merged := New(capacity)
	for _, i := range all.order()[:min(all.Len(), capacity)] {
		merged.insert(all.counters[i].count, all.names[i], all.clients[i])
	}
	*s = *merged
}

// lookup returns a key's entry, or -1.
func (s *Summary) lookup(key string) int32 {
	return s.index.find(s.counters, s.index.hashString(key))
}

// insert pushes an entry of another Summary, whose hashes are not ours.
func (s *Summary) insert(count float64, n name, clients registers) {
	s.push(counter{s.index.hashString(n.key), count}, n, clients)
}
