package nat64ctl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/dns64"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// onlyIPv4 is a resolver where every name has an A record and nothing else.
func onlyIPv4(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg).SetReply(query)
	if q := query.Question[0]; q.Qtype == dns.TypeA {
		answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
	}
	_ = w.WriteMsg(answer)
}

func TestDNS64(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tcp, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	require.NoError(t, err)
	ended := make(chan error, 2)
	go func() { ended <- (&dns64.Server{Handler: dns.HandlerFunc(onlyIPv4)}).Serve(ctx, udp, tcp) }()

	log := &journal{make(chan map[string]any, 100)}
	command := &DNS64{Listen: "[::1]:0", Upstream: []string{tcp.Addr().String()}, Prefix: nat64.MustParsePrefix("2001:db8:64::/96")}
	go func() { ended <- command.Run(ctx, cli.Streams{Out: io.Discard, Err: log}) }()
	addr := log.wait(t, "serving")["dns64"].(string)
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeAAAA), addr)
	require.NoError(t, err)
	require.Equal(t, "2001:db8:64::c000:201", answer.Answer[0].(*dns.AAAA).AAAA.String())

	// discover learns the prefix from it.
	var out bytes.Buffer
	require.NoError(t, (&Discover{Servers: []string{addr}, JSON: true}).Run(ctx, cli.Streams{Out: &out, Err: io.Discard}))
	require.Contains(t, out.String(), `"prefix":"2001:db8:64::/96","source":"DNS64"`)
	require.Contains(t, out.String(), `"confirmed":true`)
	cancel()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
}

// A prefix that changes is followed without a restart.
func TestDNS64FollowsPrefix(t *testing.T) {
	tcp, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	require.NoError(t, err)
	var network atomic.Value
	network.Store("2001:db8:1::")
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	answer := func(w dns.ResponseWriter, query *dns.Msg) {
		m := new(dns.Msg).SetReply(query)
		for _, last := range []string{"c000:aa", "c000:ab"} {
			rr, err := dns.NewRR("ipv4only.arpa. 1 AAAA " + network.Load().(string) + last)
			if err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	}
	running.Go(func() { _ = (&dns64.Server{Handler: dns.HandlerFunc(answer)}).Serve(ctx, udp, tcp) })
	log := &journal{make(chan map[string]any, 100)}
	h := new(dns64.Handler)
	running.Go(func() {
		follow(ctx, &nat64.Discoverer{Servers: []string{tcp.Addr().String()}}, h, slog.New(slog.NewJSONHandler(log, nil)))
	})
	require.Equal(t, "2001:db8:1::/96", log.wait(t, "discovered")["prefix"])
	network.Store("2001:db8:2::")
	require.Equal(t, "2001:db8:2::/96", log.wait(t, "discovered")["prefix"])
}

func TestGet(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "a page")
	}))
	server.Listener = l
	server.Start()
	defer server.Close()
	var out bytes.Buffer
	std := cli.Streams{Out: &out, Err: io.Discard}
	require.NoError(t, (&Get{URL: server.URL + "/"}).Run(t.Context(), std))
	require.Equal(t, "a page", out.String())
	require.ErrorContains(t, (&Get{URL: server.URL + "/missing"}).Run(t.Context(), std), "404 Not Found")
	require.ErrorContains(t, (&Get{URL: server.URL, Public: true, Prefix: nat64.WellKnown()}).Run(t.Context(), std), "::1 is not a public address")
}
