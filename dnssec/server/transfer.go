package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	// envelopeSize is about how many octets of records go into one message.
	envelopeSize = 16 << 10
	// notifyTries and notifyWait are how often a NOTIFY is sent, and how long each
	// waits for its answer (RFC 1996 section 3.6).
	notifyTries = 3
	notifyWait  = 2 * time.Second
)

// transfer sends the whole zone (RFC 5936), to who may have it. An IXFR query over
// UDP, or of who has the serial already, gets the SOA record alone (RFC 1995
// section 2).
func (s *Server) transfer(w dns.ResponseWriter, query *dns.Msg, z *zone.Zone, q question) {
	if q.name != z.Origin {
		s.write(w, query, refusal(query, dns.RcodeNotAuth))
		return
	}
	if err := s.mayTransfer(w, query, z.Origin); err != nil {
		s.logger().Warn("transfer refused", "zone", z.Origin, "client", w.RemoteAddr(), "reason", err)
		s.write(w, query, refusal(query, dns.RcodeRefused))
		return
	}
	_, overUDP := w.RemoteAddr().(*net.UDPAddr)
	switch {
	case q.qtype == wire.Type(dns.TypeIXFR) && (overUDP || isCurrent(query, z)):
		m := new(dns.Msg)
		m.SetReply(query)
		m.Authoritative = true
		m.Answer = z.Apex().Set(typeSOA).RRs(z.Origin)
		s.write(w, query, m)
	case overUDP:
		s.write(w, query, refusal(query, dns.RcodeFormatError)) // RFC 5936 section 4.2
	default:
		records, kind := s.recordsFor(query, z, q)
		err := send(w, query, records)
		s.logger().Info("transfer", "kind", kind, "zone", z.Origin, "serial", z.SOA().Serial, "client", w.RemoteAddr(), "error", err)
	}
}

// mayTransfer says why a client may not transfer.
func (s *Server) mayTransfer(w dns.ResponseWriter, query *dns.Msg, origin wire.Name) error {
	client, err := netip.ParseAddrPort(w.RemoteAddr().String())
	if err != nil {
		return err
	}
	address := client.Addr().Unmap().WithZone("")
	if s.Permit == nil && !slices.ContainsFunc(s.TransferFrom, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return errors.New("address is not on the allow-list")
	}
	key, err := signedWithKey(w, query)
	if err != nil {
		return err
	}
	if s.Permit != nil {
		if !s.Permit(origin, address, key) {
			return errors.New("TSIG key may not transfer this zone from this address")
		}
		return nil
	}
	if !slices.ContainsFunc(s.TransferKeys, func(listed string) bool { return dns.CanonicalName(listed) == key }) {
		return errors.New("TSIG key is not on the allow-list")
	}
	return nil
}

// isCurrent reports whether an IXFR query has the zone's serial or a later one.
func isCurrent(query *dns.Msg, z *zone.Zone) bool {
	serial, ok := clientSerial(query)
	return ok && int32(serial-z.SOA().Serial) >= 0
}

// clientSerial returns the serial of the zone that an IXFR query says the client
// has (RFC 1995 section 3).
func clientSerial(query *dns.Msg) (serial uint32, ok bool) {
	if len(query.Ns) != 1 {
		return 0, false
	}
	soa, ok := query.Ns[0].(*dns.SOA)
	if !ok {
		return 0, false
	}
	return soa.Serial, true
}

// recordsFor returns what a transfer sends: the differences when they are asked for
// and kept, else the whole zone (RFC 1995 section 4).
func (s *Server) recordsFor(query *dns.Msg, z *zone.Zone, q question) (records iter.Seq[dns.RR], kind string) {
	if serial, ok := clientSerial(query); ok && q.qtype == wire.Type(dns.TypeIXFR) {
		if list := s.differences(z, serial); list != nil {
			return incremental(z, list), "IXFR"
		}
	}
	return func(yield func(dns.RR) bool) {
		for rr := range z.Records() {
			if !yield(rr) {
				return
			}
		}
		yield(soaRecord(z))
	}, "AXFR"
}

func soaRecord(z *zone.Zone) dns.RR { return z.Apex().Set(typeSOA).RRs(z.Origin)[0] }

func send(w dns.ResponseWriter, query *dns.Msg, records iter.Seq[dns.RR]) error {
	envelopes := make(chan *dns.Envelope)
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		defer close(envelopes)
		var batch []dns.RR
		size := 0
		flush := func() bool {
			select {
			case envelopes <- &dns.Envelope{RR: batch}:
				batch, size = nil, 0
				return true
			case <-stop:
				return false
			}
		}
		for rr := range records {
			length := dns.Len(rr)
			if len(batch) > 0 && size+length > envelopeSize && !flush() {
				return
			}
			batch, size = append(batch, rr), size+length
		}
		flush()
	})
	err := new(dns.Transfer).Out(w, query, envelopes)
	close(stop)
	group.Wait()
	return err
}

// Notify tells secondaries, as host:port, that a zone has changed (RFC 1996), and
// returns what went wrong with any of them.
func (s *Server) Notify(ctx context.Context, origin wire.Name, secondaries []string) error {
	z := s.find(origin, typeSOA)
	if z == nil || z.Origin != origin {
		return fmt.Errorf("server: notify: there is no zone %s", origin)
	}
	errs := make([]error, len(secondaries))
	var group sync.WaitGroup
	for i, address := range secondaries {
		group.Go(func() {
			if err := notify(ctx, z, address, s.source(address)); err != nil {
				errs[i] = fmt.Errorf("server: notify %s of %s: %w", address, origin, err)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// source returns the address that a secondary is notified from: one that is served
// on, as the secondary knows no other (RFC 1996 section 3.10), or nil for any.
func (s *Server) source(secondary string) *net.UDPAddr {
	to, err := netip.ParseAddrPort(secondary)
	if err != nil {
		return nil
	}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	for _, from := range s.listening {
		if from.Is4() == to.Addr().Unmap().Is4() && from.IsLoopback() == to.Addr().IsLoopback() {
			return net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
	}
	return nil
}

func notify(ctx context.Context, z *zone.Zone, address string, source *net.UDPAddr) error {
	m := new(dns.Msg)
	m.SetNotify(z.Origin.String())
	m.Answer = z.Apex().Set(typeSOA).RRs(z.Origin)
	client := dns.Client{Timeout: notifyWait, Dialer: &net.Dialer{Timeout: notifyWait}}
	if source != nil {
		client.Dialer.LocalAddr = source
	}
	var err error
	for range notifyTries {
		var reply *dns.Msg
		reply, _, err = client.ExchangeContext(ctx, m, address)
		if err == nil && reply.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("it answers %s", dns.RcodeToString[reply.Rcode])
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
