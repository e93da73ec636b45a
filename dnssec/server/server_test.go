package server

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const example = `$TTL 3600
@ SOA ns host 1 7200 3600 604800 300
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
alias CNAME www
far CNAME www.example.net.
dangling CNAME nothing
loop CNAME loop
*.wild TXT "wildcard"
closer.wild A 192.0.2.4
a.b.c TXT "two empty non-terminals"
insecure NS ns.insecure
ns.insecure A 192.0.2.5
only.ent NS ns.example.net.
secure NS ns.secure
secure DS 12345 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
ns.secure AAAA 2001:db8::1
away DNAME example.net.
near DNAME c
\000\001.odd TXT "octets"
`

func signedWith(t testing.TB, denial dnssec.Denial, text string) (*zone.Zone, dnssec.PublicKey) {
	t.Helper()
	origin, err := wire.ParseName("example.")
	require.NoError(t, err)
	z, _, err := zone.Parse([]byte(text), "test", origin)
	require.NoError(t, err)
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, err := dnssec.MakePublicKey(dnssec.FlagZone|dnssec.FlagSEP, dnssec.ED25519, private.Public())
	require.NoError(t, err)
	signer := dnssec.Signer{Denial: denial, Keys: []dnssec.Key{{PublicKey: public, Signer: private, Use: dnssec.CSK}}}
	result, err := signer.Sign(t.Context(), z, nil, time.Now())
	require.NoError(t, err)
	return result.Zone, public
}

// serve starts a server that ends with the test, and returns its address.
func serve(t testing.TB, s *Server) string {
	t.Helper()
	tcp, udp := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return tcp.Addr().String()
}

// listen opens a TCP and a UDP socket with one port.
func listen(t testing.TB) (net.Listener, net.PacketConn) {
	t.Helper()
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp
		}
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.NoError(t, tcp.Close())
	}
}

func ask(t testing.TB, network, address, name string, qtype uint16, do bool) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(4096, do)
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := client.ExchangeContext(t.Context(), m, address)
	require.NoError(t, err)
	return reply
}

// summary is the response code and the records without OPT and signatures, as
// "section owner TYPE".
func summary(m *dns.Msg) string {
	parts := []string{dns.RcodeToString[m.Rcode]}
	if m.Authoritative {
		parts = append(parts, "aa")
	}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		var list []string
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT && (h.Rrtype != dns.TypeRRSIG || m.Question[0].Qtype == dns.TypeRRSIG && i == 0) {
				list = append(list, fmt.Sprintf("%s:%s/%s", []string{"an", "ns", "ar"}[i], strings.TrimSuffix(h.Name, "example."), dns.TypeToString[h.Rrtype]))
			}
		}
		parts = append(parts, slices.Compact(list)...)
	}
	return strings.Join(parts, " ")
}

