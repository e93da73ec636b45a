package zone

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	typeRRSIG = wire.Type(dns.TypeRRSIG)
	typeNSEC3 = wire.Type(dns.TypeNSEC3)
)

// Editor changes a zone, record by record, into another one. The zone itself
// stays as it is. An editor is for one goroutine.
type Editor struct {
	zone   *Zone
	names  map[wire.Name][]RRset // changed ones
	hashed map[wire.Name][]RRset
}

// Edit returns an editor of the zone.
func (z *Zone) Edit() *Editor {
	return &Editor{zone: z, names: map[wire.Name][]RRset{}, hashed: map[wire.Name][]RRset{}}
}

// Sets returns the sets of a name as they are now, NSEC3 not. They are read-only.
func (e *Editor) Sets(owner wire.Name) []RRset {
	if sets, ok := e.names[owner]; ok {
		return sets
	}
	if node := e.zone.Names.Find(owner); node != nil {
		return node.Sets
	}
	return nil
}

// Set returns a set of a name as it is now, nil when there are no such records.
func (e *Editor) Set(owner wire.Name, t wire.Type) *RRset {
	node := Node{Sets: e.Sets(owner)}
	return node.Set(t)
}

// Add adds a record with canonical RDATA. The set that it joins gets its TTL (RFC
// 2181 section 5.2). A signature joins what it covers.
func (e *Editor) Add(owner wire.Name, t wire.Type, ttl uint32, rdata []byte) {
	e.change(owner, t, rdata, func(set *RRset) {
		if t == typeRRSIG {
			set.Signatures = set.Signatures.Append(rdata).Sorted()
			if len(set.Data) > 0 {
				return
			}
		} else {
			set.Data = set.Data.Append(rdata).Sorted()
		}
		set.TTL = ttl
	})
}

// Remove takes a record away, whatever its TTL, and reports whether it was there.
func (e *Editor) Remove(owner wire.Name, t wire.Type, rdata []byte) bool {
	removed := false
	without := func(data wire.RDATA) (rest wire.RDATA) {
		for r := range data.All() {
			if slices.Equal(r, rdata) {
				removed = true
				continue
			}
			rest = rest.Append(r)
		}
		return rest
	}
	e.change(owner, t, rdata, func(set *RRset) {
		if t == typeRRSIG {
			set.Signatures = without(set.Signatures)
			return
		}
		set.Data = without(set.Data)
	})
	return removed
}

// RemoveSet takes all records of a name and type away, and the signatures that
// cover them.
func (e *Editor) RemoveSet(owner wire.Name, t wire.Type) {
	e.change(owner, t, nil, func(set *RRset) { set.Data, set.Signatures = nil, nil })
}

// change has a function change one set: the one that a record of the type and
// RDATA belongs to.
func (e *Editor) change(owner wire.Name, t wire.Type, rdata []byte, change func(*RRset)) {
	if t == typeRRSIG && len(rdata) > 2 {
		t = wire.Type(binary.BigEndian.Uint16(rdata))
	}
	changed, sets := e.names, e.Sets(owner)
	if t == typeNSEC3 {
		changed = e.hashed
		if sets = changed[owner]; sets == nil {
			if node := e.zone.Hashed.Find(owner); node != nil {
				sets = node.Sets
			}
		}
	}
	sets = slices.Clone(sets)
	i, found := slices.BinarySearchFunc(sets, t, func(set RRset, t wire.Type) int { return int(set.Type) - int(t) })
	if !found {
		sets = slices.Insert(sets, i, RRset{Type: t})
	}
	change(&sets[i])
	if len(sets[i].Data)+len(sets[i].Signatures) == 0 {
		sets = slices.Delete(sets, i, i+1)
	}
	changed[owner] = sets
}

// Zone returns the zone with all changes, or everything that is wrong with it, as
// [FromRecords] would. When no name came or went, the work is in proportion to
// the changes.
func (e *Editor) Zone() (*Zone, error) {
	z := &Zone{Origin: e.zone.Origin, Names: e.zone.Names.with(e.names), Hashed: e.zone.Hashed.with(e.hashed)}
	apex := MakeNode(z.Origin, nil)
	a := assembler{origin: &apex}
	for _, changed := range []map[wire.Name][]RRset{e.names, e.hashed} {
		for name, sets := range changed {
			a.recheck(MakeNode(name, sets))
		}
	}
	a.checkApex(z)
	sortProblems(a.errors.list)
	return z, a.errors.err()
}

// recheck checks a node whose records are not at hand.
func (a *assembler) recheck(node Node) {
	at := &owner{name: node.Name, key: node.key}
	if !node.Under(a.origin) && len(node.Sets) > 0 {
		a.errors.add((&record{owner: at}).problem("out of zone %s", a.origin.Name))
		return
	}
	first := make([]*record, len(node.Sets))
	for i, set := range node.Sets {
		first[i] = &record{owner: at, typ: set.Type}
		if !set.Type.IsData() {
			a.errors.add(first[i].problem("%s is no type of data", set.Type))
		}
	}
	a.checkNode(&node, first)
}

// with returns the nodes with others in the place of those of the same name; names
// without sets go.
func (l Nodes) with(changed map[wire.Name][]RRset) Nodes {
	list := make([]Node, 0, len(changed))
	for _, name := range slices.SortedFunc(maps.Keys(changed), wire.Name.Compare) {
		list = append(list, MakeNode(name, changed[name]))
	}
	if at, sets, ok := l.places(list); ok {
		return l.Replace(at, sets)
	}
	nodes := make([]Node, 0, l.count+len(list))
	for _, node := range l.All() {
		for len(list) > 0 && list[0].key < node.key {
			nodes, list = append(nodes, list[0]), list[1:]
		}
		if len(list) > 0 && list[0].key == node.key {
			nodes, list = append(nodes, list[0]), list[1:]
			continue
		}
		nodes = append(nodes, *node)
	}
	nodes = append(nodes, list...)
	return MakeNodes(slices.DeleteFunc(nodes, func(node Node) bool { return len(node.Sets) == 0 }))
}

// places returns the places of changed nodes, unless some of them come or go.
func (l Nodes) places(changed []Node) (at []int, sets [][]RRset, ok bool) {
	for i := range changed {
		place, found := l.Search(changed[i].Name)
		if !found || len(changed[i].Sets) == 0 {
			return nil, nil, false
		}
		at, sets = append(at, place), append(sets, changed[i].Sets)
	}
	return at, sets, true
}

// String says what the zone is, for logs.
func (z *Zone) String() string { return fmt.Sprintf("%s serial %d", z.Origin, z.SOA().Serial) }
