package tour

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/certd"
)

// getCertificate orders a certificate for a name and its wildcard from a test
// authority, and serves https with it.
func getCertificate(ctx context.Context, t *Tour) (result, error) {
	names := []string{"example.org", "*.example.org"}
	sim, err := certd.Simulate(ctx, names)
	if err != nil {
		return result{}, err
	}
	defer sim.Stop()
	dir := filepath.Join(t.scratch, "certd")
	solver := &acme.Solver{Provider: sim.Responder, Checker: sim.Checker, Journal: &acme.Journal{Dir: dir}}
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from https://%s", r.Host)
	}))
	defer site.Close()

	// shown:
	m := manager.Manager{Dir: dir, CA: sim.URL, Client: sim.Client, AgreeTerms: true, Solver: solver}
	err = m.Ensure(ctx, names...)
	site.TLS = &tls.Config{GetCertificate: m.GetCertificate}
	// until here
	if err != nil {
		return result{}, err
	}
	site.StartTLS()
	body, state, err := visit(ctx, sim, "www.example.org", site.Listener.Addr().String())
	if err != nil {
		return result{}, err
	}
	leaf := state.PeerCertificates[0]
	return result{facts: []string{
		fmt.Sprintf("for %s, issued by %q, until %s, key type %s", strings.Join(leaf.DNSNames, " and "), leaf.Issuer.CommonName, leaf.NotAfter.UTC().Format(time.DateOnly), leaf.PublicKeyAlgorithm),
		fmt.Sprintf("a client that trusts the authority's root got %q over %s", body, tls.VersionName(state.Version)),
		"the authority is pebble, which Let's Encrypt tests with, inside this program; it asked the embedded responder for the TXT records",
	}}, nil
}

// visit gets a site's page at an address, trusting only the simulation's root.
func visit(ctx context.Context, sim *certd.Simulation, name, address string) (string, *tls.ConnectionState, error) {
	var dialer net.Dialer
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: sim.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/", nil)
	if err != nil {
		return "", nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), response.TLS, err
}