func TestAnswers(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	var s Server
	s.Set(z)
	address := serve(t, &s)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"example.", dns.TypeSOA, "NOERROR aa an:/SOA"},
		{"WWW.example.", dns.TypeA, "NOERROR aa an:www./A"},
		{"www.example.", dns.TypeMX, "NOERROR aa ns:/SOA ns:www./NSEC"},
		{"alias.example.", dns.TypeA, "NOERROR aa an:alias./CNAME an:www./A"},
		{"alias.example.", dns.TypeCNAME, "NOERROR aa an:alias./CNAME"},
		{"far.example.", dns.TypeA, "NOERROR aa an:far./CNAME"},
		{"dangling.example.", dns.TypeA, "NXDOMAIN aa an:dangling./CNAME ns:/SOA ns:ns.insecure./NSEC ns:/NSEC"},
		{"x.wild.example.", dns.TypeTXT, "NOERROR aa an:x.wild./TXT ns:closer.wild./NSEC"},
		{"x.closer.wild.example.", dns.TypeTXT, "NXDOMAIN aa ns:/SOA ns:closer.wild./NSEC"},
		{"x.wild.example.", dns.TypeA, "NOERROR aa ns:/SOA ns:closer.wild./NSEC ns:*.wild./NSEC"},
		{"b.c.example.", dns.TypeTXT, "NOERROR aa ns:/SOA ns:away./NSEC"},
		{"insecure.example.", dns.TypeA, "NOERROR ns:insecure./NS ns:insecure./NSEC ar:ns.insecure./A"},
		{"ns.insecure.example.", dns.TypeA, "NOERROR ns:insecure./NS ns:insecure./NSEC ar:ns.insecure./A"},
		{"secure.example.", dns.TypeA, "NOERROR ns:secure./NS ns:secure./DS ar:ns.secure./AAAA"},
		{"secure.example.", dns.TypeDS, "NOERROR aa an:secure./DS"},
		{"insecure.example.", dns.TypeDS, "NOERROR aa ns:/SOA ns:insecure./NSEC"},
		{"x.y.away.example.", dns.TypeA, "NOERROR aa an:away./DNAME an:x.y.away./CNAME"},
		{"a.b.near.example.", dns.TypeTXT, "NOERROR aa an:near./DNAME an:a.b.near./CNAME"},
		{"nothing.example.", dns.TypeA, "NXDOMAIN aa ns:/SOA ns:near./NSEC ns:/NSEC"},
		{"example.net.", dns.TypeA, "REFUSED"},
		{"www.example.", dns.TypeRRSIG, "NOERROR aa an:www./RRSIG"},
		{"alias.example.", dns.TypeRRSIG, "NOERROR aa an:alias./RRSIG"},
		{"x.wild.example.", dns.TypeRRSIG, "NOERROR aa an:x.wild./RRSIG ns:closer.wild./NSEC"},
		{"insecure.example.", dns.TypeRRSIG, "NOERROR ns:insecure./NS ns:insecure./NSEC ar:ns.insecure./A"},
		{"b.c.example.", dns.TypeRRSIG, "NOERROR aa ns:/SOA ns:away./NSEC"},
		{`\000\001.odd.example.`, dns.TypeTXT, `NOERROR aa an:\000\001.odd./TXT`},
	} {
		got := summary(ask(t, "udp", address, tt.name, tt.qtype, true))
		if tt.name == "a.b.near.example." || tt.name == "dangling.example." || tt.name == "nothing.example." {
			require.True(t, strings.HasPrefix(got, strings.Join(strings.Fields(tt.want)[:3], " ")), got)
			continue
		}
		require.Equal(t, tt.want, got, "%s %s", tt.name, dns.TypeToString[tt.qtype])
	}
}

func TestWithoutDO(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC3, example)
	var s Server
	s.Set(z)
	address := serve(t, &s)
	for _, name := range []string{"www.example.", "nothing.example.", "b.c.example.", "insecure.example.", "x.wild.example."} {
		reply := ask(t, "udp", address, name, dns.TypeTXT, false)
		require.NotContains(t, reply.String(), "NSEC", name)
		require.NotContains(t, reply.String(), "RRSIG", name)
	}
}

func TestTruncation(t *testing.T) {
	text := example
	for i := range 100 {
		text += fmt.Sprintf("big TXT \"%d a text of some length\"\n", i)
	}
	z, _ := signedWith(t, dnssec.NSEC, text)
	var s Server
	s.Set(z)
	address := serve(t, &s)
	reply := ask(t, "udp", address, "big.example.", dns.TypeTXT, true)
	require.True(t, reply.Truncated)
	require.Empty(t, reply.Answer)
	reply = ask(t, "tcp", address, "big.example.", dns.TypeTXT, true)
	require.False(t, reply.Truncated)
	require.Len(t, reply.Answer, 101)
}

