package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/acme"
)

const (
	maxRecords     = 10_000 // in all zones
	maxConnections = 100    // TCP connections at once
	negativeTTL    = 1      // seconds: a record may be asked for before it is there
	apexTTL        = 300    // seconds, of SOA and NS records
	idleTimeout    = 5 * time.Second
	udpSize        = 1232 // bytes of an answer by UDP, at most
)

// ErrFull is returned when the responder has as many records as it will hold.
var ErrFull = errors.New("embedded: 10,000 challenge records are published already")

// A Responder answers for its zones, and is the [acme.Provider] that fills
// them. Its fields must not change once it is in use.
type Responder struct {
	// Zones that are delegated to this responder.
	Zones []string
	// Nameserver is the name in the delegation's NS record. Empty: "ns." and the
	// zone's name.
	Nameserver string
	// Addresses of the name server: answered for its name when that is in a zone.
	Addresses []netip.Addr

	mu      sync.RWMutex
	records []acme.Record
}

// AppendTXT implements [acme.Provider].
func (r *Responder) AppendTXT(ctx context.Context, record acme.Record) error {
	if err := r.check(ctx, record); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.index(record) >= 0 {
		return nil
	}
	if len(r.records) >= maxRecords {
		return ErrFull
	}
	r.records = append(r.records, record)
	return nil
}

// DeleteTXT implements [acme.Provider]. In a zone that is not served there is
// nothing to remove: what an earlier process published has ended with it.
func (r *Responder) DeleteTXT(ctx context.Context, record acme.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(record); i >= 0 {
		r.records = slices.Delete(r.records, i, i+1)
	}
	return nil
}

// TXT returns the values published at a name.
func (r *Responder) TXT(name string) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var values []string
	for _, have := range r.records {
		if have.Name == name {
			values = append(values, have.Value)
		}
	}
	return values
}

func (r *Responder) check(ctx context.Context, record acme.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if acme.LongestZone(record.Name, r.zones()) == "" {
		return fmt.Errorf("embedded: %s: %w: this responder serves %s; delegate the name to it, or point a CNAME record into such a zone",
			record.Name, acme.ErrNoZone, strings.Join(r.Zones, " "))
	}
	if len(record.Value) > 255 {
		return errors.New("embedded: a value of more than 255 bytes")
	}
	return nil
}

func (r *Responder) index(record acme.Record) int {
	return slices.IndexFunc(r.records, func(have acme.Record) bool {
		return have.Name == record.Name && have.Value == record.Value
	})
}

func (r *Responder) zones() []string {
	zones := make([]string, 0, len(r.Zones))
	for _, zone := range r.Zones {
		if name, err := acme.CanonicalName(zone); err == nil {
			zones = append(zones, name)
		}
	}
	return zones
}

// ServeDNS implements [dns.Handler].
func (r *Responder) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer := r.answer(question)
	size := dns.MaxMsgSize
	if w.LocalAddr().Network() == "udp" {
		size = dns.MinMsgSize
	}
	if edns := question.IsEdns0(); edns != nil {
		answer.SetEdns0(udpSize, false)
		if edns.Version() != 0 {
			answer.Rcode = dns.RcodeBadVers
		}
		if size == dns.MinMsgSize {
			size = min(max(int(edns.UDPSize()), dns.MinMsgSize), udpSize)
		}
	}
	answer.Truncate(size)
	w.WriteMsg(answer)
}

func (r *Responder) answer(question *dns.Msg) *dns.Msg {
	answer := new(dns.Msg)
	if question.Opcode != dns.OpcodeQuery {
		return answer.SetRcode(question, dns.RcodeNotImplemented)
	}
	if len(question.Question) != 1 {
		return answer.SetRcodeFormatError(question)
	}
	q := question.Question[0]
	name := strings.ToLower(q.Name)
	zone := acme.LongestZone(name, r.zones())
	if zone == "" || q.Qclass != dns.ClassINET || q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR {
		return answer.SetRcode(question, dns.RcodeRefused)
	}
	answer.SetReply(question)
	answer.Authoritative = true
	exists := false
	for _, rr := range r.at(zone, name) {
		exists = true
		if q.Qtype == rr.Header().Rrtype {
			answer.Answer = append(answer.Answer, withName(rr, q.Name))
		}
	}
	if len(answer.Answer) == 0 {
		answer.Ns = []dns.RR{r.soa(zone)}
		if !exists && !r.below(zone, name) {
			answer.Rcode = dns.RcodeNameError
		}
	}
	return answer
}

