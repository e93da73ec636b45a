package zone

import (
	"iter"
	"slices"
	"sort"

	"github.com/berryrack/berryrack/dnssec/wire"
)

// pageSize is how many nodes are copied to change one of them.
const pageSize = 128

// Nodes is nodes in canonical order of their names.
type Nodes struct {
	pages [][]Node
	count int
}

// MakeNodes takes over nodes, which are in canonical order.
func MakeNodes(sorted []Node) Nodes {
	return Nodes{pages: slices.Collect(slices.Chunk(sorted, pageSize)), count: len(sorted)}
}

// Len counts the nodes.
func (l Nodes) Len() int { return l.count }

// At returns the i-th node.
func (l Nodes) At(i int) *Node { return &l.pages[i/pageSize][i%pageSize] }

// All yields the nodes with their places.
func (l Nodes) All() iter.Seq2[int, *Node] {
	return func(yield func(int, *Node) bool) {
		for i := range l.count {
			if !yield(i, l.At(i)) {
				return
			}
		}
	}
}

// Search returns the place of the name, or, when it is not there, of the first
// name after it in canonical order.
func (l Nodes) Search(name wire.Name) (i int, found bool) {
	var buf [2 * wire.MaxName]byte
	key := string(wire.AppendKey(buf[:0], string(name)))
	return sort.Find(l.count, func(i int) int {
		switch at := l.At(i).key; {
		case key < at:
			return -1
		case key > at:
			return 1
		}
		return 0
	})
}

// Find returns the node of a name, nil when there is none.
func (l Nodes) Find(name wire.Name) *Node {
	if i, found := l.Search(name); found {
		return l.At(i)
	}
	return nil
}

// Replace returns nodes in which those at the given places, in ascending order,
// have the given sets. The work is in proportion to what is replaced.
func (l Nodes) Replace(at []int, sets [][]RRset) Nodes {
	l.pages = slices.Clone(l.pages)
	copied := -1
	for k, i := range at {
		if page := i / pageSize; page != copied {
			l.pages[page] = slices.Clone(l.pages[page])
			copied = page
		}
		l.At(i).Sets = sets[k]
	}
	return l
}
