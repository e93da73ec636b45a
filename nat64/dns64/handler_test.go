package dns64

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// A zone is an upstream made of records in text: "name type" to what it
// answers, and rcodes. It remembers what it was asked.
type zone struct {
	records map[string]string // question to records, one a line, "!RCODE", "-" for a timeout; authority behind "--"
	asked   []string
	hook    func(query, answer *dns.Msg)
}

func (z *zone) Exchange(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	q := query.Question[0]
	key := strings.ToLower(q.Name) + " " + dns.TypeToString[q.Qtype]
	z.asked = append(z.asked, key)
	answer := new(dns.Msg).SetReply(query)
	answer.RecursionAvailable, answer.AuthenticatedData = true, true
	text, known := z.records[key]
	switch rcode, isRcode := strings.CutPrefix(text, "!"); {
	case !known:
		text = "--\nexample. 900 SOA ns. host. 1 1 1 1 1"
	case text == "-":
		return nil, errors.New("timeout")
	case isRcode:
		code, rest, _ := strings.Cut(rcode, "\n")
		answer.Rcode, text = dns.StringToRcode[code], rest
	}
	section := &answer.Answer
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "--" {
			section = &answer.Ns
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			return nil, err
		}
		*section = append(*section, rr)
	}
	if z.hook != nil {
		z.hook(query, answer)
	}
	return answer, nil
}

type recorder struct {
	dns.ResponseWriter
	remote net.Addr
	answer *dns.Msg
}

func (r *recorder) RemoteAddr() net.Addr { return r.remote }

func (r *recorder) WriteMsg(m *dns.Msg) error {
	packed, err := m.Pack()
	if err != nil {
		return err
	}
	r.answer = new(dns.Msg)
	return r.answer.Unpack(packed)
}

func from(addr string) net.Addr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), 5353))
}

func question(name string, qtype uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, qtype)
}

func serve(h *Handler, client string, query *dns.Msg) *dns.Msg {
	w := &recorder{remote: from(client)}
	h.ServeDNS(w, query)
	return w.answer
}

