package certd

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/challenge"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

// running is certd run, whose configuration can be changed.
type running struct {
	*keeper
	t      *testing.T
	config string
	ready  chan struct{}
	done   chan error
	stop   func()
}

// silent is an authority that takes connections and says nothing.
func silent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	return fmt.Sprintf("account: {ca: \"https://%s/dir\"}\n", listener.Addr())
}

func start(t *testing.T, config string) *running {
	file := write(t, "certd.yaml", config)
	s, err := read(file, io.Discard)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{newKeeper(Options{Config: file, State: t.TempDir(), Log: slog.New(slog.DiscardHandler)}), t, file, make(chan struct{}, 9), make(chan error, 1), cancel}
	go func() { r.done <- r.run(ctx, s, func() { r.ready <- struct{}{} }) }()
	select {
	case <-r.ready:
	case err := <-r.done:
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-r.done)
	})
	return r
}

func (r *running) change(config string) error {
	require.NoError(r.t, os.WriteFile(r.config, []byte(config), 0o600))
	return r.reload(r.t.Context())
}

func (r *running) names() string {
	names := map[string]bool{}
	for _, f := range r.figures() {
		names[f.Labels["certificate"]] = true
	}
	var list []string
	for name := range names {
		list = append(list, name)
	}
	return strings.Join(list, " ")
}

func certificate(name string) string { return "certificates: [{names: [" + name + "]}]\n" }

// A configuration that is read again replaces the manager; a bad one does not.
func TestReload(t *testing.T) {
	ca := silent(t)
	r := start(t, ca+"provider: {embedded: {listen: \"127.0.0.1:0\"}}\n"+certificate("a.example.org"))
	require.Equal(t, "a.example.org", r.names())
	require.Error(t, r.change("certificates: 1"))
	require.ErrorContains(t, r.change(ca), "no certificates are configured")
	require.ErrorContains(t, r.change("account: {ca_file: /nowhere}\n"+certificate("b.example.org")), "nowhere")
	require.Equal(t, "a.example.org", r.names())
	require.NoError(t, r.change(ca+"provider: {embedded: {listen: \"127.0.0.1:0\"}}\n"+certificate("b.example.org")))
	<-r.ready
	require.Equal(t, "b.example.org", r.names())
}

// An address that another program has is no reason to end: the old configuration
// stays, and its responder answers. The same address can be had again.
func TestReloadWithATakenAddress(t *testing.T) {
	ca := silent(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	server := httptest.NewTLSServer(nil)
	server.Close()
	roots := write(t, "roots.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	config := func(listen, name string) string {
		return ca + "provider: {embedded: {zone: acme.example.net, listen: \"" + listen + "\"}}\n" + certificate(name)
	}
	r := start(t, strings.Replace(config(address, "a.example.org"), "{ca:", "{ca_file: "+roots+", ca:", 1))
	require.NoError(t, os.Remove(roots)) // it is not read again
	answers := func() {
		for _, network := range []string{"udp", "tcp"} {
			answer, _, err := (&dns.Client{Net: network}).Exchange(new(dns.Msg).SetQuestion("acme.example.net.", dns.TypeSOA), address)
			require.NoError(t, err)
			require.Len(t, answer.Answer, 1)
		}
	}
	answers()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	require.ErrorContains(t, r.change(config(taken.Addr().String(), "b.example.org")), "in use")
	<-r.ready
	require.Equal(t, "a.example.org", r.names())
	answers()
	require.NoError(t, r.change(config(address, "c.example.org")))
	<-r.ready
	require.Equal(t, "c.example.org", r.names())
	answers()
}

// While one of lego's providers reads its variables from the environment, nothing
// runs that could have a child inherit them.
func TestNothingRunsWhileLegoReadsTheEnvironment(t *testing.T) {
	ca := silent(t)
	r := start(t, ca+"provider: {embedded: {listen: \"127.0.0.1:0\"}}\n"+certificate("a.example.org"))
	journal := &acme.Journal{Dir: r.options.State}
	held := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		unlock, err := journal.Lock(ctx, "certificate-a.example.org")
		if err == nil {
			unlock()
		}
		return err != nil
	}
	require.Eventually(t, held, 20*time.Second, time.Millisecond, "an order is under way")
	legoProviders["test"] = func() (challenge.Provider, error) {
		if held() {
			t.Error("an order is still under way")
		}
		if os.Getenv("TEST_TOKEN") == "" {
			return nil, errors.New("no TEST_TOKEN")
		}
		return nil, nil
	}
	defer delete(legoProviders, "test")
	require.ErrorContains(t, r.change(ca+"provider: {lego: {name: test}}\n"+certificate("b.example.org")), "provider.lego: no TEST_TOKEN")
	require.Equal(t, "a.example.org", r.names())
	require.NoError(t, r.change(ca+"provider: {lego: {name: test, env_file: "+write(t, "env", "TEST_TOKEN=hunter2\n")+"}}\n"+certificate("b.example.org")))
	require.Empty(t, os.Getenv("TEST_TOKEN"))
}

