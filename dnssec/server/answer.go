package server

import (
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

// maxChain is how many CNAME records are followed.
const maxChain = 8

const (
	typeNS    = wire.Type(dns.TypeNS)
	typeDS    = wire.Type(dns.TypeDS)
	typeSOA   = wire.Type(dns.TypeSOA)
	typeCNAME = wire.Type(dns.TypeCNAME)
	typeDNAME = wire.Type(dns.TypeDNAME)
	typeRRSIG = wire.Type(dns.TypeRRSIG)
	typeNSEC  = wire.Type(dns.TypeNSEC)
	typeNSEC3 = wire.Type(dns.TypeNSEC3)
	typeA     = wire.Type(dns.TypeA)
	typeAAAA  = wire.Type(dns.TypeAAAA)
)

// response is an answer in the making (RFC 1034 section 4.3.2, RFC 4035 section 3.1).
type response struct {
	*dns.Msg
	zone   *zone.Zone
	dnssec bool
	denied map[wire.Name]bool // owners of the NSEC and NSEC3 records that are in it
}

func respond(z *zone.Zone, query *dns.Msg, q question) *dns.Msg {
	r := &response{Msg: new(dns.Msg), zone: z, dnssec: q.dnssec, denied: map[wire.Name]bool{}}
	r.SetReply(query)
	r.Authoritative = true
	seen := []wire.Name{q.name}
	for len(seen) <= maxChain {
		target, follow := r.resolve(seen[len(seen)-1], q.qtype)
		if !follow || !target.Under(z.Origin) || slices.Contains(seen, target) {
			break
		}
		seen = append(seen, target)
	}
	return r.Msg
}

// resolve answers for one name. A CNAME record's target is to be followed.
func (r *response) resolve(name wire.Name, t wire.Type) (target wire.Name, follow bool) {
	// From the origin down: a zone cut refers, a DNAME redirects.
	for labels := r.zone.Origin.Labels(); labels <= name.Labels(); labels++ {
		at := name.Ancestor(labels)
		node := r.zone.Names.Find(at)
		if node == nil {
			continue
		}
		if at != r.zone.Origin && node.Set(typeNS) != nil && !(at == name && t == typeDS) {
			r.refer(node)
			return "", false
		}
		if dname := node.Set(typeDNAME); dname != nil && at != name {
			target, follow = r.redirect(name, node, dname)
			return target, follow && t != typeCNAME
		}
	}
	if node := r.zone.Names.Find(name); node != nil {
		return r.fromNode(name, node, t, false)
	}
	if r.isEmpty(name) {
		r.nodata(name, "")
		return "", false
	}
	if wildcard := r.encloser(name).Wildcard(); wildcard != "" {
		if node := r.zone.Names.Find(wildcard); node != nil {
			return r.fromNode(name, node, t, true)
		}
		if r.isEmpty(wildcard) { // it is there, with nothing of its own (RFC 4592 section 2.2.2)
			r.nodata(name, wildcard)
			return "", false
		}
	}
	r.nxdomain(name)
	return "", false
}

// isEmpty reports whether the name is an empty non-terminal: one with names below
// it that the zone answers for or refers to.
func (r *response) isEmpty(name wire.Name) bool {
	i, _ := r.zone.Names.Search(name)
	return i < r.zone.Names.Len() && r.zone.Names.At(i).Name.Under(name)
}

// encloser returns the closest name above that exists (RFC 4592 section 3.3.1).
func (r *response) encloser(name wire.Name) wire.Name {
	for name != r.zone.Origin {
		name = name.Parent()
		if r.isEmpty(name) {
			break
		}
	}
	return name
}

// fromNode answers with the sets of a node, which may be a wildcard.
func (r *response) fromNode(name wire.Name, node *zone.Node, t wire.Type, wildcard bool) (target wire.Name, follow bool) {
	set := node.Set(t)
	switch t {
	case wire.Type(dns.TypeANY):
		set = anySet(node)
	case typeRRSIG:
		set = signaturesOf(node)
	}
	if set == nil {
		if set = node.Set(typeCNAME); set != nil {
			target, follow = wire.Name(set.Data.First()), true
		}
	}
	if set == nil {
		at := wire.Name("")
		if wildcard {
			at = node.Name
		}
		r.nodata(name, at)
		return "", false
	}
	r.add(&r.Answer, name, set)
	if wildcard {
		r.proveWildcard(name)
	}
	return target, follow
}

// anySet picks a set for a query of type ANY (RFC 8482 section 4.1).
func anySet(node *zone.Node) *zone.RRset {
	for i := range node.Sets {
		if set := &node.Sets[i]; len(set.Data) > 0 && set.Type != typeNSEC {
			return set
		}
	}
	return nil
}

// signaturesOf picks the signatures of a set for a query of type RRSIG, which are
// no set of their own (RFC 4035 section 2.2), and of which some do, as with type ANY.
func signaturesOf(node *zone.Node) *zone.RRset {
	for i := range node.Sets {
		if set := &node.Sets[i]; len(set.Data) > 0 && len(set.Signatures) > 0 {
			return &zone.RRset{Type: typeRRSIG, TTL: set.TTL, Data: set.Signatures}
		}
	}
	return nil
}

// add adds a set, and its signatures when they are asked for.
func (r *response) add(section *[]dns.RR, owner wire.Name, set *zone.RRset) {
	*section = append(*section, set.RRs(owner)...)
	if r.dnssec {
		*section = append(*section, set.RRSIGs(owner)...)
	}
}

// redirect answers from a DNAME record above the name, with the CNAME record that
// it stands for (RFC 6672 section 3.1).
func (r *response) redirect(name wire.Name, node *zone.Node, dname *zone.RRset) (target wire.Name, follow bool) {
	r.add(&r.Answer, node.Name, dname)
	to := wire.Name(dname.Data.First())
	prefix := name[:len(name)-len(node.Name)]
	if len(prefix)+len(to) > 255 {
		r.Rcode = dns.RcodeYXDomain
		return "", false
	}
	target = prefix + to
	cname := zone.RRset{Type: typeCNAME, TTL: dname.TTL, Data: wire.RDATA(nil).Append([]byte(target))}
	r.Answer = append(r.Answer, cname.RRs(name)...)
	return target, true
}

// refer refers to a delegated zone, with the addresses that this zone has of its
// name servers.
func (r *response) refer(node *zone.Node) {
	r.Authoritative = len(r.Answer) > 0
	ns := node.Set(typeNS)
	r.Ns = append(r.Ns, ns.RRs(node.Name)...)
	if r.dnssec {
		if ds := node.Set(typeDS); ds != nil {
			r.add(&r.Ns, node.Name, ds)
		} else {
			r.proveNoDS(node.Name)
		}
	}
	for rdata := range ns.Data.All() {
		server := r.zone.Names.Find(wire.Name(rdata))
		if server == nil {
			continue
		}
		for _, t := range []wire.Type{typeA, typeAAAA} {
			if set := server.Set(t); set != nil {
				r.Extra = append(r.Extra, set.RRs(server.Name)...)
			}
		}
	}
}

// negative adds the SOA record, which lasts as long as the answer (RFC 2308
// section 3, RFC 9077 section 3).
func (r *response) negative() {
	soa := *r.zone.Apex().Set(typeSOA)
	soa.TTL = r.zone.NegativeTTL()
	r.add(&r.Ns, r.zone.Origin, &soa)
}

// nodata answers that the name has no such records. wildcard is the one that it
// matches, "" when it is itself there.
func (r *response) nodata(name, wildcard wire.Name) {
	r.negative()
	r.proveNodata(name, wildcard)
}

// nxdomain answers that the name is not there.
func (r *response) nxdomain(name wire.Name) {
	r.Rcode = dns.RcodeNameError
	r.negative()
	r.proveNXDOMAIN(name)
}
