package dns64

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/berryrack/berryrack/nat64"
	"github.com/miekg/dns"
)

// maxTTLWithoutSOA is the longest TTL of a synthesized record when the
// negative answer did not say (RFC 6147, section 5.1.7).
const maxTTLWithoutSOA = 600

// An exchange is one query on its way upstream and back.
type exchange struct {
	h        *Handler
	query    *dns.Msg
	question dns.Question
	table    *nat64.Table
	do       bool
}

// ask asks upstream for the name and type, as the client asked. cd overrides
// the client's CD.
func (e *exchange) ask(name string, qtype uint16, cd bool) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.Id = dns.Id()
	query.RecursionDesired, query.CheckingDisabled = e.query.RecursionDesired, cd
	query.Question = []dns.Question{{Name: name, Qtype: qtype, Qclass: e.question.Qclass}}
	query.SetEdns0(defaultUDPSize, e.do)
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(e.h.Timeout, defaultTimeout))
	defer cancel()
	answer, err := e.h.Upstream.Exchange(ctx, query)
	if err != nil {
		e.h.counters.failed.Add(1)
		e.h.log("upstream does not answer", "name", name, "type", dns.TypeToString[qtype], "error", err)
	}
	return answer, err
}

// forward answers with what upstream says.
func (e *exchange) forward() *dns.Msg {
	answer, err := e.ask(e.question.Name, e.question.Qtype, e.query.CheckingDisabled)
	if err != nil {
		return failure(e.query, dns.RcodeServerFailure)
	}
	return answer
}

// aaaa answers an AAAA query (RFC 6147, section 5.1).
func (e *exchange) aaaa() *dns.Msg {
	real, err := e.ask(e.question.Name, dns.TypeAAAA, e.query.CheckingDisabled)
	switch {
	case err != nil: // section 5.1.3: as if it were empty
	case real.Rcode == dns.RcodeNameError: // section 5.1.2
		return real
	case real.Rcode == dns.RcodeServerFailure && e.bogus():
		return real
	case real.Rcode != dns.RcodeSuccess: // section 5.1.2: as if it were empty
	case e.h.keepReal(real):
		return real
	}
	answer, err := e.ask(e.question.Name, dns.TypeA, e.query.CheckingDisabled)
	if err != nil {
		return failure(e.query, dns.RcodeServerFailure)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return answer // section 5.1.6
	}
	if left := e.synthesize(answer, ttlLimit(real)); left && real != nil && real.Rcode == dns.RcodeSuccess {
		return real // addresses without a prefix: the name has no IPv6, as its servers say
	}
	return answer
}

// bogus reports whether a SERVFAIL is that of a failed validation: CD undoes
// it (RFC 6147, section 5.5: bogus data fails, it is not empty).
func (e *exchange) bogus() bool {
	if e.query.CheckingDisabled {
		return false
	}
	unchecked, err := e.ask(e.question.Name, dns.TypeAAAA, true)
	return err == nil && unchecked.Rcode != dns.RcodeServerFailure
}

// keepReal takes the excluded AAAA records out of the answer and reports
// whether others are left (RFC 6147, section 5.1.4).
func (h *Handler) keepReal(answer *dns.Msg) bool {
	kept, excluded := 0, 0
	for _, rr := range answer.Answer {
		switch {
		case rr.Header().Rrtype != dns.TypeAAAA:
		case h.excludes(rr):
			excluded++
		default:
			kept++
		}
	}
	if excluded > 0 {
		answer.Answer = slices.DeleteFunc(answer.Answer, func(rr dns.RR) bool {
			// The signature covers the whole set.
			return rr.Header().Rrtype == dns.TypeAAAA && h.excludes(rr) || covers(rr, dns.TypeAAAA)
		})
	}
	return kept > 0
}

func (h *Handler) excludes(rr dns.RR) bool {
	aaaa, ok := rr.(*dns.AAAA)
	if !ok {
		return false
	}
	addr, ok := netip.AddrFromSlice(aaaa.AAAA.To16())
	if !ok {
		return true
	}
	if h.Exclude == nil {
		return addr.Is4In6()
	}
	return slices.ContainsFunc(h.Exclude, func(p netip.Prefix) bool { return p.Contains(addr) })
}

func covers(rr dns.RR, rrtype uint16) bool {
	sig, ok := rr.(*dns.RRSIG)
	return ok && sig.TypeCovered == rrtype
}

// ttlLimit returns the TTL of the SOA record that came with the empty answer,
// or what replaces it (RFC 6147, section 5.1.7).
func ttlLimit(empty *dns.Msg) uint32 {
	if empty != nil && empty.Rcode == dns.RcodeSuccess {
		for _, rr := range empty.Ns {
			if rr.Header().Rrtype == dns.TypeSOA {
				return rr.Header().Ttl
			}
		}
	}
	return maxTTLWithoutSOA
}

// synthesize turns the A records of answer into AAAA records, and leaves its
// chain, its authority and its additional section as they are (RFC 6147,
// sections 5.1.5, 5.3.2 and 5.4). It reports whether there were A records and
// the table has a prefix for none of them.
func (e *exchange) synthesize(answer *dns.Msg, limit uint32) (left bool) {
	records := answer.Answer[:0]
	made, seen := false, false
	for _, rr := range answer.Answer {
		switch a, isA := rr.(*dns.A); {
		case isA:
			seen = true
			if ipv4, ok := netip.AddrFromSlice(a.A.To4()); ok {
				if ipv6, err := e.table.Synthesize(ipv4); err == nil {
					// The owner is the A record's, at the end of a chain (section 5.1.7).
					records = append(records, aaaaRecord(a.Hdr.Name, min(a.Hdr.Ttl, limit), ipv6))
					made = true
				}
			}
		case covers(rr, dns.TypeA):
		default:
			records = append(records, rr)
		}
	}
	answer.Answer = records
	if made {
		answer.Authoritative = false
		e.h.counters.synthesized.Add(1)
	}
	return seen && !made
}

func aaaaRecord(name string, ttl uint32, ipv6 netip.Addr) *dns.AAAA {
	header := dns.RR_Header{Name: name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: ttl}
	return &dns.AAAA{Hdr: header, AAAA: net.IP(ipv6.AsSlice())}
}
