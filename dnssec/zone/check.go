package zone

import (
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// checkNode finds what the sets of one name may not be. first has a record of
// each set.
func (a *assembler) checkNode(node *Node, first []*record) {
	isApex := node.key == a.origin.key
	for i := range node.Sets {
		set := &node.Sets[i]
		switch set.Type {
		case wire.Type(dns.TypeCNAME):
			a.checkCNAME(node, first[i])
			fallthrough
		case wire.Type(dns.TypeDNAME):
			if n := set.Data.Len(); n > 1 {
				a.errors.add(first[i].problem("%d records, at most one is allowed (RFC 2181 section 10.1, RFC 6672 section 2.4)", n))
			}
		case wire.Type(dns.TypeDS), wire.Type(dns.TypeCDS):
			a.checkDigests(set, first[i])
		case wire.Type(dns.TypeNS):
			if node.Name.IsWildcard() && !isApex {
				a.warnings.add(first[i].problem("name servers of a wildcard: what they mean is undefined (RFC 4592 section 4.2)"))
			}
		case wire.Type(dns.TypeSOA):
			if n := set.Data.Len(); n > 1 {
				a.errors.add(first[i].problem("%d SOA records, a zone has one", n))
			}
			if !isApex && len(set.Data) > 0 {
				a.errors.add(first[i].problem("SOA record is not at the zone's origin %s", a.origin.Name))
			}
		}
	}
}

// digestLengths is the octets of digests by their type (RFC 4034 appendix A.2, RFC
// 4509, RFC 6605).
var digestLengths = map[byte]int{dns.SHA1: 20, dns.SHA256: 32, dns.SHA384: 48}

// checkDigests finds DS records that no key can ever have, and that BIND does not
// load or transfer a zone with. A CDS record of algorithm 0 asks for none (RFC
// 8078 section 4).
func (a *assembler) checkDigests(set *RRset, at *record) {
	for rdata := range set.Data.All() {
		if want, known := digestLengths[rdata[3]]; known && rdata[2] != 0 && len(rdata)-4 != want {
			a.errors.add(at.problem("digest of type %d has %d octets, not %d", rdata[3], len(rdata)-4, want))
		}
	}
}

// checkCNAME finds other data beside a CNAME record (RFC 1034 section 3.6.2, RFC
// 2181 section 10.1), where NSEC and signatures may be (RFC 4034 section 4), and
// KEY and NXT once were.
func (a *assembler) checkCNAME(node *Node, at *record) {
	if node.Set(wire.Type(dns.TypeCNAME)) == nil {
		return
	}
	for i := range node.Sets {
		switch t := node.Sets[i].Type; t {
		case wire.Type(dns.TypeCNAME), wire.Type(dns.TypeNSEC), wire.Type(dns.TypeKEY), wire.Type(dns.TypeNXT):
		default:
			if len(node.Sets[i].Data) > 0 {
				a.errors.add(at.problem("CNAME and other data: %s (RFC 2181 section 10.1)", t))
			}
		}
	}
}

func (a *assembler) checkApex(z *Zone) {
	var apex *Node
	if z.Names.Len() > 0 && z.Apex().key == a.origin.key {
		apex = z.Apex()
	}
	for _, want := range []wire.Type{wire.Type(dns.TypeSOA), wire.Type(dns.TypeNS)} {
		if apex == nil || apex.Set(want) == nil {
			a.errors.add(&Problem{Owner: z.Origin, Text: fmt.Sprintf("no %s record at the zone's origin", want)})
		}
	}
}

// warnAbout finds name servers without addresses, and names that the zone has but
// does not answer for.
func (a *assembler) warnAbout(z *Zone) {
	targets := map[wire.Name]bool{}
	place := 0
	for _, node := range z.Names.All() {
		if ns := node.Set(wire.Type(dns.TypeNS)); ns != nil {
			for rdata := range ns.Data.All() {
				targets[wire.Name(rdata)] = true
			}
		}
	}
	var above *Node // the zone cut or DNAME owner that the name may be below
	for _, node := range z.Names.All() {
		first := a.first[place : place+len(node.Sets)]
		place += len(node.Sets)
		if above != nil && node.Under(above) {
			a.warnOccluded(node, first, above, targets)
			continue
		}
		for i := range node.Sets {
			if node.Sets[i].Type == wire.Type(dns.TypeNS) {
				a.warnGlue(z, node, &node.Sets[i], first[i])
			}
		}
		above = nil
		if node.Set(wire.Type(dns.TypeDNAME)) != nil || node.Set(wire.Type(dns.TypeNS)) != nil && node.key != a.origin.key {
			above = node
		}
	}
}

func (a *assembler) warnOccluded(node *Node, first []*record, above *Node, targets map[wire.Name]bool) {
	for i := range node.Sets {
		t := node.Sets[i].Type
		isGlue := (t == wire.Type(dns.TypeA) || t == wire.Type(dns.TypeAAAA)) && targets[node.Name] && above.Set(wire.Type(dns.TypeNS)) != nil
		if !isGlue && len(node.Sets[i].Data) > 0 {
			a.warnings.add(first[i].problem("occluded by %s: the zone does not answer for it (RFC 9499 section 7)", above.Name))
		}
	}
}

// warnGlue looks for the addresses of name servers that only this zone can have.
func (a *assembler) warnGlue(z *Zone, node *Node, ns *RRset, at *record) {
	for rdata := range ns.Data.All() {
		target := wire.Name(rdata)
		if !target.Under(node.Name) {
			continue
		}
		if node.key == a.origin.key && a.belowCut(z, target) {
			continue
		}
		found := z.Names.Find(target)
		if found == nil || found.Set(wire.Type(dns.TypeA)) == nil && found.Set(wire.Type(dns.TypeAAAA)) == nil {
			a.warnings.add(at.problem("name server %s has no address: missing glue (RFC 1034 section 4.2.1)", target))
		}
	}
}

// belowCut reports whether the name belongs to a zone below this one, whose own
// delegation says what glue it needs.
func (a *assembler) belowCut(z *Zone, name wire.Name) bool {
	for ; name != z.Origin; name = name.Parent() {
		if node := z.Names.Find(name); node != nil && node.Set(wire.Type(dns.TypeNS)) != nil {
			return true
		}
	}
	return false
}