// lines returns the answer section, one record a line, blanks for tabs.
func lines(m *dns.Msg) []string {
	var out []string
	for _, rr := range m.Answer {
		out = append(out, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	return out
}

func handler(z *zone) *Handler {
	return &Handler{Upstream: z, Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96"))}
}

func TestAAAA(t *testing.T) {
	const soa = "--\nexample. 300 SOA ns. host. 1 1 1 1 1"
	z := &zone{records: map[string]string{
		"four.example. A":       "four.example. 900 A 192.0.2.1\nfour.example. 900 A 192.0.2.2",
		"four.example. AAAA":    soa,
		"nosoa.example. A":      "nosoa.example. 900 A 192.0.2.1",
		"nosoa.example. AAAA":   "",
		"short.example. A":      "short.example. 30 A 192.0.2.1",
		"short.example. AAAA":   soa,
		"six.example. AAAA":     "six.example. 60 AAAA 2001:db8::6",
		"six.example. A":        "six.example. 60 A 192.0.2.1",
		"mapped.example. AAAA":  "mapped.example. 60 AAAA ::ffff:192.0.2.9",
		"mapped.example. A":     "mapped.example. 60 A 192.0.2.1",
		"mixed.example. AAAA":   "mixed.example. 60 AAAA ::ffff:192.0.2.9\nmixed.example. 60 AAAA 2001:db8::6",
		"none.example. AAAA":    "!NXDOMAIN\n" + soa,
		"none.example. A":       "none.example. 60 A 192.0.2.1",
		"servfail.example. A":   "servfail.example. 60 A 192.0.2.1",
		"refused.example. AAAA": "!REFUSED",
		"refused.example. A":    "refused.example. 60 A 192.0.2.1",
		"timeout.example. AAAA": "-",
		"timeout.example. A":    "timeout.example. 60 A 192.0.2.1",
		"dead.example. AAAA":    "-",
		"dead.example. A":       "-",
		"afails.example. AAAA":  soa,
		"afails.example. A":     "!NOTIMP",
		"alias.example. AAAA":   "alias.example. 60 CNAME four.example.\n" + soa,
		"alias.example. A":      "alias.example. 60 CNAME four.example.\nfour.example. 900 A 192.0.2.1",
		"w.dname.example. AAAA": "dname.example. 60 DNAME other.example.\nw.dname.example. 60 CNAME w.other.example.\n" + soa,
		"w.dname.example. A":    "dname.example. 60 DNAME other.example.\nw.dname.example. 60 CNAME w.other.example.\nw.other.example. 10 A 192.0.2.3",
		"signed.example. AAAA":  soa,
		"signed.example. A":     "signed.example. 60 A 192.0.2.1\nsigned.example. 60 RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AAAA",
	}}
	z.records["servfail.example. AAAA"] = "!SERVFAIL"
	for name, want := range map[string][]string{
		"four.example.":     {"four.example. 300 IN AAAA 2001:db8:64::c000:201", "four.example. 300 IN AAAA 2001:db8:64::c000:202"},
		"nosoa.example.":    {"nosoa.example. 600 IN AAAA 2001:db8:64::c000:201"},
		"short.example.":    {"short.example. 30 IN AAAA 2001:db8:64::c000:201"},
		"six.example.":      {"six.example. 60 IN AAAA 2001:db8::6"},
		"mapped.example.":   {"mapped.example. 60 IN AAAA 2001:db8:64::c000:201"},
		"mixed.example.":    {"mixed.example. 60 IN AAAA 2001:db8::6"},
		"none.example.":     nil,
		"servfail.example.": {"servfail.example. 60 IN AAAA 2001:db8:64::c000:201"},
		"refused.example.":  {"refused.example. 60 IN AAAA 2001:db8:64::c000:201"},
		"timeout.example.":  {"timeout.example. 60 IN AAAA 2001:db8:64::c000:201"},
		"alias.example.":    {"alias.example. 60 IN CNAME four.example.", "four.example. 300 IN AAAA 2001:db8:64::c000:201"},
		"w.dname.example.":  {"dname.example. 60 IN DNAME other.example.", "w.dname.example. 60 IN CNAME w.other.example.", "w.other.example. 10 IN AAAA 2001:db8:64::c000:203"},
		"signed.example.":   {"signed.example. 60 IN AAAA 2001:db8:64::c000:201"},
	} {
		answer := serve(handler(z), "127.0.0.1", question(name, dns.TypeAAAA))
		require.Equal(t, want, lines(answer), name)
		require.False(t, answer.AuthenticatedData, "never AD")
		require.Equal(t, question(name, dns.TypeAAAA).Question, answer.Question)
		if name == "none.example." {
			require.Equal(t, dns.RcodeNameError, answer.Rcode)
			continue
		}
		require.Equal(t, dns.RcodeSuccess, answer.Rcode, name)
	}
	require.Equal(t, dns.RcodeServerFailure, serve(handler(z), "127.0.0.1", question("dead.example.", dns.TypeAAAA)).Rcode)
	require.Equal(t, dns.RcodeNotImplemented, serve(handler(z), "127.0.0.1", question("afails.example.", dns.TypeAAAA)).Rcode)
	empty := serve(handler(z), "127.0.0.1", question("empty.example.", dns.TypeAAAA))
	require.Empty(t, empty.Answer)
	require.Len(t, empty.Ns, 1, "the authority of the A query")
}

func TestDNSSECBits(t *testing.T) {
	z := &zone{records: map[string]string{
		"four.example. A":     "four.example. 60 A 192.0.2.1\nfour.example. 60 RRSIG A 13 2 60 20300101000000 20200101000000 1 example. AAAA",
		"bogus.example. A":    "bogus.example. 60 A 192.0.2.1",
		"bogus.example. AAAA": "!SERVFAIL",
	}}
	z.hook = func(query, answer *dns.Msg) {
		if query.CheckingDisabled && query.Question[0].Name == "bogus.example." {
			answer.Rcode = dns.RcodeSuccess // CD undoes a failed validation
		}
	}
	ask := func(name string, do, cd bool) *dns.Msg {
		query := question(name, dns.TypeAAAA)
		query.SetEdns0(4096, do)
		query.CheckingDisabled = cd
		return serve(handler(z), "::1", query)
	}
	require.Empty(t, ask("four.example.", true, true).Answer, "a validating client synthesizes by itself")
	require.Len(t, ask("four.example.", false, true).Answer, 1)
	require.Len(t, ask("four.example.", true, false).Answer, 1, "without the A record's signature")
	require.Equal(t, dns.RcodeServerFailure, ask("bogus.example.", true, false).Rcode)
	require.Equal(t, dns.RcodeServerFailure, ask("bogus.example.", false, false).Rcode)
	answer := ask("four.example.", true, false)
	require.True(t, answer.IsEdns0().Do())
	require.EqualValues(t, 1232, answer.IsEdns0().UDPSize())
	require.False(t, answer.AuthenticatedData)
}

func TestTables(t *testing.T) {
	z := &zone{records: map[string]string{
		"four.example. A":       "four.example. 60 A 192.0.2.1\nfour.example. 60 A 10.1.2.3\nfour.example. 60 A 10.9.1.1",
		"x.legacy.example. A":   "x.legacy.example. 60 A 192.0.2.1",
		"private.example. A":    "private.example. 60 A 10.9.9.9",
		"private.example. AAAA": "--\nexample. 77 SOA ns. host. 1 1 1 1 1",
	}}
	h := handler(z)
	var err error
	h.Table, err = nat64.NewTable(
		nat64.Rule{IPv4: netip.MustParsePrefix("0.0.0.0/0"), Prefix: nat64.MustParsePrefix("2001:db8:64::/96")},
		nat64.Rule{IPv4: netip.MustParsePrefix("10.0.0.0/8"), Prefix: nat64.MustParsePrefix("2001:db8:10::/64")},
		nat64.Rule{IPv4: netip.MustParsePrefix("10.9.0.0/16")},
	)
	require.NoError(t, err)
	h.Clients = []Client{
		{Networks: []netip.Prefix{netip.MustParsePrefix("2001:db8:c::/48")}, Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:c64::/96"))},
		{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, // IPv4 clients need none
	}
	h.Allow = []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("0.0.0.0/0")}
	first := h.Table
	h.Table = nil
	h.UseTable(first)
	h.OptOut = []string{"legacy.example"}
	require.Equal(t, []string{
		"four.example. 60 IN AAAA 2001:db8:64::c000:201", "four.example. 60 IN AAAA 2001:db8:10:0:a:102:300:0",
	}, lines(serve(h, "2001:db8::1", question("four.example.", dns.TypeAAAA))), "a prefix for a range, and none for another")
	require.Len(t, lines(serve(h, "2001:db8:c::1", question("four.example.", dns.TypeAAAA))), 3)
	require.Empty(t, lines(serve(h, "192.0.2.7", question("four.example.", dns.TypeAAAA))))
	require.Empty(t, lines(serve(h, "2001:db8::1", question("x.LEGACY.example.", dns.TypeAAAA))), "opted out")
	private := serve(h, "2001:db8::1", question("private.example.", dns.TypeAAAA))
	require.Empty(t, private.Answer)
	require.EqualValues(t, 77, private.Ns[0].Header().Ttl, "the empty answer's own SOA")
}

func TestExclude(t *testing.T) {
	z := &zone{records: map[string]string{
		"a.example. AAAA": "a.example. 60 AAAA 2001:db8:bad::1", "a.example. A": "a.example. 60 A 192.0.2.1",
		"m.example. AAAA": "m.example. 60 AAAA ::ffff:10.0.0.1", "m.example. A": "m.example. 60 A 192.0.2.1",
	}}
	h := handler(z)
	h.Exclude = []netip.Prefix{netip.MustParsePrefix("2001:db8:bad::/48")}
	require.Equal(t, []string{"a.example. 60 IN AAAA 2001:db8:64::c000:201"}, lines(serve(h, "::1", question("a.example.", dns.TypeAAAA))))
	require.Equal(t, []string{"m.example. 60 IN AAAA ::ffff:10.0.0.1"}, lines(serve(h, "::1", question("m.example.", dns.TypeAAAA))))
	h.Exclude = []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96")}
	require.Equal(t, []string{"m.example. 60 IN AAAA 2001:db8:64::c000:201"}, lines(serve(h, "::1", question("m.example.", dns.TypeAAAA))))
}

func TestPTR(t *testing.T) {
	reverse := func(a string) string {
		name, err := dns.ReverseAddr(a)
		require.NoError(t, err)
		return name
	}
	plain, aliased, missing := reverse("2001:db8:64::c000:201"), reverse("2001:db8:64::c000:202"), reverse("2001:db8:64::c000:203")
	z := &zone{records: map[string]string{
		"1.2.0.192.in-addr.arpa. PTR":   "1.2.0.192.in-addr.arpa. 60 PTR host.example.",
		"2.2.0.192.in-addr.arpa. PTR":   "2.2.0.192.in-addr.arpa. 60 CNAME 2.0/25.2.0.192.in-addr.arpa.\n2.0/25.2.0.192.in-addr.arpa. 60 PTR two.example.",
		"3.2.0.192.in-addr.arpa. PTR":   "!NXDOMAIN",
		reverse("2001:db8::6") + " PTR": reverse("2001:db8::6") + " 60 PTR six.example.",
	}}
	h := handler(z)
	ask := func(name string) *dns.Msg { return serve(h, "::1", question(name, dns.TypePTR)) }
	require.Equal(t, []string{plain + " 60 IN CNAME 1.2.0.192.in-addr.arpa.", "1.2.0.192.in-addr.arpa. 60 IN PTR host.example."}, lines(ask(plain)))
	require.Equal(t, []string{aliased + " 60 IN PTR two.example."}, lines(ask(aliased)), "no longer chain")
	require.Equal(t, dns.RcodeNameError, ask(missing).Rcode)
	require.Equal(t, []string{reverse("2001:db8::6") + " 60 IN PTR six.example."}, lines(ask(reverse("2001:db8::6"))))
	require.Equal(t, []string{
		reverse("2001:db8:64::c000:aa") + " 600 IN CNAME 170.0.0.192.in-addr.arpa.", "170.0.0.192.in-addr.arpa. 600 IN PTR ipv4only.arpa.",
	}, lines(ask(reverse("2001:db8:64::c000:aa"))))
}

func TestIPv4Only(t *testing.T) {
	z := &zone{}
	h := handler(z)
	require.Equal(t, []string{"ipv4only.arpa. 600 IN AAAA 2001:db8:64::c000:aa", "ipv4only.arpa. 600 IN AAAA 2001:db8:64::c000:ab"},
		lines(serve(h, "::1", question("ipv4only.arpa.", dns.TypeAAAA))))
	require.Equal(t, []string{"IPV4ONLY.arpa. 600 IN A 192.0.0.170", "IPV4ONLY.arpa. 600 IN A 192.0.0.171"},
		lines(serve(h, "::1", question("IPV4ONLY.arpa.", dns.TypeA))))
	require.Equal(t, []string{"171.0.0.192.in-addr.arpa. 600 IN PTR ipv4only.arpa."},
		lines(serve(h, "::1", question("171.0.0.192.in-addr.arpa.", dns.TypePTR))))
	none := serve(h, "::1", question("ipv4only.arpa.", dns.TypeTXT))
	require.Empty(t, none.Answer)
	require.Len(t, none.Ns, 1)
	require.Equal(t, []string{"ipv4only.arpa. 600 IN SOA localhost. nobody.invalid. 1 3600 1200 604800 10800"}, lines(serve(h, "::1", question("ipv4only.arpa.", dns.TypeSOA))))
	require.Equal(t, []string{"ipv4only.arpa. 600 IN NS localhost."}, lines(serve(h, "::1", question("ipv4only.arpa.", dns.TypeNS))))
	checking := question("ipv4only.arpa.", dns.TypeAAAA)
	checking.SetEdns0(1232, true)
	checking.CheckingDisabled = true
	require.Len(t, lines(serve(h, "::1", checking)), 2, "RFC 8880, section 7.1")
	require.Empty(t, z.asked, "nothing goes upstream")
	serve(h, "::1", question("ipv4only.arpa.", dns.TypeDS))
	require.Equal(t, []string{"ipv4only.arpa. DS"}, z.asked, "the parent's")
	h.Table = nat64.TableOf(nat64.WellKnown())
	require.Len(t, lines(serve(h, "::1", question("ipv4only.arpa.", dns.TypeAAAA))), 2, "though the registry calls them not global")
}

func TestAccess(t *testing.T) {
	h := handler(&zone{})
	require.Equal(t, dns.RcodeRefused, serve(h, "192.0.2.1", question("a.example.", dns.TypeA)).Rcode, "loopback only")
	require.Equal(t, dns.RcodeSuccess, serve(h, "::1", question("a.example.", dns.TypeA)).Rcode)
	require.Equal(t, dns.RcodeSuccess, serve(h, "::ffff:127.0.0.1", question("a.example.", dns.TypeA)).Rcode)
	response := question("a.example.", dns.TypeA)
	response.Response = true
	require.Nil(t, serve(h, "::1", response))
	require.Equal(t, dns.RcodeRefused, serve(h, "::1", question("example.", dns.TypeAXFR)).Rcode)
	update := question("example.", dns.TypeSOA)
	update.Opcode = dns.OpcodeUpdate
	require.Equal(t, dns.RcodeNotImplemented, serve(h, "::1", update).Rcode)
	require.Equal(t, dns.RcodeFormatError, serve(h, "::1", new(dns.Msg)).Rcode)
	version := question("a.example.", dns.TypeA)
	version.SetEdns0(1232, false)
	version.IsEdns0().SetVersion(1)
	require.Equal(t, dns.RcodeBadVers, serve(h, "::1", version).Rcode)
	require.EqualValues(t, 1, h.Stats().Refused)
}

func TestRate(t *testing.T) {
	h := handler(&zone{})
	h.Rate = 3
	h.Allow = []netip.Prefix{netip.MustParsePrefix("::/0")}
	for range 3 {
		require.False(t, serve(h, "2001:db8::1", question("a.example.", dns.TypeA)).Truncated)
	}
	limited := serve(h, "2001:db8::2", question("a.example.", dns.TypeA))
	require.True(t, limited.Truncated, "the same /64")
	require.Empty(t, limited.Answer)
	require.False(t, serve(h, "2001:db8:1::1", question("a.example.", dns.TypeA)).Truncated)
	require.EqualValues(t, 1, h.Stats().Limited)

	l := limiter{rate: 2}
	start := time.Unix(0, 0)
	client := netip.MustParseAddr("192.0.2.1")
	require.True(t, l.take(client, start))
	require.True(t, l.take(client, start))
	require.False(t, l.take(client, start))
	require.True(t, l.take(client, start.Add(time.Second/2)))
	for i := range maxClients + 10 {
		l.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), start)
	}
	require.LessOrEqual(t, len(l.buckets), maxClients)
}

// blocked is an upstream that waits until it is released.
type blocked struct{ entered, release chan struct{} }

func (b blocked) Exchange(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	b.entered <- struct{}{}
	<-b.release
	return new(dns.Msg).SetReply(query), nil
}

func TestConcurrency(t *testing.T) {
	b := blocked{make(chan struct{}), make(chan struct{})}
	h := &Handler{Upstream: b, Concurrency: 1}
	first := make(chan *dns.Msg)
	go func() { first <- serve(h, "::1", question("a.example.", dns.TypeA)) }()
	<-b.entered
	require.Equal(t, dns.RcodeServerFailure, serve(h, "::1", question("b.example.", dns.TypeA)).Rcode)
	close(b.release)
	require.Equal(t, dns.RcodeSuccess, (<-first).Rcode)
}

func TestSize(t *testing.T) {
	var records strings.Builder
	for i := range 100 {
		records.WriteString("big.example. 60 A " + netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String() + "\n")
	}
	h := handler(&zone{records: map[string]string{"big.example. A": records.String()}})
	for offered, limit := range map[uint16]int{0: 512, 1000: 1000, 4096: 1232} {
		query := question("big.example.", dns.TypeAAAA)
		if offered > 0 {
			query.SetEdns0(offered, false)
		}
		answer := serve(h, "::1", query)
		require.True(t, answer.Truncated)
		answer.Compress = true
		require.LessOrEqual(t, answer.Len(), limit)
	}
	w := &recorder{remote: &net.TCPAddr{IP: net.IPv6loopback}}
	h.ServeDNS(w, question("big.example.", dns.TypeAAAA))
	require.Len(t, w.answer.Answer, 100)
}

// One lost datagram costs no family of a name.
func TestForwarderSendsAgain(t *testing.T) {
	conn, err := net.ListenPacket("udp", "[::1]:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for lost := true; ; lost = false {
			n, client, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			query := new(dns.Msg)
			if lost || query.Unpack(buf[:n]) != nil {
				continue
			}
			if packed, err := new(dns.Msg).SetReply(query).Pack(); err == nil {
				_, _ = conn.WriteTo(packed, client)
			}
		}
	}()
	defer func() { conn.Close(); <-ended }()
	f := &Forwarder{Servers: []string{conn.LocalAddr().String()}}
	defer f.Close()
	_, err = f.Exchange(t.Context(), question("a.example.", dns.TypeAAAA))
	require.NoError(t, err)
}

func TestServer(t *testing.T) {
	upstream := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		if query.Question[0].Qtype == dns.TypeA {
			for i := range 60 {
				answer.Answer = append(answer.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
					A:   net.IPv4(192, 0, 2, byte(i)),
				})
			}
		}
		if _, isUDP := w.RemoteAddr().(*net.UDPAddr); isUDP {
			answer.Truncate(512)
		}
		_ = w.WriteMsg(answer)
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	start := func(h dns.Handler) string {
		tcp, err := net.Listen("tcp", "[::1]:0")
		require.NoError(t, err)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		require.NoError(t, err)
		go func() { ended <- (&Server{Handler: h}).Serve(ctx, udp, tcp) }()
		return tcp.Addr().String()
	}
	forwarder := &Forwarder{Servers: []string{"[::1]:1", start(upstream)}, Attempt: time.Second}
	defer forwarder.Close()
	addr := start(&Handler{Upstream: forwarder, Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96"))})
	client := &dns.Client{Timeout: 5 * time.Second}
	answer, _, err := client.Exchange(question("a.example.", dns.TypeAAAA), addr)
	require.NoError(t, err)
	require.True(t, answer.Truncated)
	client.Net = "tcp"
	answer, _, err = client.Exchange(question("a.example.", dns.TypeAAAA), addr)
	require.NoError(t, err)
	require.Len(t, answer.Answer, 60, "the upstream's truncated answer was asked for again")
	cancel()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
}

// Whatever a client and an upstream send, the handler answers or is silent.
func FuzzHandler(f *testing.F) {
	seed, _ := question("four.example.", dns.TypeAAAA).Pack()
	ptr, _ := question("1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", dns.TypePTR).Pack()
	reply := new(dns.Msg).SetReply(question("four.example.", dns.TypeA))
	reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "four.example.", Rrtype: dns.TypeA, Class: 1}, A: net.IPv4(1, 2, 3, 4)}}
	answer, _ := reply.Pack()
	f.Add(seed, answer)
	f.Add(ptr, answer)
	f.Fuzz(func(t *testing.T, asked, answered []byte) {
		query := new(dns.Msg)
		if query.Unpack(asked) != nil {
			return
		}
		h := &Handler{Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96")), Upstream: upstreamFunc(func() (*dns.Msg, error) {
			m := new(dns.Msg)
			return m, m.Unpack(answered)
		})}
		answer := serve(h, "::1", query)
		if answer == nil {
			return
		}
		require.True(t, answer.Response)
		require.False(t, answer.AuthenticatedData)
		require.Equal(t, query.Id, answer.Id)
	})
}

type upstreamFunc func() (*dns.Msg, error)

func (f upstreamFunc) Exchange(context.Context, *dns.Msg) (*dns.Msg, error) { return f() }

func FuzzReverseAddr(f *testing.F) {
	f.Add("1.0.2.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.4.6.0.0.8.b.d.0.1.0.0.2.ip6.arpa.")
	f.Add("1.2.0.192.in-addr.arpa.")
	f.Fuzz(func(t *testing.T, name string) {
		addr, ok := reverseAddr(name)
		if !ok {
			return
		}
		back, err := dns.ReverseAddr(addr.String())
		if addr.Is4In6() { // miekg/dns takes it for IPv4
			return
		}
		require.NoError(t, err)
		require.Equal(t, strings.ToLower(name), back)
	})
}
