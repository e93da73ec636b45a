package embedded_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/embedded"
)

const zone = "acme.example.net."

// serve starts a responder that ends with the test, and returns its address.
func serve(t testing.TB, r *embedded.Responder) string {
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	packets, err := net.ListenPacket("udp", streams.Addr().String())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Serve(ctx, packets, streams) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	return streams.Addr().String()
}

func ask(t testing.TB, network, server, name string, kind uint16) *dns.Msg {
	client := &dns.Client{Net: network}
	answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), server)
	require.NoError(t, err)
	return answer
}

func texts(answer *dns.Msg) (values []string) {
	for _, rr := range answer.Answer {
		values = append(values, strings.Join(rr.(*dns.TXT).Txt, ""))
	}
	return values
}

func TestConformance(t *testing.T) {
	r := &embedded.Responder{Zones: []string{zone}}
	server := serve(t, r)
	acmetest.Provider(t, acmetest.Subject{Provider: r, Zone: zone, Lookup: func(name string) []string {
		return texts(ask(t, "tcp", server, name, dns.TypeTXT))
	}})
}

func TestAnswers(t *testing.T) {
	r := &embedded.Responder{Zones: []string{"ACME.example.net", "_acme-challenge.example.org"}, Nameserver: "ns.acme.example.net",
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
	server := serve(t, r)
	for i := range 40 {
		require.NoError(t, r.AppendTXT(t.Context(), acme.Record{Name: "many." + zone, Value: fmt.Sprintf("%043d", i)}))
	}
	require.NoError(t, r.AppendTXT(t.Context(), acme.Record{Name: "x.sub." + zone, Value: "v", TTL: time.Minute}))
	for _, tt := range []struct {
		name    string
		kind    uint16
		rcode   int
		answers int
		ns      int
	}{
		{zone, dns.TypeSOA, dns.RcodeSuccess, 1, 0},
		{zone, dns.TypeNS, dns.RcodeSuccess, 1, 0},
		{zone, dns.TypeTXT, dns.RcodeSuccess, 0, 1},
		{"_acme-challenge.example.org.", dns.TypeSOA, dns.RcodeSuccess, 1, 0},
		{"ns." + zone, dns.TypeA, dns.RcodeSuccess, 1, 0},
		{"ns." + zone, dns.TypeAAAA, dns.RcodeSuccess, 1, 0},
		{"X.Sub." + zone, dns.TypeTXT, dns.RcodeSuccess, 1, 0},
		{"sub." + zone, dns.TypeTXT, dns.RcodeSuccess, 0, 1}, // an empty non-terminal
		{"none." + zone, dns.TypeTXT, dns.RcodeNameError, 0, 1},
		{"example.org.", dns.TypeTXT, dns.RcodeRefused, 0, 0},
		{"many." + zone, dns.TypeTXT, dns.RcodeSuccess, 40, 0},
		{zone, dns.TypeAXFR, dns.RcodeRefused, 0, 0},
	} {
		answer := ask(t, "tcp", server, tt.name, tt.kind)
		require.Equal(t, tt.rcode, answer.Rcode, tt)
		require.Len(t, answer.Answer, tt.answers, tt)
		require.Len(t, answer.Ns, tt.ns, tt)
		require.Equal(t, tt.rcode != dns.RcodeRefused, answer.Authoritative, tt)
	}
	require.True(t, ask(t, "udp", server, "many."+zone, dns.TypeTXT).Truncated)
	require.Error(t, r.AppendTXT(t.Context(), acme.Record{Name: "example.org.", Value: "v"}))
	require.NoError(t, r.DeleteTXT(t.Context(), acme.Record{Name: "example.org.", Value: "v"}), "of an earlier process")
}

func TestLimits(t *testing.T) {
	r := &embedded.Responder{Zones: []string{zone}}
	server := serve(t, r)
	t.Run("connections", func(t *testing.T) {
		for range 100 {
			conn, err := net.Dial("tcp", server)
			require.NoError(t, err)
			defer conn.Close()
		}
		conn, err := net.Dial("tcp", server)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(4*time.Second))) // idle ones are closed after five
		_, err = conn.Read(make([]byte, 1))
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the next one is closed at once")
	})
	t.Run("records", func(t *testing.T) {
		for i := range 10_000 {
			require.NoError(t, r.AppendTXT(t.Context(), acme.Record{Name: fmt.Sprint("n", i, ".", zone), Value: "v"}))
		}
		require.ErrorIs(t, r.AppendTXT(t.Context(), acme.Record{Name: "more." + zone, Value: "v"}), embedded.ErrFull)
		require.NoError(t, r.DeleteTXT(t.Context(), acme.Record{Name: "n1." + zone, Value: "v"}))
		require.NoError(t, r.AppendTXT(t.Context(), acme.Record{Name: "more." + zone, Value: "v"}))
	})
	require.Error(t, r.AppendTXT(t.Context(), acme.Record{Name: "x." + zone, Value: strings.Repeat("v", 256)}))
}

// The checker of the solver finds the delegated zone, and sees the record there.
func TestDelegation(t *testing.T) {
	internet := acmetest.NewInternet(t)
	internet.Zone("org.")
	internet.Zone("example.org.")
	r := &embedded.Responder{Zones: []string{"_acme-challenge.example.org."}}
	internet.Attach("_acme-challenge.example.org.", "203.0.113.1", serve(t, r))
	solver := &acme.Solver{Provider: r, Checker: internet.Checker()}
	challenge := acme.Challenge{Domain: "*.example.org", Value: "v"}
	require.NoError(t, solver.Publish(t.Context(), challenge))
	require.Equal(t, []string{"v"}, r.TXT("_acme-challenge.example.org."))
	require.NoError(t, solver.Withdraw(t.Context(), challenge))
	require.Empty(t, r.TXT("_acme-challenge.example.org."))
}

func FuzzServeDNS(f *testing.F) {
	for _, name := range []string{zone, "x." + zone, "."} {
		data, err := new(dns.Msg).SetQuestion(name, dns.TypeTXT).Pack()
		require.NoError(f, err)
		f.Add(data)
	}
	r := &embedded.Responder{Zones: []string{zone}}
	require.NoError(f, r.AppendTXT(context.Background(), acme.Record{Name: "x." + zone, Value: "v"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		question := new(dns.Msg)
		if question.Unpack(data) != nil {
			return
		}
		w := &writer{}
		r.ServeDNS(w, question)
		_, err := w.answer.Pack()
		require.NoError(t, err)
	})
}

type writer struct {
	dns.ResponseWriter
	answer *dns.Msg
}

func (w *writer) LocalAddr() net.Addr            { return &net.UDPAddr{} }
func (w *writer) WriteMsg(answer *dns.Msg) error { w.answer = answer; return nil }

func ExampleResponder() {
	r := &embedded.Responder{Zones: []string{"_acme-challenge.example.org."}}
	record := acme.Record{Name: "_acme-challenge.example.org.", Value: "digest"}
	fmt.Println(r.AppendTXT(context.Background(), record), r.TXT(record.Name))
	// Output: <nil> [digest]
}
