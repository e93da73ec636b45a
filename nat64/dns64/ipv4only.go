package dns64

import (
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const (
	ipv4OnlyName   = "ipv4only.arpa."
	ipv4OnlyServer = "localhost."
	ipv4Only170    = "170.0.0.192.in-addr.arpa."
	ipv4Only171    = "171.0.0.192.in-addr.arpa."
	// ipv4OnlyTTL lets a changed prefix be noticed soon: as where no SOA says more (RFC 6147, section 5.1.7).
	ipv4OnlyTTL = maxTTLWithoutSOA
)

// isIPv4Only reports whether name is one of the three that a DNS64 answers by
// itself (RFC 8880, sections 7.1 and 7.2).
func isIPv4Only(name string) bool {
	return sameName(name, ipv4OnlyName) || sameName(name, ipv4Only170) || sameName(name, ipv4Only171)
}

func (e *exchange) ipv4Only() *dns.Msg { return e.ipv4OnlyFor(e.question.Name) }

// ipv4OnlyFor answers the question's type for name without asking upstream.
func (e *exchange) ipv4OnlyFor(name string) *dns.Msg {
	answer := new(dns.Msg).SetReply(e.query)
	answer.RecursionAvailable = true
	header := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ipv4OnlyTTL}
	}
	reverse := !sameName(name, ipv4OnlyName)
	switch qtype := e.question.Qtype; {
	case reverse && qtype == dns.TypePTR:
		answer.Answer = append(answer.Answer, &dns.PTR{Hdr: header(qtype), Ptr: ipv4OnlyName})
	case !reverse && qtype == dns.TypeA:
		for _, ipv4 := range ipv4OnlyAddrs() {
			answer.Answer = append(answer.Answer, &dns.A{Hdr: header(qtype), A: net.IP(ipv4.AsSlice())})
		}
	case !reverse && qtype == dns.TypeAAAA:
		// Every prefix, so that a client can learn them all (RFC 7050, section 3).
		for _, prefix := range e.table.Prefixes() {
			for _, ipv4 := range ipv4OnlyAddrs() {
				if ipv6, err := prefix.Synthesize(ipv4); err == nil {
					answer.Answer = append(answer.Answer, aaaaRecord(name, ipv4OnlyTTL, ipv6))
				}
			}
		}
	}
	soa := &dns.SOA{
		Hdr: header(dns.TypeSOA), Ns: ipv4OnlyServer, Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: 10800,
	}
	soa.Hdr.Name = strings.ToLower(name)
	switch e.question.Qtype { // each of the names is a zone (RFC 8880, section 7)
	case dns.TypeSOA:
		answer.Answer = append(answer.Answer, soa)
	case dns.TypeNS:
		answer.Answer = append(answer.Answer, &dns.NS{Hdr: header(dns.TypeNS), Ns: ipv4OnlyServer})
	}
	if len(answer.Answer) == 0 {
		answer.Ns = []dns.RR{soa}
	}
	return answer
}

// ipv4OnlyAddrs are the addresses of RFC 7050, section 2.2.
func ipv4OnlyAddrs() [2]netip.Addr {
	return [2]netip.Addr{netip.AddrFrom4([4]byte{192, 0, 0, 170}), netip.AddrFrom4([4]byte{192, 0, 0, 171})}
}
