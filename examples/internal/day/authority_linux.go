package main

import (
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/embedded"
	"github.com/berryrack/berryrack/acme/manager"
)

// authority is a certificate authority and what keeps a certificate of it: the
// manager of package acme, which answers dns-01 by the embedded responder.
type authority struct {
	manager *manager.Manager
	roots   *x509.CertPool
	output  string
	close   func()
}

func newAuthority(ctx context.Context, dir, name string) (*authority, error) {
	packets, streams, err := embedded.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	resolver := streams.Addr().String()
	responder := &embedded.Responder{Zones: []string{name}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
	go responder.Serve(ctx, packets, streams)

	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	pebble := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "90 days", ValidityPeriod: 90 * 24 * 3600}})
	front := wfe.New(quiet, store, va.New(quiet, 80, 443, false, resolver, store), pebble, nil, false, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	a := &authority{output: filepath.Join(dir, "certificates"), close: func() { server.CloseClientConnections(); server.Close() }, roots: x509.NewCertPool()}
	a.roots.AppendCertsFromPEM(pebble.GetRootCert(0).PEM())
	checker := &acme.Checker{
		Resolvers: []string{resolver}, Interval: 50 * time.Millisecond, Timeout: 30 * time.Second,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, resolver)
		},
	}
	a.manager = &manager.Manager{
		Dir: filepath.Join(dir, "certd"), Output: a.output, CA: server.URL + wfe.DirectoryPath, AgreeTerms: true, Client: server.Client(),
		Solver:       &acme.Solver{Provider: responder, Checker: checker, Journal: &acme.Journal{Dir: filepath.Join(dir, "certd")}},
		Certificates: []manager.Certificate{{Names: []string{name}}},
	}
	return a, a.manager.Ensure(ctx, name)
}

// install puts the certificate and its key where roots take them from.
func (a *authority) install(name, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"privkey.pem", "fullchain.pem"} {
		data, err := os.ReadFile(filepath.Join(a.output, name, "current", file))
		if err != nil {
			return err
		}
		staged := filepath.Join(dir, file+".new")
		if err := os.WriteFile(staged, data, 0o600); err != nil {
			return err
		}
		if err := os.Rename(staged, filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}
