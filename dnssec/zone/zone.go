package zone

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Zone is a zone, read-only.
type Zone struct {
	Origin Name
	// Names is the names that own records, glue and occluded names with them, the
	// owners of NSEC3 records not. The first one is Origin.
	Names Nodes
	// Hashed is the owners of NSEC3 records, with these alone.
	Hashed Nodes
}

// Apex returns the node of the origin.
func (z *Zone) Apex() *Node { return z.Names.At(0) }

// Node is a name of the zone and its sets.
type Node struct {
	Name Name
	// Sets is in order of type. RRSIG is no set of its own: see [RRset].
	Sets []RRset
	key  string
}

// MakeNode returns a node with sets, which are in order of type.
func MakeNode(name Name, sets []RRset) Node {
	var key [2 * maxName]byte
	return Node{Name: name, Sets: sets, key: string(appendKey(key[:0], string(name)))}
}

// Set returns the set of a type, nil when the node has no such records.
func (n *Node) Set(t Type) *RRset {
	for i := range n.Sets {
		if n.Sets[i].Type == t && len(n.Sets[i].Data) > 0 {
			return &n.Sets[i]
		}
	}
	return nil
}

// Under reports whether the node is at or below parent; it is as
// [Name.Under] of the names, and faster.
func (n *Node) Under(parent *Node) bool { return strings.HasPrefix(n.key, parent.key) }

// RRset is the records of one owner and type, and the signatures that cover them.
type RRset struct {
	Type Type
	// TTL is in seconds, the signatures' too.
	TTL uint32
	// Data is in canonical order, without duplicates. It is empty where the zone
	// has signatures for records that it does not have.
	Data RDATA
	// Signatures is the RDATA of RRSIG records, in canonical order.
	Signatures RDATA
}

// RRs returns the records of the set, without signatures.
func (s *RRset) RRs(owner Name) []dns.RR { return unpackAll(owner, s.Type, s.TTL, s.Data) }

// RRSIGs returns the signatures of the set as records.
func (s *RRset) RRSIGs(owner Name) []dns.RR {
	return unpackAll(owner, Type(dns.TypeRRSIG), s.TTL, s.Signatures)
}

// RDATA is the data of records of one type: each in canonical form (RFC 4034
// section 6.2), led by its length in two octets.
type RDATA []byte

// Append adds the data of a record, at most 65,535 octets.
func (d RDATA) Append(rdata []byte) RDATA {
	return append(binary.BigEndian.AppendUint16(d, uint16(len(rdata))), rdata...)
}

// All yields the data of each record.
func (d RDATA) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(d) >= 2 {
			end := 2 + int(binary.BigEndian.Uint16(d))
			if !yield(d[2:end:end]) {
				return
			}
			d = d[end:]
		}
	}
}

// Len counts the records.
func (d RDATA) Len() int {
	n := 0
	for range d.All() {
		n++
	}
	return n
}

// First returns the data of the first record, nil when there is none.
func (d RDATA) First() []byte {
	for first := range d.All() {
		return first
	}
	return nil
}

// Sorted returns the records in canonical order (RFC 4034 section 6.3), without duplicates.
func (d RDATA) Sorted() RDATA {
	var sorted RDATA
	for _, record := range slices.CompactFunc(slices.SortedFunc(d.All(), slices.Compare), slices.Equal) {
		sorted = sorted.Append(record)
	}
	return sorted
}

// SOA is the numbers of the SOA record (RFC 1035 section 3.3.13), in seconds but
// for the serial.
type SOA struct{ Serial, Refresh, Retry, Expire, Minimum uint32 }

// SOA returns the numbers of the zone's SOA record.
func (z *Zone) SOA() SOA {
	rdata := z.Apex().Set(Type(dns.TypeSOA)).Data.First()
	number := func(i int) uint32 { return binary.BigEndian.Uint32(rdata[len(rdata)-20+4*i:]) }
	return SOA{Serial: number(0), Refresh: number(1), Retry: number(2), Expire: number(3), Minimum: number(4)}
}

// NegativeTTL is the TTL of negative answers, and so of NSEC and NSEC3 records:
// the lesser of the SOA record's TTL and its minimum field (RFC 9077 section 3).
func (z *Zone) NegativeTTL() uint32 {
	return min(z.Apex().Set(Type(dns.TypeSOA)).TTL, z.SOA().Minimum)
}

// Compare orders nodes by name, canonically.
func (n *Node) Compare(other *Node) int { return strings.Compare(n.key, other.key) }
