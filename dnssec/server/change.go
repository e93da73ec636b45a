package server

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// accept lets dynamic updates through, whose sections have any number of records.
func (s *Server) accept(h dns.Header) dns.MsgAcceptAction {
	const response = 1 << 15
	if opcode := int(h.Bits>>11) & 0xF; opcode == dns.OpcodeUpdate && h.Bits&response == 0 && s.Update != nil {
		return dns.MsgAccept
	}
	return dns.DefaultMsgAcceptFunc(h)
}

// change answers messages of the opcodes UPDATE and NOTIFY, if it is one.
func (s *Server) change(w dns.ResponseWriter, query *dns.Msg) bool {
	var rcode int
	switch {
	case query.Opcode == dns.OpcodeUpdate && s.Update != nil:
		rcode = s.update(w, query)
	case query.Opcode == dns.OpcodeNotify && s.Notified != nil:
		rcode = s.notified(w, query)
	default:
		return false
	}
	s.write(w, query, refusal(query, rcode))
	return true
}

// update hands an update on, when it is signed (RFC 3007 section 3).
func (s *Server) update(w dns.ResponseWriter, query *dns.Msg) int {
	if len(query.Question) != 1 || query.Question[0].Qtype != dns.TypeSOA {
		return dns.RcodeFormatError
	}
	origin, err := wire.ParseName(query.Question[0].Name)
	if err != nil {
		return dns.RcodeFormatError
	}
	key, err := signedWithKey(w, query)
	if err != nil {
		s.logger().Warn("update refused", "zone", origin, "client", w.RemoteAddr(), "reason", err)
		return dns.RcodeRefused
	}
	if z := s.find(origin, typeSOA); z == nil || z.Origin != origin {
		return dns.RcodeNotAuth // RFC 2136 section 3.1.2
	}
	return s.Update(origin, key, query)
}

// notified hands on that a zone has changed (RFC 1996 section 4.7).
func (s *Server) notified(w dns.ResponseWriter, query *dns.Msg) int {
	question, rcode := checkQuestion(query)
	if rcode != dns.RcodeSuccess {
		return rcode
	}
	client, err := netip.ParseAddrPort(w.RemoteAddr().String())
	if err != nil || question.qtype != typeSOA {
		return dns.RcodeFormatError
	}
	key := ""
	if query.IsTsig() != nil {
		if key, err = signedWithKey(w, query); err != nil {
			return dns.RcodeNotAuth
		}
	}
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	if !s.Notified(question.name, client, key) {
		s.logger().Warn("notify refused", "zone", question.name, "client", client, "reason", "it is no primary of this zone")
		return dns.RcodeRefused
	}
	return dns.RcodeSuccess
}

// signedWithKey returns the canonical name of the TSIG key that a message is
// signed with, or why it cannot be trusted.
func signedWithKey(w dns.ResponseWriter, query *dns.Msg) (string, error) {
	tsig := query.IsTsig()
	if tsig == nil {
		return "", errors.New("message is not signed")
	}
	if err := w.TsigStatus(); err != nil {
		return "", fmt.Errorf("TSIG: %w", err)
	}
	return dns.CanonicalName(tsig.Hdr.Name), nil
}
