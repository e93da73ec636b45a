package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// owner is a name as records have it, and the file that has them.
type owner struct {
	name wire.Name
	key  string
	file string
}

// record is a record with its RDATA led by its length.
type record struct {
	rdata []byte
	owner *owner
	ttl   uint32
	line  uint32
	typ   wire.Type
}

// covered is the type whose set the record belongs to: a signature's is what it covers.
func (r *record) covered() wire.Type {
	if r.typ == wire.Type(dns.TypeRRSIG) {
		return wire.Type(binary.BigEndian.Uint16(r.rdata[2:]))
	}
	return r.typ
}

func (r *record) problem(format string, args ...any) *Problem {
	return &Problem{File: r.owner.file, Line: int(r.line), Owner: r.owner.name, Type: r.typ, Text: fmt.Sprintf(format, args...)}
}

// compare orders records by owner, set, and data before signatures.
func (r *record) compare(other *record) int {
	if r.owner != other.owner {
		if c := strings.Compare(r.owner.key, other.owner.key); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(r.covered(), other.covered()); c != 0 {
		return c
	}
	if r.typ != other.typ {
		if r.typ == wire.Type(dns.TypeRRSIG) {
			return 1
		}
		return -1
	}
	return bytes.Compare(r.rdata[2:], other.rdata[2:])
}

// inheritTTL stands for the last TTL stated before the batch: it is beyond all
// TTLs (RFC 2181 section 8).
const inheritTTL = 1<<32 - 1

// batch is records of a part of the input, and what is wrong with them.
type batch struct {
	records  []record
	errors   problems
	warnings problems
	// inherits says that there are records with inheritTTL.
	inherits bool
	// lastTTL is the last one stated in the batch.
	lastTTL uint32
	hasLast bool
}

func (b *batch) sort() {
	if !slices.IsSortedFunc(b.records, compareRecords) {
		slices.SortStableFunc(b.records, compareRecords)
	}
}

func compareRecords(a, b record) int { return a.compare(&b) }

// inheritTTLs gives TTLs to the records that have that of the batch before.
func inheritTTLs(batches []*batch, errors *problems) {
	ttl, known := uint32(0), false
	for _, b := range batches {
		for i := range b.records {
			r := &b.records[i]
			if !b.inherits || r.ttl != inheritTTL {
				continue
			}
			if r.ttl = ttl; !known {
				errors.add(r.problem("no TTL: state one, or $TTL before it"))
			}
		}
		if b.hasLast {
			ttl, known = b.lastTTL, true
		}
	}
}

// merge joins sorted batches into one sorted list.
func merge(batches []*batch) []record {
	lists := make([][]record, 0, len(batches))
	for _, b := range batches {
		lists = append(lists, b.records)
		b.records = nil
	}
	for len(lists) > 1 {
		joined := make([][]record, (len(lists)+1)/2)
		var group sync.WaitGroup
		for i := range joined {
			if 2*i+1 == len(lists) {
				joined[i] = lists[2*i]
				continue
			}
			group.Go(func() { joined[i] = mergeTwo(lists[2*i], lists[2*i+1]) })
		}
		group.Wait()
		lists = joined
	}
	return lists[0]
}

func mergeTwo(a, b []record) []record {
	if len(a) == 0 || len(b) == 0 || a[len(a)-1].compare(&b[0]) <= 0 {
		return append(a, b...)
	}
	joined := make([]record, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].compare(&b[0]) <= 0 {
			joined, a = append(joined, a[0]), a[1:]
			continue
		}
		joined, b = append(joined, b[0]), b[1:]
	}
	return append(append(joined, a...), b...)
}

// assembler groups sorted records into nodes.
type assembler struct {
	origin   *Node
	names    []Node
	hashed   []Node
	sets     []RRset
	arena    arena
	errors   problems
	warnings problems
	// first is the first record of each set of names, in order.
	first []*record
}

// assemble makes a zone of batches, which come in the order of the input.
func assemble(origin wire.Name, batches []*batch) (*Zone, []*Problem, error) {
	apex := MakeNode(origin, nil)
	a := assembler{origin: &apex}
	for _, b := range batches {
		a.errors.addAll(b.errors)
		a.warnings.addAll(b.warnings)
	}
	inheritTTLs(batches, &a.errors)
	for _, b := range batches {
		b.sort()
	}
	records := merge(batches)
	a.reserve(records)
	for len(records) > 0 {
		end := 1
		for end < len(records) && (records[end].owner == records[0].owner || records[end].owner.key == records[0].owner.key) {
			end++
		}
		a.node(records[:end])
		records = records[end:]
	}
	z := &Zone{Origin: origin, Names: MakeNodes(a.names), Hashed: MakeNodes(a.hashed)}
	a.checkApex(z)
	if len(a.errors.list) == 0 {
		a.warnAbout(z)
	}
	sortProblems(a.errors.list)
	sortProblems(a.warnings.list)
	if err := a.errors.err(); err != nil {
		return nil, a.warnings.all(), err
	}
	return z, a.warnings.all(), nil
}

