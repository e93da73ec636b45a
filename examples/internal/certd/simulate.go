package certd

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/embedded"
	"github.com/berryrack/berryrack/internal/pebble"
)

// A Simulation is a certificate authority in this process, and a DNS that holds
// nothing but the names that are asked for. A manager uses it with URL as its CA,
// Client, AgreeTerms, and a solver of Responder and Checker.
type Simulation struct {
	URL       string // of the authority's directory
	Client    *http.Client
	Responder *embedded.Responder // the provider
	Checker   *acme.Checker
	Root      []byte // PEM

	stop func()
}

// Simulate starts one for names, which runs until it is stopped.
func Simulate(ctx context.Context, names []string) (*Simulation, error) {
	packets, streams, err := ListenLoopback(ctx)
	if err != nil {
		return nil, err
	}
	address := streams.Addr().String()
	s := &Simulation{Responder: &embedded.Responder{Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}}
	for _, name := range names {
		s.Responder.Zones = append(s.Responder.Zones, strings.TrimPrefix(name, "*."))
	}
	s.Checker = &acme.Checker{
		Resolvers: []string{address}, Interval: 50 * time.Millisecond, Timeout: 10 * time.Second,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Responder.Serve(ctx, packets, streams)
	}()
	server := s.authority(address)
	s.stop = func() {
		server.Close()
		cancel()
		<-done
	}
	return s, nil
}

// authority starts pebble.
func (s *Simulation) authority(resolver string) *httptest.Server {
	// pebble takes this from its environment alone.
	const noSleep = "PEBBLE_VA_NOSLEEP"
	before, had := os.LookupEnv(noSleep)
	os.Setenv(noSleep, "1")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default":    {Description: "90 days", ValidityPeriod: 90 * 24 * 3600},
		"shortlived": {Description: "6 days", ValidityPeriod: 6 * 24 * 3600},
	})
	front := wfe.New(quiet, store, va.New(quiet, 80, 443, false, resolver, store), authority, []string{"simulation.invalid"}, false, false, 1, 1)
	if os.Unsetenv(noSleep); had {
		os.Setenv(noSleep, before)
	}
	server := httptest.NewTLSServer(pebble.IssuesFirst(front.Handler(), store))
	s.URL, s.Client, s.Root = server.URL+wfe.DirectoryPath, server.Client(), authority.GetRootCert(0).PEM()
	return server
}

// Stop ends the authority and the DNS.
func (s *Simulation) Stop() { s.stop() }

// Pool returns the root as one.
func (s *Simulation) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.Root)
	return pool
}

// listenAttempts bounds the search for a port that is free for both.
const listenAttempts = 20

// ListenLoopback returns UDP and TCP sockets on loopback with one port.
func ListenLoopback(ctx context.Context) (net.PacketConn, net.Listener, error) {
	for attempt := 0; ; attempt++ {
		packets, streams, err := embedded.Listen(ctx, "127.0.0.1:0")
		if err == nil || attempt == listenAttempts {
			return packets, streams, err
		}
	}
}
