package transfer_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const origin = wire.Name("\x07example\x00")

var key = transfer.Key{Name: "xfr.", Secret: "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="}

func parse(t *testing.T, serial uint32, entries string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Parse([]byte(fmt.Sprintf("$TTL 60\n@ SOA ns host %d 2 3 4 5\n@ NS ns\n%s", serial, entries)), "test", origin)
	require.NoError(t, err)
	return z
}

func text(t *testing.T, z *zone.Zone) string {
	t.Helper()
	var b strings.Builder
	_, err := z.WriteTo(&b)
	require.NoError(t, err)
	return b.String()
}

func many(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "host%d TXT %q\n", i, strings.Repeat("x", 200))
	}
	return b.String()
}

// serve starts a server that ends with the test. What it logs is in the builder.
func serve(t *testing.T, s *server.Server) string {
	t.Helper()
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			require.NoError(t, tcp.Close())
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, udp, tcp) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
		})
		return tcp.Addr().String()
	}
}

// kinds records how zones were transferred.
type kinds struct {
	slog.Handler
	list chan string
}

func (k kinds) Enabled(context.Context, slog.Level) bool { return true }

func (k kinds) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "kind" {
			k.list <- a.Value.String()
		}
		return true
	})
	return nil
}

func TestFetch(t *testing.T) {
	how := kinds{list: make(chan string, 100)}
	s := &server.Server{
		TransferFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TransferKeys: []string{"xfr."},
		TSIG: map[string]string{"xfr.": key.Secret}, Logger: slog.New(how),
	}
	address := serve(t, s)
	client := &transfer.Client{Server: address, Key: key}
	const nearly = 1<<32 - 2
	s.Set(parse(t, nearly, many(0, 600)))
	have, err := client.Fetch(t.Context(), origin, nil)
	require.NoError(t, err)
	require.Equal(t, "AXFR", <-how.list)
	same, err := client.Fetch(t.Context(), origin, have)
	require.NoError(t, err)
	require.Same(t, have, same)
	var serial uint32 = nearly
	for range 4 { // past the end of serials (RFC 1982), two versions at a time
		for range 2 {
			serial += 100
			s.Set(parse(t, serial, many(int(serial/100)%7, 600)+fmt.Sprintf("new A 192.0.2.%d\n", serial%200)))
		}
		have, err = client.Fetch(t.Context(), origin, have)
		require.NoError(t, err)
		require.Equal(t, "IXFR", <-how.list)
		require.Equal(t, serial, have.SOA().Serial)
		require.Equal(t, text(t, parse(t, serial, many(int(serial/100)%7, 600)+fmt.Sprintf("new A 192.0.2.%d\n", serial%200))), text(t, have))
	}
	// A client that has something else under this serial gets the whole zone.
	serial++
	s.Set(parse(t, serial, many(5, 600)))
	have, err = client.Fetch(t.Context(), origin, parse(t, serial-1, "other A 192.0.2.1\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"IXFR", "AXFR"}, []string{<-how.list, <-how.list})
	require.Equal(t, text(t, parse(t, serial, many(5, 600))), text(t, have))
	// A difference as large as the zone is not kept.
	serial++
	s.Set(parse(t, serial, many(1000, 1600)))
	_, err = client.Fetch(t.Context(), origin, have)
	require.NoError(t, err)
	require.Equal(t, "AXFR", <-how.list)

	_, err = (&transfer.Client{Server: address, Key: key, MaxRecords: 100}).Fetch(t.Context(), origin, nil)
	require.ErrorContains(t, err, "more than 100 records")
	_, err = (&transfer.Client{Server: address, Key: transfer.Key{Name: "xfr.", Secret: "d3Jvbmc="}}).Fetch(t.Context(), origin, nil)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %#v", err, key), key.Secret)
	_, err = client.Fetch(t.Context(), "\x05other\x00", nil)
	require.ErrorContains(t, err, "other.")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.Fetch(ctx, origin, nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestSlowServer never ends its transfer.
func TestSlowServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endless := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		rr, err := dns.NewRR("example. 60 SOA ns.example. host.example. 1 2 3 4 5")
		for i := 0; err == nil; i++ {
			m := new(dns.Msg).SetReply(query)
			m.Answer = []dns.RR{rr}
			if err = w.WriteMsg(m); err == nil {
				rr, err = dns.NewRR(fmt.Sprintf("host%d.example. 60 TXT x", i))
			}
			time.Sleep(time.Millisecond)
		}
	})}
	go func() { _ = endless.ActivateAndServe() }()
	t.Cleanup(func() { _ = endless.Shutdown() })
	client := transfer.Client{Server: listener.Addr().String(), Timeout: 200 * time.Millisecond}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = client.Fetch(ctx, origin, nil)
	require.ErrorContains(t, err, "it takes more than 200ms")
}
