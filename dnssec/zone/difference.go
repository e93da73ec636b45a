package zone

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// Owned is records of one set of a name.
type Owned struct {
	Owner wire.Name // absolute; the hashed one of an NSEC3 record (RFC 5155 section 3)
	RRset
}

// Difference is what makes one version of a zone into another (RFC 1995 section
// 4). The sets in Deleted and Added hold only the records and the signatures that
// go or come; where a TTL changes, all of the set go and come. The SOA records
// stand in From and To alone.
type Difference struct {
	From, To       RRset // the SOA records of both, without signatures
	Deleted, Added []Owned
}

// Diff returns the difference between two versions of a zone. The work is in
// proportion to the zones; sets that both share cost next to nothing.
func Diff(from, to *Zone) *Difference {
	d := &Difference{From: soaOf(from), To: soaOf(to)}
	d.nodes(from.Names, to.Names)
	d.nodes(from.Hashed, to.Hashed)
	return d
}

func soaOf(z *Zone) RRset {
	soa := *z.Apex().Set(wire.Type(dns.TypeSOA))
	soa.Signatures = nil
	return soa
}

// Len counts the records that go and come, the SOA records too.
func (d *Difference) Len() int {
	n := 2
	for _, list := range [][]Owned{d.Deleted, d.Added} {
		for i := range list {
			n += list[i].Data.Len() + list[i].Signatures.Len()
		}
	}
	return n
}

// Records yields the records in the order of an incremental transfer: the old SOA
// record and what goes, the new SOA record and what comes.
func (d *Difference) Records(origin wire.Name) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		for _, part := range []struct {
			soa  RRset
			list []Owned
		}{{d.From, d.Deleted}, {d.To, d.Added}} {
			for _, set := range append([]Owned{{origin, part.soa}}, part.list...) {
				for _, rr := range append(set.RRs(set.Owner), set.RRSIGs(set.Owner)...) {
					if !yield(rr) {
						return
					}
				}
			}
		}
	}
}

// Apply returns the zone changed by the difference. Every record that goes must be
// there and the SOA record must be From's; the error says what is not.
func (z *Zone) Apply(d *Difference) (*Zone, error) {
	if !bytes.Equal(z.Apex().Set(wire.Type(dns.TypeSOA)).Data, d.From.Data) {
		return nil, fmt.Errorf("zone: %s: the difference is to another version of the zone", z)
	}
	e := z.Edit()
	var missing []error
	for owned, rdata := range records(append([]Owned{{z.Origin, d.From}}, d.Deleted...)) {
		if !e.Remove(owned.Owner, owned.Type, rdata) {
			missing = append(missing, fmt.Errorf("zone: %s: %s %s is to go, but is not there", z, owned.Owner, owned.Type))
		}
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing[:min(len(missing), maxProblems)]...)
	}
	for owned, rdata := range records(append([]Owned{{z.Origin, d.To}}, d.Added...)) {
		e.Add(owned.Owner, owned.Type, owned.TTL, rdata)
	}
	return e.Zone()
}

// records yields each record with the set that it is of; a signature's type is RRSIG.
func records(list []Owned) iter.Seq2[Owned, []byte] {
	return func(yield func(Owned, []byte) bool) {
		for _, owned := range list {
			for rdata := range owned.Data.All() {
				if !yield(owned, rdata) {
					return
				}
			}
			owned.Type = typeRRSIG
			for rdata := range owned.Signatures.All() {
				if !yield(owned, rdata) {
					return
				}
			}
		}
	}
}

// nodes compares two lists of nodes.
func (d *Difference) nodes(from, to Nodes) {
	i, j := 0, 0
	for i < from.Len() || j < to.Len() {
		var before, after *Node
		switch {
		case j == to.Len():
			before = from.At(i)
		case i == from.Len():
			after = to.At(j)
		default:
			before, after = from.At(i), to.At(j)
			if c := before.Compare(after); c < 0 {
				after = nil
			} else if c > 0 {
				before = nil
			}
		}
		if before != nil {
			i++
		}
		if after != nil {
			j++
		}
		d.node(before, after)
	}
}

// node compares the sets of a name, which one of the zones may not have.
func (d *Difference) node(before, after *Node) {
	switch {
	case before == nil:
		before = &Node{Name: after.Name}
	case after == nil:
		after = &Node{Name: before.Name}
	case len(before.Sets) == len(after.Sets) && len(before.Sets) > 0 && &before.Sets[0] == &after.Sets[0]:
		return
	}
	old, new := before.Sets, after.Sets
	for len(old) > 0 || len(new) > 0 {
		switch {
		case len(new) == 0 || len(old) > 0 && old[0].Type < new[0].Type:
			d.set(before.Name, old[0], RRset{Type: old[0].Type})
			old = old[1:]
		case len(old) == 0 || new[0].Type < old[0].Type:
			d.set(before.Name, RRset{Type: new[0].Type}, new[0])
			new = new[1:]
		default:
			d.set(before.Name, old[0], new[0])
			old, new = old[1:], new[1:]
		}
	}
}

// set compares two sets of a name and type.
func (d *Difference) set(owner wire.Name, old, new RRset) {
	if old.TTL == new.TTL {
		if bytes.Equal(old.Data, new.Data) && bytes.Equal(old.Signatures, new.Signatures) {
			return
		}
		old.Data, new.Data = less(old.Data, new.Data), less(new.Data, old.Data)
		old.Signatures, new.Signatures = less(old.Signatures, new.Signatures), less(new.Signatures, old.Signatures)
	}
	if old.Type == wire.Type(dns.TypeSOA) {
		old.Data, new.Data = nil, nil
	}
	if len(old.Data)+len(old.Signatures) > 0 {
		d.Deleted = append(d.Deleted, Owned{owner, old})
	}
	if len(new.Data)+len(new.Signatures) > 0 {
		d.Added = append(d.Added, Owned{owner, new})
	}
}

// less returns the records that other does not have. Both are in canonical order.
func less(data, other wire.RDATA) (rest wire.RDATA) {
	if bytes.Equal(data, other) {
		return nil
	}
	have := map[string]bool{}
	for rdata := range other.All() {
		have[string(rdata)] = true
	}
	for rdata := range data.All() {
		if !have[string(rdata)] {
			rest = rest.Append(rdata)
		}
	}
	return rest
}

// FromSerial is the serial of the version that the difference is to.
func (d *Difference) FromSerial() uint32 { return soaNumbers(&d.From).Serial }

// ToSerial is the serial of the version that it leads to.
func (d *Difference) ToSerial() uint32 { return soaNumbers(&d.To).Serial }
