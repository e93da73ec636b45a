package zone

import (
	"encoding/binary"
	"strings"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// Zone is a zone, read-only.
type Zone struct {
	Origin wire.Name
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
	Name wire.Name // absolute
	// Sets is in order of type. RRSIG is no set of its own: see [RRset].
	Sets []RRset
	key  string
}

// MakeNode returns a node with sets, which are in order of type.
func MakeNode(name wire.Name, sets []RRset) Node {
	var key [2 * wire.MaxName]byte
	return Node{Name: name, Sets: sets, key: string(wire.AppendKey(key[:0], string(name)))}
}

// Set returns the set of a type, nil when the node has no such records.
func (n *Node) Set(t wire.Type) *RRset {
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
	Type wire.Type // never RRSIG's
	// TTL is in seconds, the signatures' too.
	TTL uint32
	// Data is in canonical order, without duplicates. It is empty where the zone
	// has signatures for records that it does not have.
	Data wire.RDATA
	// Signatures is the RDATA of RRSIG records, in canonical order.
	Signatures wire.RDATA
}

// RRs returns the records of the set, without signatures.
func (s *RRset) RRs(owner wire.Name) []dns.RR { return wire.Unpack(owner, s.Type, s.TTL, s.Data) }

// RRSIGs returns the signatures of the set as records.
func (s *RRset) RRSIGs(owner wire.Name) []dns.RR {
	return wire.Unpack(owner, wire.Type(dns.TypeRRSIG), s.TTL, s.Signatures)
}

// SOA is the numbers of the SOA record (RFC 1035 section 3.3.13): Serial and, in
// seconds, Refresh, Retry, Expire and Minimum.
type SOA struct{ Serial, Refresh, Retry, Expire, Minimum uint32 }

// SOA returns the numbers of the zone's SOA record.
func (z *Zone) SOA() SOA {
	return soaNumbers(z.Apex().Set(wire.Type(dns.TypeSOA)))
}

func soaNumbers(set *RRset) SOA {
	rdata := set.Data.First()
	number := func(i int) uint32 { return binary.BigEndian.Uint32(rdata[len(rdata)-20+4*i:]) }
	return SOA{Serial: number(0), Refresh: number(1), Retry: number(2), Expire: number(3), Minimum: number(4)}
}

// NegativeTTL is the TTL of negative answers, and so of NSEC and NSEC3 records:
// the lesser of the SOA record's TTL and its minimum field (RFC 9077 section 3).
func (z *Zone) NegativeTTL() uint32 {
	return min(z.Apex().Set(wire.Type(dns.TypeSOA)).TTL, z.SOA().Minimum)
}

// Compare orders nodes by name, canonically.
func (n *Node) Compare(other *Node) int { return strings.Compare(n.key, other.key) }
