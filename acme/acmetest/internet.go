package acmetest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/acme"
)

// ResolverAddress is where an [Internet] has its recursive resolver.
const ResolverAddress = "192.0.2.254:53"

// An Internet is a simulated DNS. Its servers have addresses that only its Dial
// method reaches.
type Internet struct {
	// Mangle, when set before the first question, may change a server's answer,
	// or return nil for none. It is called by several goroutines.
	Mangle func(server netip.Addr, answer *dns.Msg) *dns.Msg

	t  testing.TB
	mu sync.Mutex
	// sockets are the real addresses of the simulated ones.
	sockets map[netip.Addr]string
	zones   map[string]*Zone
	next    int
	// asked counts the questions to each server.
	asked map[netip.Addr]int
}

// A Zone is one zone of an Internet.
type Zone struct {
	Origin  string       // absolute: "example.org."
	Servers []netip.Addr // simulated addresses
	// Delay is how long a change by the zone's Provider takes to show: at the last
	// server all of it, at the others as much less.
	Delay time.Duration

	internet *Internet
	records  []record
	socket   string // of the real server, if it has one
}

// record shows from since on, and until the end when that is set, at the last
// server; the others show the change earlier.
type record struct {
	rr    dns.RR
	since time.Time
	until time.Time
}

// NewInternet starts an Internet with the zone ".", which ends with the test.
func NewInternet(t testing.TB) *Internet {
	n := &Internet{t: t, sockets: map[netip.Addr]string{}, zones: map[string]*Zone{}, asked: map[netip.Addr]int{}}
	n.listen(netip.MustParseAddrPort(ResolverAddress).Addr(), n.resolve)
	n.Zone(".")
	return n
}