// Who has http-01 alone leaves port 53 to others.
func TestNoResponderForHTTP01(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	config := fmt.Sprintf("%sprovider: {embedded: {listen: %q}}\ncertificates: [{names: [a.example.org], http01: {webroot: %s}}]", silent(t), taken.Addr(), t.TempDir())
	start(t, config)

	s, err := read(write(t, "certd.yaml", config+"\n"), io.Discard)
	require.NoError(t, err)
	m, err := s.manager(Options{State: t.TempDir()})
	require.NoError(t, err)
	stop, err := s.respond(t.Context(), m, named(m, "a.example.org"), nil)
	require.NoError(t, err)
	stop()
	_, err = s.respond(t.Context(), m, []manager.Certificate{{Names: []string{"b.example.org"}}}, nil)
	require.ErrorContains(t, err, "in use")
}

// A certificate that is on disk alone is answered for as well.
func TestNamed(t *testing.T) {
	s, err := parse(write(t, "certd.yaml", certificate("a.example.org")), io.Discard)
	require.NoError(t, err)
	state := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(state, "state"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(state, "state", "b.example.org.json"), []byte(`{"names": ["b.example.org", "*.b.example.org"]}`), 0o600))
	m, err := s.manager(Options{State: state})
	require.NoError(t, err)
	require.Equal(t, []string{"_acme-challenge.a.example.org"}, s.embedded.zones(named(m, "A.example.org")))
	require.Equal(t, []string{"_acme-challenge.b.example.org"}, s.embedded.zones(named(m, "b.example.org")))
	require.Empty(t, named(m, "c.example.org"))
}

// What a rehearsal publishes is in the journal of the real runs, which remove it
// when the rehearsal is killed.
func TestRehearsalKeepsTheJournal(t *testing.T) {
	state := t.TempDir()
	config := write(t, "certd.yaml", silent(t)+"provider: {embedded: {listen: \"127.0.0.1:0\"}}\n")
	ctx, cancel := context.WithCancel(t.Context())
	order := Order{Options: Options{Config: config, State: state, Out: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, Names: []string{"example.org"}, DryRun: true}
	s, err := read(config, io.Discard)
	require.NoError(t, err)
	m, stop, err := s.prepare(ctx, s.rehearsal(order, t.TempDir()), manager.Certificate{Names: order.Names}, io.Discard)
	require.NoError(t, err)
	stop()
	cancel()
	require.Equal(t, state, m.Solver.Journal.Dir)
	require.NotEqual(t, state, m.Dir)
	require.NotEqual(t, filepath.Clean(order.Out), m.Output)
	var usage *cli.UsageError
	require.ErrorAs(t, Get(ctx, Order{Options: Options{Config: "/nowhere"}, DryRun: true}, cli.Streams{Out: io.Discard, Err: io.Discard}), &usage)
}
