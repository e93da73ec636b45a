package muninconf

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/munin/node"
)

// pemPair writes a self-signed certificate with its key.
func pemPair(t *testing.T) (path string, pair tls.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	path = filepath.Join(t.TempDir(), "pair.pem")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	pair, err = tls.X509KeyPair(text, text)
	require.NoError(t, err)
	return path, pair
}

func serveNode(t *testing.T, s *node.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// TestProbeTLS has the inventory's tls reach the nodes.
func TestProbeTLS(t *testing.T) {
	path, pair := pemPair(t)
	other, _ := pemPair(t)
	plugins := []node.Plugin{{Name: "p", Graphs: func(context.Context) ([]node.Graph, error) { return nil, nil }}}
	plain := serveNode(t, &node.Server{Name: "a", Plugins: plugins})
	secret := serveNode(t, &node.Server{Name: "a", Plugins: plugins, RequireTLS: true, TLS: &tls.Config{Certificates: []tls.Certificate{pair}}})
	reversed := serveNode(t, &node.Server{Name: "a", Plugins: plugins, RequireTLS: true, TLS: &tls.Config{InsecureSkipVerify: true}})
	for name, test := range map[string]struct{ port, tls, settings, want string }{
		"plain":           {plain, "disabled", "", "reachable"},
		"auto, none":      {plain, "auto", "", "reachable"},
		"enabled, none":   {plain, "enabled", "", "unreachable"},
		"disabled":        {secret, "disabled", "", "TLS required"},
		"auto":            {secret, "auto", "", "reachable"},
		"enabled":         {secret, "enabled", "", "reachable"},
		"paranoid":        {secret, "paranoid", "tls_ca_certificate: " + path, "reachable"},
		"paranoid, other": {secret, "paranoid", "tls_ca_certificate: " + other, "unreachable"},
		"verified, other": {secret, "enabled", `tls_verify_certificate: "yes", tls_ca_certificate: ` + other, "unreachable"},
		"reversed":        {reversed, "enabled", "tls_certificate: " + path + ", tls_private_key: " + path, "reachable"},
	} {
		inventory := filepath.Join(t.TempDir(), "hosts.yaml")
		text := fmt.Sprintf("hosts: [{group: g, name: a, address: 127.0.0.1, port: %s, tls: %s, local_address: 127.0.0.1, settings: {%s}}]\n", test.port, test.tls, test.settings)
		require.NoError(t, os.WriteFile(inventory, []byte(text), 0o644))
		var out, errs strings.Builder
		p := Program{File: inventory, Streams: cli.Streams{Out: &out, Err: &errs}}
		err := p.Probe(t.Context(), ProbeOptions{Parallel: 1, Processes: 1, Timeout: 10 * time.Second})
		require.Equal(t, test.want == "reachable", err == nil, "%s: %v: %s", name, err, out.String())
		require.True(t, strings.HasPrefix(out.String(), test.want+" "), "%s: %s", name, out.String())
	}
}

func TestTargets(t *testing.T) {
	missing := "hosts: [{group: g, name: a, address: '::1', tls: paranoid, settings: {tls_ca_certificate: /nonexistent}}]"
	_, m, err := Parse("x.yaml", []byte(missing))
	require.NoError(t, err)
	_, err = targets(m)
	var usage *cli.UsageError
	require.ErrorAs(t, err, &usage)
	require.ErrorContains(t, err, "g;a: tls_ca_certificate: open /nonexistent")
	_, m, err = Parse("x.yaml", []byte("settings: {tls: auto}\nhosts: [{group: g, name: a, address: '::1', local_address: '::2'}, {group: g, name: b, address: b, tls: disabled}]"))
	require.NoError(t, err)
	list, err := targets(m)
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("::2"), list[0].LocalAddress)
	require.NotNil(t, list[0].TLS)
	require.True(t, list[0].TLSOptional)
	require.Nil(t, list[1].TLS)
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "a b", printable("a b"))
	require.Equal(t, `"a\x1b[2J"`, printable("a\x1b[2J"))
}