// withName gives a record the name as it was asked, in whatever case.
func withName(rr dns.RR, name string) dns.RR {
	rr.Header().Name = name
	return rr
}

// at returns the records of a name.
func (r *Responder) at(zone, name string) []dns.RR {
	var rrs []dns.RR
	if name == zone {
		rrs = append(rrs, r.soa(zone), &dns.NS{Hdr: header(zone, dns.TypeNS, apexTTL), Ns: r.nameserver(zone)})
	}
	if name == r.nameserver(zone) {
		for _, addr := range r.Addresses {
			rrs = append(rrs, address(name, addr))
		}
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, have := range r.records {
		if have.Name == name {
			ttl := uint32(have.TTL / time.Second)
			rrs = append(rrs, &dns.TXT{Hdr: header(name, dns.TypeTXT, ttl), Txt: []string{have.Value}})
		}
	}
	return rrs
}

// below reports whether there are names below one that has no records itself:
// then it exists (RFC 8020).
func (r *Responder) below(zone, name string) bool {
	if strings.HasSuffix(r.nameserver(zone), "."+name) {
		return true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(r.records, func(have acme.Record) bool { return strings.HasSuffix(have.Name, "."+name) })
}

func (r *Responder) nameserver(zone string) string {
	if name, err := acme.CanonicalName(r.Nameserver); err == nil {
		return name
	}
	return "ns." + zone
}

func (r *Responder) soa(zone string) dns.RR {
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA, negativeTTL), Ns: r.nameserver(zone), Mbox: "hostmaster." + zone,
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL,
	}
}

func address(name string, addr netip.Addr) dns.RR {
	if addr = addr.Unmap(); addr.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, apexTTL), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, apexTTL), AAAA: addr.AsSlice()}
}

func header(name string, kind uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
}

// ListenAndServe serves UDP and TCP at an address (empty: ":53") until ctx ends.
func (r *Responder) ListenAndServe(ctx context.Context, address string) error {
	packets, streams, err := Listen(ctx, address)
	if err != nil {
		return err
	}
	return r.Serve(ctx, packets, streams)
}

// Listen opens the sockets that [Responder.Serve] wants, at an address (empty:
// ":53"), so that a program can see whether it may before it goes on.
func Listen(ctx context.Context, address string) (net.PacketConn, net.Listener, error) {
	var config net.ListenConfig
	streams, err := config.Listen(ctx, "tcp", cmp.Or(address, ":53"))
	if err != nil {
		return nil, nil, listenError(err)
	}
	packets, err := config.ListenPacket(ctx, "udp", streams.Addr().String())
	if err != nil {
		streams.Close()
		return nil, nil, listenError(err)
	}
	return packets, streams, nil
}

func listenError(err error) error {
	return fmt.Errorf("embedded: %w; port 53 needs root or CAP_NET_BIND_SERVICE, and no other DNS server at this address", err)
}

// Serve answers at sockets that are open already, until ctx ends, and closes
// them.
func (r *Responder) Serve(ctx context.Context, packets net.PacketConn, streams net.Listener) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: r},
		{Listener: &limited{streams, make(chan struct{}, maxConnections)}, Handler: r, ReadTimeout: idleTimeout, WriteTimeout: idleTimeout,
			IdleTimeout: func() time.Duration { return idleTimeout }},
	} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() {
			if err := server.ActivateAndServe(); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("embedded: %w", err))
			}
		})
		wg.Go(func() {
			<-ctx.Done()
			select {
			case <-started:
				server.Shutdown()
			case <-time.After(idleTimeout):
			}
		})
	}
	wg.Wait()
	packets.Close()
	streams.Close()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// limited is a listener that has at most so many connections open.
type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			return &connection{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			conn.Close()
		}
	}
}

type connection struct {
	net.Conn
	free func()
}

func (c *connection) Close() error {
	defer c.free()
	return c.Conn.Close()
}
