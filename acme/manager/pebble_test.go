package manager

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/internal/pebble"
)

// authority is pebble in this process, which asks the simulated DNS.
type authority struct {
	*acmetest.Internet
	zone       *acmetest.Zone
	url        string
	client     *http.Client
	db         *db.MemoryStore
	ca         *ca.CAImpl
	management http.Handler

	mu sync.Mutex
	// before, when set, may answer a request in pebble's place.
	before func(w http.ResponseWriter, r *http.Request) bool
	orders int
}

// options of an authority.
type options struct {
	httpPort   int
	badNonces  string // percent
	authzReuse string // percent
	external   bool
	roots      int
}

func newAuthority(t testing.TB, o options) *authority {
	setenv(t, "PEBBLE_VA_NOSLEEP", "1")
	setenv(t, "PEBBLE_WFE_NONCEREJECT", orZero(o.badNonces))
	setenv(t, "PEBBLE_AUTHZREUSE", orZero(o.authzReuse))
	a := &authority{Internet: acmetest.NewInternet(t)}
	a.Zone("org.")
	a.zone = a.Zone("example.org.", "192.0.2.1", "2001:db8::1")
	a.zone.Add("www.example.org. 60 IN A 127.0.0.1", "example.org. 60 IN A 127.0.0.1")
	quiet := log.New(io.Discard, "", 0)
	a.db = db.NewMemoryStore()
	a.ca = ca.New(quiet, a.db, "", "ecdsa", o.roots, 1, map[string]ca.Profile{
		"default": {Description: "90 days", ValidityPeriod: 7776000}, "shortlived": {Description: "6 days", ValidityPeriod: 518400},
	})
	front := wfe.New(quiet, a.db, va.New(quiet, o.httpPort, 5001, false, a.Resolver(), a.db), a.ca, []string{"pebble.letsencrypt.org"}, false, o.external, 1, 1)
	handler := pebble.IssuesFirst(front.Handler(), a.db)
	a.management = front.ManagementHandler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		before := a.before
		if r.URL.Path == "/order-plz" {
			a.orders++
		}
		a.mu.Unlock()
		if before == nil || !before(w, r) {
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	a.url, a.client = server.URL+wfe.DirectoryPath, server.Client()
	return a
}

func setenv(t testing.TB, name, value string) {
	t.(interface{ Setenv(string, string) }).Setenv(name, value)
}

func orZero(text string) string {
	if text == "" {
		return "0"
	}
	return text
}

// intercept has f see every request first.
func (a *authority) intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before = f
}

// refuse has the authority answer with a problem for paths that contain part.
func (a *authority) refuse(part, kind, detail string, status int, header http.Header) {
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
		return true
	})
}

func (a *authority) ordered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.orders
}

// manager returns one with a directory of its own.
func (a *authority) manager(t testing.TB) *Manager {
	dir := filepath.Join(t.TempDir(), "certd")
	return &Manager{
		Dir: dir, CA: a.url, Email: "root@example.org", AgreeTerms: true, Client: a.client,
		Solver: &acme.Solver{Provider: a.Provider(), Checker: a.Checker(), Journal: &acme.Journal{Dir: dir}},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// roots returns pebble's root certificates.
func (a *authority) roots(t testing.TB) *x509.CertPool {
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(a.ca.GetRootCert(0).PEM()))
	return pool
}

// verify checks the deployed chain, and returns its leaf.
func (a *authority) verify(t testing.TB, m *Manager, name string, host string) *x509.Certificate {
	t.Helper()
	current, err := m.current(Certificate{Names: []string{name}})
	require.NoError(t, err)
	intermediates := x509.NewCertPool()
	for _, der := range current.pair.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		intermediates.AddCert(cert)
	}
	_, err = current.leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: a.roots(t), Intermediates: intermediates, CurrentTime: current.leaf.NotBefore.Add(time.Second)})
	require.NoError(t, err)
	return current.leaf
}

// handshake connects a TLS client to a server that has the manager's certificates.
func (a *authority) handshake(t testing.TB, m *Manager, host string) *x509.Certificate {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: m.GetCertificate})
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: host, RootCAs: a.roots(t)})
	require.NoError(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}