// Zone makes a zone with servers at these addresses, and delegates it in the
// zone above. With no address it gets one.
func (n *Internet) Zone(origin string, servers ...string) *Zone {
	n.t.Helper()
	z := &Zone{Origin: origin, internet: n}
	if len(servers) == 0 {
		n.next++
		servers = []string{fmt.Sprintf("198.51.100.%d", n.next)}
	}
	above := n.enclosing(parent(origin))
	z.Add(fmt.Sprintf("%s 60 IN SOA ns1.%s hostmaster.%s 1 3600 600 86400 60", origin, strings.TrimPrefix(origin, "."), strings.TrimPrefix(origin, ".")))
	for i, text := range servers {
		addr := netip.MustParseAddr(text)
		z.Servers = append(z.Servers, addr)
		name := fmt.Sprintf("ns%d.%s", i+1, strings.TrimPrefix(origin, "."))
		kind := map[bool]string{true: "A", false: "AAAA"}[addr.Is4()]
		glue := fmt.Sprintf("%s 60 IN %s %s", name, kind, addr)
		ns := fmt.Sprintf("%s 60 IN NS %s", origin, name)
		z.Add(ns, glue)
		if above != nil {
			above.Add(ns, glue)
		}
		n.listen(addr, func(q dns.Question) *dns.Msg { return n.answer(addr, q) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zones[origin] = z
	return z
}

// Add adds records, in the format of master files, that show at once.
func (z *Zone) Add(texts ...string) {
	z.internet.t.Helper()
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			z.internet.t.Fatal(err)
		}
		z.internet.mu.Lock()
		z.records = append(z.records, record{rr: rr})
		z.internet.mu.Unlock()
	}
}

// TXT returns the values at a name, as the provider has them: without delay.
func (z *Zone) TXT(name string) []string {
	z.internet.mu.Lock()
	defer z.internet.mu.Unlock()
	var values []string
	for _, r := range z.records {
		if txt, ok := r.rr.(*dns.TXT); ok && txt.Hdr.Name == name && r.until.IsZero() {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}

// Served returns the values that all the zone's servers show.
func (z *Zone) Served(name string) []string {
	z.internet.mu.Lock()
	defer z.internet.mu.Unlock()
	var values []string
	for _, rr := range z.visible(z.Servers[len(z.Servers)-1], name) {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}

// Provider returns a provider that changes all zones of the Internet.
func (n *Internet) Provider() acme.Provider { return provider{n} }

type provider struct{ n *Internet }

func (p provider) AppendTXT(ctx context.Context, r acme.Record) error {
	return p.change(ctx, r, func(z *Zone, now time.Time) {
		if z.txt(r) < 0 {
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: r.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: uint32(r.TTL / time.Second)}, Txt: []string{r.Value}}
			z.records = append(z.records, record{rr: rr, since: now.Add(z.Delay)})
		}
	})
}

func (p provider) DeleteTXT(ctx context.Context, r acme.Record) error {
	return p.change(ctx, r, func(z *Zone, now time.Time) {
		if i := z.txt(r); i >= 0 {
			z.records[i].until = now.Add(z.Delay)
		}
	})
}

func (p provider) change(ctx context.Context, r acme.Record, do func(*Zone, time.Time)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	z := p.n.zones[r.Zone]
	if z == nil || !acme.InZone(r.Name, r.Zone) {
		return fmt.Errorf("acmetest: %s: %w", r.Zone, acme.ErrNoZone)
	}
	do(z, time.Now())
	return nil
}

// txt returns the index of a record that has not been deleted, -1 for none.
func (z *Zone) txt(r acme.Record) int {
	return slices.IndexFunc(z.records, func(have record) bool {
		txt, ok := have.rr.(*dns.TXT)
		return ok && have.until.IsZero() && txt.Hdr.Name == r.Name && strings.Join(txt.Txt, "") == r.Value
	})
}

// Dial connects to a simulated address, at port 53.
func (n *Internet) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	socket := n.sockets[addr.Addr()]
	n.mu.Unlock()
	if socket == "" || addr.Port() != 53 {
		return nil, fmt.Errorf("acmetest: no server at %s", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, socket)
}

// Socket returns the real address of a simulated one ("192.0.2.1"), for programs
// that cannot be given Dial.
func (n *Internet) Socket(addr string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sockets[netip.MustParseAddr(addr)]
}

// Resolver returns the real address of the recursive resolver.
func (n *Internet) Resolver() string { return n.Socket("192.0.2.254") }

// Attach has the zone served by a real server, at the simulated address addr.
// It is delegated like those that Zone makes.
func (n *Internet) Attach(origin, addr, socket string) {
	n.t.Helper()
	z := n.Zone(origin, addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	z.socket = socket
	n.sockets[z.Servers[0]] = socket
}

// Checker returns a checker that lives in the Internet and is quick about it.
func (n *Internet) Checker() *acme.Checker {
	return &acme.Checker{Resolvers: []string{ResolverAddress}, Dial: n.Dial, Interval: 20 * time.Millisecond, Timeout: 20 * time.Second}
}

// Asked returns how many questions a server has had.
func (n *Internet) Asked(server netip.Addr) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[server]
}

// listen starts the server of an address, unless it has one.
func (n *Internet) listen(addr netip.Addr, answer func(dns.Question) *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sockets[addr] != "" {
		return
	}
	streams, packets := listenBoth(n.t)
	n.sockets[addr] = streams.Addr().String()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { n.serve(addr, answer, w, m) })
	for _, s := range []*dns.Server{{Listener: streams, Handler: handler}, {PacketConn: packets, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.ActivateAndServe()
		}()
		<-started
		n.t.Cleanup(func() { s.Shutdown(); <-done })
	}
}

// listenBoth returns TCP and UDP sockets with one port.
func listenBoth(t testing.TB) (net.Listener, net.PacketConn) {
	for range 20 {
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", streams.Addr().String())
		if err == nil {
			return streams, packets
		}
		streams.Close()
	}
	t.Fatal("acmetest: no port that is free for both UDP and TCP")
	return nil, nil
}

func (n *Internet) serve(addr netip.Addr, answer func(dns.Question) *dns.Msg, w dns.ResponseWriter, m *dns.Msg) {
	defer w.Close()
	if len(m.Question) != 1 {
		return
	}
	n.mu.Lock()
	n.asked[addr]++
	n.mu.Unlock()
	reply := answer(m.Question[0])
	reply.SetRcode(m, reply.Rcode)
	if n.Mangle != nil {
		if reply = n.Mangle(addr, reply); reply == nil {
			return
		}
	}
	if w.LocalAddr().Network() == "udp" {
		reply.Truncate(dns.MinMsgSize)
	}
	w.WriteMsg(reply)
}

// resolve is the recursive resolver: it sees all zones, and follows aliases.
func (n *Internet) resolve(q dns.Question) *dns.Msg {
	reply := &dns.Msg{}
	name := strings.ToLower(q.Name)
	for range 16 {
		zone := n.enclosing(name)
		found := n.ask(zone, name, q.Qtype)
		reply.Answer = append(reply.Answer, found.Answer...)
		reply.Ns, reply.Rcode = found.Ns, found.Rcode
		cname, ok := last(found.Answer).(*dns.CNAME)
		if !ok || q.Qtype == dns.TypeCNAME {
			break
		}
		name = strings.ToLower(cname.Target)
	}
	reply.RecursionAvailable = true
	return reply
}

// ask has a zone's last server answer.
func (n *Internet) ask(zone *Zone, name string, qtype uint16) *dns.Msg {
	if zone.socket == "" {
		return n.in(zone, zone.Servers[len(zone.Servers)-1], name, qtype)
	}
	client := &dns.Client{Net: "tcp"}
	answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), zone.socket)
	if err != nil {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeServerFailure}}
	}
	return answer
}

