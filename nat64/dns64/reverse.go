package dns64

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

const ip6Arpa = ".ip6.arpa."

// ptr answers a PTR query: for an address in one of the prefixes it is an
// alias of that of the IPv4 address (RFC 6147, section 5.3.1).
func (e *exchange) ptr() *dns.Msg {
	ipv6, ok := reverseAddr(e.question.Name)
	if !ok {
		return e.forward()
	}
	ipv4, ok := e.table.Extract(ipv6)
	if !ok {
		return e.forward()
	}
	target := reverseName4(ipv4)
	if isIPv4Only(target) {
		return e.alias(e.ipv4OnlyFor(target), target)
	}
	answer, err := e.ask(target, dns.TypePTR, e.query.CheckingDisabled)
	if err != nil {
		return failure(e.query, dns.RcodeServerFailure)
	}
	return e.alias(answer, target)
}

// alias makes an answer about target one about the question's name: with a
// CNAME, or without one if the chain would become longer than that.
func (e *exchange) alias(answer *dns.Msg, target string) *dns.Msg {
	var pointers []dns.RR
	direct := true
	for _, rr := range answer.Answer {
		if ptr, ok := rr.(*dns.PTR); ok {
			pointers = append(pointers, ptr)
			direct = direct && sameName(ptr.Hdr.Name, target)
		}
	}
	switch {
	case len(pointers) == 0:
		answer.Answer = nil
		return answer
	case direct:
		header := dns.RR_Header{Name: e.question.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: pointers[0].Header().Ttl}
		answer.Answer = append([]dns.RR{&dns.CNAME{Hdr: header, Target: target}}, answer.Answer...)
	default:
		answer.Answer = pointers
		for _, rr := range pointers {
			rr.Header().Name = e.question.Name
		}
	}
	answer.Authoritative = false
	e.h.counters.synthesized.Add(1)
	return answer
}

// reverseAddr returns the address of a whole name in ip6.arpa.
func reverseAddr(name string) (netip.Addr, bool) {
	const digits = 32
	if len(name) != 2*digits-1+len(ip6Arpa) || !strings.EqualFold(name[2*digits-1:], ip6Arpa) {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i := range digits {
		value, ok := nibble(name[2*i])
		if !ok || i > 0 && name[2*i-1] != '.' {
			return netip.Addr{}, false
		}
		b[15-i/2] |= value << (4 * (i % 2)) // the least significant digit comes first
	}
	return netip.AddrFrom16(b), true
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}

func reverseName4(ipv4 netip.Addr) string {
	b := ipv4.As4()
	return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa.", b[3], b[2], b[1], b[0])
}
