package dnssecd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/server"
)

// freeAddress is one that nothing listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// TestReload has zones, keys and addresses come and go while dnssecd runs.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "dnssecd.yaml")
	configure := func(text string) {
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zone"), []byte("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"), 0o600))
	first, second := freeAddress(t), freeAddress(t)
	text := `{listen: [%q], zones: [{name: %s, file: %s/zone}]}`
	configure(fmt.Sprintf(text, first, "a.example", dir))
	o := Options{Config: config, State: filepath.Join(dir, "state"), Log: slog.New(slog.DiscardHandler)}
	s, err := read(config, t.Output())
	require.NoError(t, err)
	m, err := s.manager(o)
	require.NoError(t, err)
	r := &runner{options: o, manager: m, site: s, rebound: make(chan struct{}, 1), server: &server.Server{}}
	m.Server = r.server
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- r.run(ctx, func() { close(ready) }) }()
	<-ready
	impatient := dns.Client{Timeout: 200 * time.Millisecond} // what is lost between two addresses is asked again
	has := func(address, name string, rcode int) {
		t.Helper()
		require.Eventually(t, func() bool {
			reply, _, err := impatient.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeSOA), address)
			return err == nil && reply.Rcode == rcode
		}, 30*time.Second, 10*time.Millisecond)
	}
	has(first, "a.example.", dns.RcodeSuccess)

	configure("{listen: [nonsense]}")
	require.Error(t, r.reload(ctx))
	has(first, "a.example.", dns.RcodeSuccess)

	configure(fmt.Sprintf(text, first, "b.example", dir))
	require.NoError(t, r.reload(ctx))
	has(first, "b.example.", dns.RcodeSuccess)
	has(first, "a.example.", dns.RcodeRefused)

	configure(fmt.Sprintf(text, second, "b.example", dir))
	require.NoError(t, r.reload(ctx))
	has(second, "b.example.", dns.RcodeSuccess)
	_, err = dns.Exchange(new(dns.Msg).SetQuestion("b.example.", dns.TypeSOA), first)
	require.Error(t, err)
	require.NotEmpty(t, r.figures())

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	configure(fmt.Sprintf(text, busy.Addr(), "a.example", dir))
	require.NoError(t, r.reload(ctx))
	has(second, "a.example.", dns.RcodeSuccess) // served where it was
	cancel()
	require.NoError(t, <-done)
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1y": 365 * 24 * time.Hour, "30s": 30 * time.Second, "1h30m": 90 * time.Minute,
		"0s": -1, "0d": -1, "unlimited": -1,
	} {
		var d duration
		require.NoError(t, d.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, time.Duration(d), text)
	}
	for _, text := range []string{"", "d", "-1d", "-1s", "200y", "1.5d", "soon"} {
		var d duration
		require.Error(t, d.UnmarshalText([]byte(text)), text)
	}
}

// TestRollOrder: an emergency is one when the algorithm changes with it, too.
func TestRollOrder(t *testing.T) {
	key := rollover.Key{ID: rollover.KeyID{1}, Role: rollover.KSK, Public: dnssec.PublicKey{Algorithm: dnssec.ECDSAP256SHA256}}
	s := &manager.Status{State: rollover.State{Keys: []rollover.Key{key}}}
	order, err := rollOrder(s, "ksk", dnssec.ED25519, true)
	require.NoError(t, err)
	require.Equal(t, manager.Order{Algorithm: dnssec.ED25519, Events: []rollover.Event{{Kind: rollover.Emergency, Key: key.ID}}}, order)
	order, err = rollOrder(s, "ksk", dnssec.ED25519, false)
	require.NoError(t, err)
	require.Equal(t, manager.Order{Algorithm: dnssec.ED25519}, order)
}
