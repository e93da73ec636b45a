// Package acmelab is a name server, a certificate authority and their judges for
// the integration tests of the programs that get certificates: Debian's BIND or
// Knot, pebble and openssl, at their usual ports in a network of the test's own.
package acmelab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

const (
	// Secret of the TSIG key "acme.".
	Secret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="
	// Domain that certificates are for.
	Domain = "rack.example.test"
	// Foreign is what dig prints of the record that is nobody's business.
	Foreign = "\"of somebody else\"\n"

	zone = `$ORIGIN example.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
rack IN A 127.0.0.1
_acme-challenge.rack IN TXT "of somebody else"
`
)

// A Site is a name server for example.test at 127.0.0.1:53, and pebble at port
// 14000 (and 15000 for its management).
type Site struct {
	Dir string
}

// Path is that of a file of the site.
func (s *Site) Path(name string) string { return filepath.Join(s.Dir, name) }

// Write writes a file.
func (s *Site) Write(t testing.TB, name, text string, mode os.FileMode) string {
	require.NoError(t, os.WriteFile(s.Path(name), []byte(text), mode))
	return s.Path(name)
}

// Start runs a program until the test ends.
func (s *Site) Start(t testing.TB, env []string, name string, args ...string) {
	log, err := os.Create(s.Path(filepath.Base(name) + ".log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), lab.Program(t, name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s: %s", name, text[max(0, len(text)-6000):])
		}
	})
}

// Eventually polls until done, for twenty seconds.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "%s: not in time", what)
	}
}

// TXT returns the challenge records of Domain as dig prints them.
func (s *Site) TXT(t testing.TB) string {
	return lab.Run(t, "dig", "@127.0.0.1", "+short", "+tcp", "_acme-challenge."+Domain, "TXT")
}

// New starts a site with BIND or Knot.
func New(t testing.TB, nameserver func(testing.TB, *Site), pebble string) *Site {
	s := &Site{Dir: t.TempDir()}
	s.Write(t, "zone", zone, 0o600)
	nameserver(t, s)
	Eventually(t, "name server", func() bool {
		out, _ := exec.Command("dig", "@127.0.0.1", "+short", "+tries=1", "+time=1", "example.test", "SOA").Output()
		return strings.Contains(string(out), "hostmaster")
	})
	s.pebble(t, pebble)
	s.Write(t, "secret", Secret+"\n", 0o600)
	return s
}

// BIND starts named, whose key may change TXT records of one name.
func BIND(t testing.TB, s *Site) {
	config := s.Write(t, "named.conf", fmt.Sprintf(`
key "acme." { algorithm hmac-sha256; secret %q; };
options { directory %q; listen-on { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };
controls {};
zone "example.test" { type primary; file "zone"; update-policy { grant acme. name _acme-challenge.%s. TXT; }; };
`, Secret, s.Dir, Domain), 0o600)
	s.Start(t, nil, "named", "-g", "-c", config)
}

// Knot starts knotd, whose key may change TXT records.
func Knot(t testing.TB, s *Site) {
	config := s.Write(t, "knot.conf", fmt.Sprintf(`
server:
  rundir: %[1]s
  listen: 127.0.0.1@53
database:
  storage: %[1]s
key:
  - id: acme.
    algorithm: hmac-sha256
    secret: %[2]s
acl:
  - id: update
    key: acme.
    action: update
    update-type: [TXT]
zone:
  - domain: example.test.
    file: %[1]s/zone
    acl: update
`, s.Dir, Secret), 0o600)
	s.Start(t, nil, "knotd", "-c", config)
}

// pebble starts Debian's, with a certificate for its own TLS and more keys of its
// configuration.
func (s *Site) pebble(t testing.TB, more string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	s.Write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	s.Write(t, "ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})), 0o600)
	config := s.Write(t, "pebble.json", fmt.Sprintf(`{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
		"certificate": %q, "privateKey": %q, "httpPort": 5002, "tlsPort": 5001%s}}`, s.Path("ca.pem"), s.Path("ca.key"), more), 0o600)
	// dehydrated 0.7 gives up on a bad nonce.
	s.Start(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"}, "pebble", "-config", config, "-dnsserver", "127.0.0.1:53")
	Eventually(t, "pebble", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:15000")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// root fetches the root certificate of pebble's chains.
func (s *Site) root(t testing.TB) string {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get("https://127.0.0.1:15000/roots/0")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return s.Write(t, "root.pem", string(text), 0o644)
}

// Judge has openssl verify a chain, and connect to a server that has it.
func (s *Site) Judge(t testing.TB, fullchain, key string) {
	root := s.root(t)
	out := lab.Run(t, "openssl", "verify", "-CAfile", root, "-untrusted", fullchain, "-verify_hostname", Domain, fullchain)
	require.Contains(t, out, ": OK")
	lab.Run(t, "openssl", "verify", "-CAfile", root, "-untrusted", fullchain, "-verify_hostname", "any."+Domain, fullchain)
	pair, err := tls.LoadX509KeyPair(fullchain, key)
	require.NoError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	out = lab.Run(t, "openssl", "s_client", "-connect", listener.Addr().String(), "-servername", Domain, "-CAfile", root, "-verify_return_error", "-verify_hostname", Domain)
	require.Contains(t, out, "Verify return code: 0 (ok)")
}
