package dns01hook_test

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
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

const (
	secret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="
	domain = "rack.example.test"
	zone   = `$ORIGIN example.test.
$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
rack IN A 127.0.0.1
_acme-challenge.rack IN TXT "of somebody else"
`
)

// site is a name server, a certificate authority and a hook, in a network of
// their own: all on their usual ports.
type site struct {
	dir  string
	hook string // a script, as HOOK of dehydrated is one word
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t *testing.T, name, text string, mode os.FileMode) string {
	require.NoError(t, os.WriteFile(s.path(name), []byte(text), mode))
	return s.path(name)
}

// start runs a program until the test ends.
func (s *site) start(t *testing.T, env []string, name string, args ...string) {
	log, err := os.Create(s.path(filepath.Base(name) + ".log"))
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

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "%s: not in time", what)
	}
}

func (s *site) txt(t *testing.T) string {
	return lab.Run(t, "dig", "@127.0.0.1", "+short", "+tcp", "_acme-challenge."+domain, "TXT")
}

func newSite(t *testing.T, nameserver func(*testing.T, *site)) *site {
	s := &site{dir: t.TempDir()}
	s.write(t, "zone", zone, 0o600)
	nameserver(t, s)
	eventually(t, "name server", func() bool {
		out, _ := exec.Command("dig", "@127.0.0.1", "+short", "+tries=1", "+time=1", "example.test", "SOA").Output()
		return strings.Contains(string(out), "hostmaster")
	})
	s.pebble(t)
	lab.Run(t, "go", "build", "-o", s.path("dns01hook"), "github.com/berryrack/berryrack/examples/dns01hook")
	s.write(t, "secret", secret+"\n", 0o600)
	config := s.write(t, "dns01hook.yaml", fmt.Sprintf(`
provider: {rfc2136: {server: 127.0.0.1, tsig: {name: acme., secret_file: %s}}}
resolvers: [127.0.0.1]
interval: 100ms
`, s.path("secret")), 0o644)
	s.hook = s.write(t, "hook", fmt.Sprintf("#!/bin/sh\nexec %s -f %s --state %s \"$@\"\n", s.path("dns01hook"), config, s.path("state")), 0o755)
	return s
}

func named(t *testing.T, s *site) {
	config := s.write(t, "named.conf", fmt.Sprintf(`
key "acme." { algorithm hmac-sha256; secret %q; };
options { directory %q; listen-on { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };
controls {};
zone "example.test" { type primary; file "zone"; update-policy { grant acme. name _acme-challenge.%s. TXT; }; };
`, secret, s.dir, domain), 0o600)
	s.start(t, nil, "named", "-g", "-c", config)
}

func knotd(t *testing.T, s *site) {
	config := s.write(t, "knot.conf", fmt.Sprintf(`
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
`, s.dir, secret), 0o600)
	s.start(t, nil, "knotd", "-c", config)
}

// pebble starts Debian's, with a certificate for its own TLS.
func (s *site) pebble(t *testing.T) {
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
	s.write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	s.write(t, "ca.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})), 0o600)
	config := s.write(t, "pebble.json", fmt.Sprintf(`{"pebble": {"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
		"certificate": %q, "privateKey": %q, "httpPort": 5002, "tlsPort": 5001}}`, s.path("ca.pem"), s.path("ca.key")), 0o600)
	// dehydrated 0.7 gives up on a bad nonce.
	s.start(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"}, "pebble", "-config", config, "-dnsserver", "127.0.0.1:53")
	eventually(t, "pebble", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:15000")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// root fetches the root certificate of pebble's chains.
func (s *site) root(t *testing.T) string {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Get("https://127.0.0.1:15000/roots/0")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return s.write(t, "root.pem", string(text), 0o644)
}

// judge has openssl verify a chain, and connect to a server that has it.
func (s *site) judge(t *testing.T, fullchain, key string) {
	root := s.root(t)
	out := lab.Run(t, "openssl", "verify", "-CAfile", root, "-untrusted", fullchain, "-verify_hostname", domain, fullchain)
	require.Contains(t, out, ": OK")
	lab.Run(t, "openssl", "verify", "-CAfile", root, "-untrusted", fullchain, "-verify_hostname", "any."+domain, fullchain)
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
	out = lab.Run(t, "openssl", "s_client", "-connect", listener.Addr().String(), "-servername", domain, "-CAfile", root, "-verify_return_error", "-verify_hostname", domain)
	require.Contains(t, out, "Verify return code: 0 (ok)")
}

func TestClients(t *testing.T) {
	lab.Need(t, "pebble", "dehydrated", "certbot", "named", "knotd", "dig", "openssl", "netns")
	for name, nameserver := range map[string]func(*testing.T, *site){"BIND": named, "Knot": knotd} {
		t.Run(name, func(t *testing.T) {
			if !lab.Isolated(t) {
				return
			}
			s := newSite(t, nameserver)
			s.dehydrated(t, "yes")
			s.dehydrated(t, "no")
			s.certbot(t)
			s.killed(t)
		})
	}
}

func (s *site) dehydrated(t *testing.T, chain string) {
	base := s.path("dehydrated-" + chain)
	require.NoError(t, os.MkdirAll(base, 0o700))
	config := s.write(t, "dehydrated.conf", fmt.Sprintf("CA=https://localhost:14000/dir\nCHALLENGETYPE=dns-01\nBASEDIR=%s\nHOOK=%s\nHOOK_CHAIN=%s\nCURL_OPTS=\"--cacert %s\"\n",
		base, s.hook, chain, s.path("ca.pem")), 0o600)
	lab.Run(t, "dehydrated", "-f", config, "--register", "--accept-terms")
	lab.Run(t, "dehydrated", "-f", config, "-c", "-d", domain, "-d", "*."+domain)
	s.judge(t, filepath.Join(base, "certs", domain, "fullchain.pem"), filepath.Join(base, "certs", domain, "privkey.pem"))
	require.Equal(t, "\"of somebody else\"\n", s.txt(t))
	lab.Run(t, "dehydrated", "-f", config, "-c", "-d", domain, "-d", "*."+domain) // unchanged
}

func (s *site) certbot(t *testing.T) {
	t.Setenv("REQUESTS_CA_BUNDLE", s.path("ca.pem"))
	base := s.path("certbot")
	lab.Run(t, "certbot", "certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email", "--server", "https://localhost:14000/dir",
		"--config-dir", base, "--work-dir", base, "--logs-dir", base, "--manual", "--preferred-challenges", "dns",
		"--manual-auth-hook", s.hook, "--manual-cleanup-hook", s.hook, "-d", domain, "-d", "*."+domain)
	live := filepath.Join(base, "live", domain)
	s.judge(t, filepath.Join(live, "fullchain.pem"), filepath.Join(live, "privkey.pem"))
	require.Equal(t, "\"of somebody else\"\n", s.txt(t))
}

// killed kills dehydrated while its records are published. It has no time to
// clean up; the next call of the hook does.
func (s *site) killed(t *testing.T) {
	value := strings.Repeat("k", 43)
	script := s.write(t, "dehydrated", fmt.Sprintf("#!/bin/sh\n%s deploy_challenge %s token %s && kill -9 $$\n", s.hook, domain, value), 0o755)
	cmd := exec.CommandContext(t.Context(), script)
	cmd.Env = append(os.Environ(), "CHALLENGETYPE=dns-01")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), string(out))
	require.Contains(t, s.txt(t), value)
	lab.Run(t, s.hook, "startup_hook")
	require.Equal(t, "\"of somebody else\"\n", s.txt(t))
}
