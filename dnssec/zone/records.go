package zone

import (
	"errors"
	"fmt"
	"iter"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// FromRecords makes a zone of records, and returns what is odd about it beside
// it. The last record may be the first one's SOA again, as in a transfer.
func FromRecords(origin wire.Name, records iter.Seq2[dns.RR, error]) (*Zone, []*Problem, error) {
	p := parser{zone: origin}
	number := 0
	for rr, err := range records {
		number++
		if err != nil {
			return nil, nil, fmt.Errorf("zone: record %d: %w", number, err)
		}
		if err := p.add(rr); err != nil {
			p.errors.add(&Problem{Text: fmt.Sprintf("record %d: %v", number, err)})
		}
	}
	return assemble(origin, []*batch{&p.batch})
}

// add takes over a record of package dns.
func (p *parser) add(rr dns.RR) error {
	if rr == nil {
		return errors.New("no record")
	}
	header := rr.Header()
	if header.Class != dns.ClassINET {
		return fmt.Errorf("%s: class %s is not IN", header.Name, dns.Class(header.Class))
	}
	if err := p.setOwner([]byte(header.Name)); err != nil {
		return fmt.Errorf("owner %q: %w", header.Name, err)
	}
	t, rdata, err := wire.Pack(rr)
	if err != nil {
		return fmt.Errorf("%s %s: %w", header.Name, t, err)
	}
	if !t.IsData() {
		return fmt.Errorf("%s: %s is no type of data", header.Name, t)
	}
	p.records = append(p.records, record{
		owner: p.owner, typ: t, ttl: header.Ttl,
		rdata: append(p.arena.take(2+len(rdata)), wire.RDATA(nil).Append(rdata)...),
	})
	return nil
}

// Transferred yields the records of a zone transfer (RFC 5936), the closing SOA
// record left out. The envelopes come from [dns.Transfer.In].
func Transferred(envelopes <-chan *dns.Envelope) iter.Seq2[dns.RR, error] {
	return func(yield func(dns.RR, error) bool) {
		soas := 0
		for envelope := range envelopes {
			if envelope.Error != nil {
				yield(nil, envelope.Error)
				return
			}
			for _, rr := range envelope.RR {
				if rr.Header().Rrtype == dns.TypeSOA {
					soas++
				}
				if soas < 2 && !yield(rr, nil) {
					return
				}
			}
		}
		if soas < 2 {
			yield(nil, errors.New("transfer ended before its closing SOA record"))
		}
	}
}

// Records yields the records of the zone as package dns has them, the SOA record
// first, signatures after what they cover.
func (z *Zone) Records() iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		for owner, set := range z.sets() {
			for _, rr := range append(set.RRs(owner), set.RRSIGs(owner)...) {
				if !yield(rr) {
					return
				}
			}
		}
	}
}

// sets yields all sets in the order of writing: the SOA set, then by name and
// type, the owners of NSEC3 records last.
func (z *Zone) sets() iter.Seq2[wire.Name, *RRset] {
	return func(yield func(wire.Name, *RRset) bool) {
		if !yield(z.Origin, z.Apex().Set(wire.Type(dns.TypeSOA))) {
			return
		}
		for _, nodes := range []Nodes{z.Names, z.Hashed} {
			for _, node := range nodes.All() {
				for i := range node.Sets {
					set := &node.Sets[i]
					if set.Type == wire.Type(dns.TypeSOA) && node.Name == z.Origin && len(set.Data) > 0 {
						continue
					}
					if !yield(node.Name, set) {
						return
					}
				}
			}
		}
	}
}