func TestOddQueries(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	var s Server
	s.Set(z)
	address := serve(t, &s)
	client := dns.Client{Timeout: 5 * time.Second}
	for _, tt := range []struct {
		change func(*dns.Msg)
		rcode  int
	}{
		{func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		{func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		{func(m *dns.Msg) { m.SetEdns0(1232, true).IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
	} {
		m := new(dns.Msg)
		m.SetQuestion("example.", dns.TypeSOA)
		tt.change(m)
		reply, _, err := client.ExchangeContext(t.Context(), m, address)
		require.NoError(t, err)
		require.Equal(t, tt.rcode, reply.Rcode)
	}
	s.Remove(z.Origin)
	require.Equal(t, dns.RcodeRefused, ask(t, "udp", address, "example.", dns.TypeSOA, true).Rcode)
}

func TestTransfer(t *testing.T) {
	const secret = "c2VjcmV0"
	z, _ := signedWith(t, dnssec.NSEC3, example)
	for _, tt := range []struct {
		name    string
		from    string
		key     string
		secret  string
		allowed bool
	}{
		{"allowed", "127.0.0.0/8", "key.", secret, true},
		{"no address", "", "key.", secret, false},
		{"other address", "192.0.2.0/24", "key.", secret, false},
		{"no key", "127.0.0.0/8", "", "", false},
		{"key not listed", "127.0.0.0/8", "other.", secret, false},
		{"wrong secret", "127.0.0.0/8", "key.", "d3Jvbmc=", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Server{TransferKeys: []string{"KEY"}, TSIG: map[string]string{"key.": secret, "other.": secret}}
			if tt.from != "" {
				s.TransferFrom = []netip.Prefix{netip.MustParsePrefix(tt.from)}
			}
			s.Set(z)
			address := serve(t, &s)
			m := new(dns.Msg)
			m.SetAxfr("example.")
			transfer := dns.Transfer{TsigSecret: map[string]string{"key.": tt.secret, "other.": tt.secret}}
			if tt.key != "" {
				m.SetTsig(tt.key, dns.HmacSHA256, 300, time.Now().Unix())
			}
			envelopes, err := transfer.In(m, address)
			require.NoError(t, err)
			again, _, err := zone.FromRecords(z.Origin, zone.Transferred(envelopes))
			if !tt.allowed {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			findings, err := dnssec.Verify(t.Context(), again, time.Now())
			require.NoError(t, err)
			require.Empty(t, findings)
			require.Equal(t, z.Names.Len(), again.Names.Len())
			require.Equal(t, z.Hashed.Len(), again.Hashed.Len())
		})
	}
}

// What is wrong with a TSIG record is said in one, signed where that can be (RFC
// 8945 section 5.3.2).
func TestTSIGErrors(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	const secret = "c2VjcmV0"
	s := Server{TSIG: map[string]string{"key.": secret}}
	s.Set(z)
	address := serve(t, &s)
	for _, tt := range []struct {
		key, secret string
		signed      time.Time
		rcode       int
		tsigError   uint16
		hasMAC      bool
	}{
		{"key.", secret, time.Now(), dns.RcodeSuccess, 0, true},
		{"key.", "d3Jvbmc=", time.Now(), dns.RcodeNotAuth, dns.RcodeBadSig, false},
		{"nobody.", secret, time.Now(), dns.RcodeNotAuth, dns.RcodeBadKey, false},
		{"key.", secret, time.Now().Add(-time.Hour), dns.RcodeNotAuth, dns.RcodeBadTime, true},
	} {
		m := new(dns.Msg).SetQuestion("www.example.", dns.TypeA)
		m.SetTsig(tt.key, dns.HmacSHA256, 300, tt.signed.Unix())
		packed, mac, err := dns.TsigGenerate(m, tt.secret, "", false)
		require.NoError(t, err)
		conn, err := net.Dial("udp", address)
		require.NoError(t, err)
		_, err = conn.Write(packed)
		require.NoError(t, err)
		answer := make([]byte, 4096)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		n, err := conn.Read(answer)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		reply := new(dns.Msg)
		require.NoError(t, reply.Unpack(answer[:n]))
		require.Equal(t, tt.rcode, reply.Rcode)
		tsig := reply.IsTsig()
		require.NotNil(t, tsig)
		require.Equal(t, tt.tsigError, tsig.Error)
		require.Equal(t, tt.hasMAC, tsig.MAC != "")
		if !tt.hasMAC {
			continue
		}
		got := tsig.MAC
		reply.Compress = true
		_, want, err := dns.TsigGenerate(reply, secret, mac, false)
		require.NoError(t, err)
		require.Equal(t, want, got)
		if tt.tsigError == dns.RcodeBadTime {
			require.Equal(t, uint64(tt.signed.Unix()), tsig.TimeSigned)
			require.Len(t, tsig.OtherData, 12)
		}
	}
}

func TestNotify(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	var s Server
	s.Set(z)
	got := make(chan string, 1)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	secondary := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		got <- fmt.Sprint(m.Opcode, m.Answer[0])
		reply := new(dns.Msg)
		_ = w.WriteMsg(reply.SetReply(m))
	})}
	go func() { _ = secondary.ActivateAndServe() }()
	require.NoError(t, s.Notify(t.Context(), z.Origin, []string{conn.LocalAddr().String()}))
	require.Contains(t, <-got, "SOA")
	require.NoError(t, secondary.Shutdown())
	require.Error(t, s.Notify(t.Context(), wire.Root, nil))
}