func last(rrs []dns.RR) dns.RR {
	if len(rrs) == 0 {
		return nil
	}
	return rrs[len(rrs)-1]
}

// answer is an authoritative server: it knows the zones that it serves.
func (n *Internet) answer(server netip.Addr, q dns.Question) *dns.Msg {
	name := strings.ToLower(q.Name)
	zone := n.servedBy(server, name)
	if zone == nil {
		return &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: dns.RcodeRefused}}
	}
	if cut := n.cut(zone, name); cut != nil {
		return &dns.Msg{Ns: cut, Extra: n.glue(zone, cut)}
	}
	reply := n.in(zone, server, name, q.Qtype)
	reply.Authoritative = true
	return reply
}

func (n *Internet) enclosing(name string) *Zone {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; ; name = parent(name) {
		if z := n.zones[name]; z != nil || name == "." {
			return z
		}
	}
}

func (n *Internet) servedBy(server netip.Addr, name string) *Zone {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; ; name = parent(name) {
		if z := n.zones[name]; z != nil && slices.Contains(z.Servers, server) {
			return z
		}
		if name == "." {
			return nil
		}
	}
}

// cut returns the NS records of the highest zone cut between zone and name.
func (n *Internet) cut(zone *Zone, name string) (ns []dns.RR) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for ; name != zone.Origin; name = parent(name) {
		var here []dns.RR
		for _, r := range zone.records {
			if r.rr.Header().Rrtype == dns.TypeNS && r.rr.Header().Name == name {
				here = append(here, r.rr)
			}
		}
		if here != nil {
			ns = here
		}
	}
	return ns
}

// glue returns the addresses that a zone has for name servers below it.
func (n *Internet) glue(zone *Zone, cut []dns.RR) (glue []dns.RR) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range zone.records {
		kind := r.rr.Header().Rrtype
		named := func(ns dns.RR) bool { return ns.(*dns.NS).Ns == r.rr.Header().Name }
		if (kind == dns.TypeA || kind == dns.TypeAAAA) && slices.ContainsFunc(cut, named) {
			glue = append(glue, r.rr)
		}
	}
	return glue
}

// in answers from one zone, as one of its servers sees it.
func (n *Internet) in(zone *Zone, server netip.Addr, name string, qtype uint16) *dns.Msg {
	n.mu.Lock()
	defer n.mu.Unlock()
	reply := &dns.Msg{}
	owners := zone.visible(server, name)
	if len(owners) == 0 && !zone.exists(server, name) {
		owners = zone.wildcard(server, name)
		if owners == nil {
			reply.Rcode = dns.RcodeNameError
		}
	}
	for _, rr := range owners {
		if kind := rr.Header().Rrtype; kind == qtype || kind == dns.TypeCNAME {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{zone.records[0].rr}
	}
	return reply
}

// visible returns the records of a name that a server shows now.
func (z *Zone) visible(server netip.Addr, name string) []dns.RR {
	// The first server has no delay, the last all of it.
	i := slices.Index(z.Servers, server)
	ahead := z.Delay - z.Delay*time.Duration(i+1)/time.Duration(max(len(z.Servers), 1))
	now := time.Now().Add(ahead)
	var rrs []dns.RR
	for _, r := range z.records {
		if r.rr.Header().Name == name && !now.Before(r.since) && (r.until.IsZero() || now.Before(r.until)) {
			rrs = append(rrs, r.rr)
		}
	}
	return rrs
}

// exists reports whether a name has records or names below it.
func (z *Zone) exists(server netip.Addr, name string) bool {
	return slices.ContainsFunc(z.records, func(r record) bool {
		owner := r.rr.Header().Name
		return strings.HasSuffix(owner, "."+name) && len(z.visible(server, owner)) > 0
	})
}

// wildcard returns the records of the wildcard that makes a name, if one does:
// only the one below the closest name that exists (RFC 4592 section 3.3.1).
func (z *Zone) wildcard(server netip.Addr, name string) []dns.RR {
	for above := parent(name); acme.InZone(above, z.Origin); above = parent(above) {
		if rrs := z.visible(server, "*."+above); len(rrs) > 0 {
			return rrs
		}
		if above == z.Origin || above == "." || len(z.visible(server, above)) > 0 || z.exists(server, above) {
			break
		}
	}
	return nil
}

func parent(name string) string {
	if _, rest, ok := strings.Cut(name, "."); ok && rest != "" {
		return rest
	}
	return "."
}