// sortProblems puts problems in the order of their lines.
func sortProblems(list []*Problem) {
	slices.SortStableFunc(list, func(a, b *Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
}

// reserve makes room for all nodes and sets at once.
func (a *assembler) reserve(records []record) {
	names, sets := 0, 0
	for i := range records {
		newName := i == 0 || records[i].owner != records[i-1].owner && records[i].owner.key != records[i-1].owner.key
		if newName {
			names++
		}
		if newName || records[i].covered() != records[i-1].covered() {
			sets++
		}
	}
	a.names, a.sets, a.first = make([]Node, 0, names), make([]RRset, 0, sets), make([]*record, 0, sets)
}

// node makes a node of the records of one owner.
func (a *assembler) node(records []record) {
	owner := records[0].owner
	if !strings.HasPrefix(owner.key, a.origin.key) {
		for i := range records {
			a.errors.add(records[i].problem("out of zone %s", a.origin.Name))
		}
		return
	}
	start := len(a.sets)
	var hashed []RRset
	for len(records) > 0 {
		end := 1
		for end < len(records) && records[end].covered() == records[0].covered() {
			end++
		}
		set := a.set(records[:end])
		if set.Type == wire.Type(dns.TypeNSEC3) {
			hashed = []RRset{set}
		} else {
			a.sets = append(a.sets, set)
			a.first = append(a.first, &records[0])
		}
		records = records[end:]
	}
	node := Node{Name: owner.name, key: owner.key, Sets: a.sets[start:len(a.sets):len(a.sets)]}
	if len(node.Sets) > 0 {
		a.names = append(a.names, node)
		a.checkNode(&node, a.first[start:])
	}
	if hashed != nil {
		a.hashed = append(a.hashed, Node{Name: owner.name, key: owner.key, Sets: hashed})
	}
}

// set makes a set of sorted records of one owner and type, and of signatures
// that cover it.
func (a *assembler) set(records []record) RRset {
	set := RRset{Type: records[0].covered(), TTL: records[0].ttl}
	data := records
	for len(data) > 0 && data[len(data)-1].typ != set.Type {
		data = data[:len(data)-1]
	}
	signatures := records[len(data):]
	if set.Type == wire.Type(dns.TypeRRSIG) {
		data, signatures = nil, records
	}
	if len(data) > 0 {
		set.TTL = a.lowestTTL(data)
	}
	for i := range signatures {
		if signatures[i].ttl != set.TTL && len(data) > 0 {
			a.warnings.add(signatures[i].problem("TTL %d is not that of the set it covers: %d is used (RFC 4034 section 3)", signatures[i].ttl, set.TTL))
		}
	}
	set.Data, set.Signatures = a.pack(data), a.pack(signatures)
	return set
}

// lowestTTL returns the set's TTL: where they differ, the lowest (RFC 2181 section 5.2).
func (a *assembler) lowestTTL(records []record) uint32 {
	lowest, differ := records[0].ttl, false
	for i := range records {
		differ = differ || records[i].ttl != lowest
		lowest = min(lowest, records[i].ttl)
	}
	if differ {
		a.warnings.add(records[0].problem("TTLs of the set differ: %d is used (RFC 2181 section 5.2)", lowest))
	}
	return lowest
}

// pack joins the RDATA of sorted records without duplicates.
func (a *assembler) pack(records []record) wire.RDATA {
	if len(records) == 0 {
		return nil
	}
	if len(records) == 1 {
		return wire.RDATA(records[0].rdata)
	}
	length := 0
	for i := range records {
		length += len(records[i].rdata)
	}
	packed := a.arena.take(length)
	for i := range records {
		if i > 0 && bytes.Equal(records[i].rdata, records[i-1].rdata) {
			a.warnings.add(records[i].problem("duplicate record is dropped"))
			continue
		}
		packed = append(packed, records[i].rdata...)
	}
	return wire.RDATA(packed)
}
