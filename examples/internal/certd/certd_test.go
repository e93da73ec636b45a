package certd

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

func write(t testing.TB, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// https gets a certificate from the simulation and serves it: from the button to
// a page.
func https(t testing.TB, dir string) {
	sim, err := Simulate(t.Context(), []string{"www.example.org"})
	require.NoError(t, err)
	defer sim.Stop()
	s, err := read(write(t, "certd.yaml", ""), io.Discard)
	require.NoError(t, err)
	m, err := s.manager(Options{State: dir})
	require.NoError(t, err)
	m.CA, m.Client, m.AgreeTerms = sim.URL, sim.Client, true
	m.Solver.Provider, m.Solver.Checker = sim.Responder, sim.Checker
	require.NoError(t, m.Ensure(t.Context(), "www.example.org"))

	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: m.GetCertificate})
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
	go server.Serve(listener)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: sim.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, listener.Addr().String())
		}}}
	response, err := client.Get("https://www.example.org/")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "ok", string(body))
}

func TestFromButtonToHTTPS(t *testing.T) { https(t, t.TempDir()) }

// BenchmarkFromButtonToHTTPS includes the start of the authority and a new account.
func BenchmarkFromButtonToHTTPS(b *testing.B) {
	for b.Loop() {
		https(b, b.TempDir())
	}
}

func TestProvidersOfConfiguration(t *testing.T) {
	secret := write(t, "secret", "c2VjcmV0\n")
	env := write(t, "env", "# a comment\nHTTPREQ_ENDPOINT=http://127.0.0.1:1\n")
	for text, want := range map[string]string{
		"":                         "<nil>",
		"provider: {embedded: {}}": "<nil>",
		"provider: {rfc2136: {server: \"192.0.2.1\", tsig: {name: a., secret_file: " + secret + "}}}":              "*rfc2136.Provider",
		"provider: {mythicbeasts: {credentials: [{key: k, secret_file: " + secret + "}]}}":                         "*mythicbeasts.Provider",
		"provider: {lego: {name: httpreq, env_file: " + env + "}}":                                                 "*legodns.Provider",
		"provider: {embedded: {zone: acme.example.net, nameserver: ns.example.net, addresses: [\"2001:db8::1\"]}}": "<nil>",
	} {
		s, err := read(write(t, "certd.yaml", text), io.Discard)
		require.NoError(t, err, text)
		require.Equal(t, want, fmt.Sprintf("%T", s.provider), text)
	}
	_, set := os.LookupEnv("HTTPREQ_ENDPOINT")
	require.False(t, set, "no child process sees it")
}

func TestMistakesInConfiguration(t *testing.T) {
	open := write(t, "open", "x")
	require.NoError(t, os.Chmod(open, 0o644))
	for text, want := range map[string]string{
		"provider: {lego: {name: nobody}}":                                        `provider.lego.name: "nobody" is none of cloudflare, digitalocean`,
		"provider: {lego: {name: httpreq, env_file: " + write(t, "e", "X") + "}}": "provider.lego.env_file: line 1: want NAME=value",
		"provider: {lego: {name: cloudflare}}":                                    "provider.lego: cloudflare: some credentials information are missing",
		"provider: {mythicbeasts: {}}":                                            "provider.mythicbeasts.credentials: none given",
		"provider: {rfc2136: {server: a}, embedded: {}}":                          "want one, not rfc2136 and embedded",
		"account: {eab_file: " + open + "}":                                       "chmod 600 it",
		"account: {eab_file: " + write(t, "eab", "one") + "}":                     "identifier and its HMAC",
		"certificates: [{names: [a.example.org]}, {names: [A.example.org]}]":      "a second certificate named a.example.org",
		"certificates: [{names: ['*.example.org'], http01: {}}]":                  "wildcards need dns-01",
		"certificates: [{names: [example.org], key_type: dsa}]":                   `key type "dsa"`,
	} {
		_, err := read(write(t, "certd.yaml", text), io.Discard)
		require.ErrorContains(t, err, want, text)
		var usage *cli.UsageError
		require.ErrorAs(t, err, &usage)
	}
}

func TestZonesOfTheResponder(t *testing.T) {
	certificates := []manager.Certificate{{Names: []string{"example.org", "*.example.org"}}, {Names: []string{"x.org"}, HTTP01: &manager.HTTP01{}}}
	require.Equal(t, []string{"_acme-challenge.example.org"}, (&Embedded{}).zones(certificates))
	require.Equal(t, []string{"acme.example.net"}, (&Embedded{Zone: "acme.example.net"}).zones(certificates))
}

func TestStatusTable(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, table(&out, []manager.Status{
		{Name: "example.org", Expires: at, Renewal: at, Why: "a third of its life is left", ReloadDue: true, LastError: "first\nsecond", ErrorAt: at},
	}))
	require.Equal(t, `NAME         EXPIRES               RENEWAL               WHY
example.org  2026-01-02T03:04:05Z  2026-01-02T03:04:05Z  a third of its life is left
                                                         reload commands have not succeeded yet
                                                         last error, at 2026-01-02T03:04:05Z: first second
`, out.String())
}
