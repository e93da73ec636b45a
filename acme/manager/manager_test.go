package manager

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func read(t testing.TB, path string) string {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// Apex and wildcard at once, with bad nonces and authorizations used again.
func TestEnsure(t *testing.T) {
	a := newAuthority(t, options{badNonces: "30", authzReuse: "50"})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org", "*.Example.org"))
	leaf := a.verify(t, m, "example.org", "any.example.org")
	require.NoError(t, m.Ensure(t.Context(), "example.org", "*.example.org."), "the second time there is nothing to do")
	require.Equal(t, leaf, a.verify(t, m, "example.org", "example.org"))
	require.IsType(t, &ecdsa.PublicKey{}, leaf.PublicKey)
	require.Empty(t, a.zone.TXT("_acme-challenge.example.org."))
	require.Equal(t, leaf, a.handshake(t, m, "any.example.org"))
	dir := filepath.Join(m.output(), "example.org", "current")
	require.Equal(t, read(t, filepath.Join(dir, "fullchain.pem")), read(t, filepath.Join(dir, "cert.pem"))+read(t, filepath.Join(dir, "chain.pem")))
	for _, name := range []string{"privkey.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}

	require.NoError(t, m.Renew(t.Context(), "example.org"))
	renewed := a.verify(t, m, "example.org", "example.org")
	require.NotEqual(t, leaf.PublicKey, renewed.PublicKey, "a new key each time")
	require.Equal(t, renewed, a.handshake(t, m, "example.org"), "hot")
	require.Contains(t, strings.Join(m.mustStatus(t)[0].Names, " "), "*.example.org")
}

func (m *Manager) mustStatus(t testing.TB) []Status {
	status, err := m.Status()
	require.NoError(t, err)
	return status
}

func TestHundredNames(t *testing.T) {
	a := newAuthority(t, options{})
	a.zone.Delay = 200 * time.Millisecond
	m := a.manager(t)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("host%d.example.org", i))
	}
	// Pebble asks for them all at once, three times, and gives the DNS few seconds
	// to answer; a busy machine may need more.
	err := m.Ensure(t.Context(), names...)
	for i := 0; i < 3 && errors.As(err, new(*ValidationError)); i++ {
		err = m.Ensure(t.Context(), names...)
	}
	require.NoError(t, err)
	require.Len(t, a.verify(t, m, names[0], names[99]).DNSNames, 100)
}

func TestOptions(t *testing.T) {
	a := newAuthority(t, options{roots: 1})
	m := a.manager(t)
	other, err := parseChain(a.ca.GetRootCert(1).PEM())
	require.NoError(t, err)
	m.Certificates = []Certificate{{
		Names: []string{"www.example.org"}, Profile: "shortlived", PreferredChain: other[0].Subject.CommonName, KeyType: RSA2048,
		Group: "daemon", Mode: 0o640,
	}}
	if os.Geteuid() != 0 {
		m.Certificates[0].Group = ""
	}
	require.NoError(t, m.Ensure(t.Context(), "www.example.org"))
	current, err := m.current(m.Certificates[0])
	require.NoError(t, err)
	require.IsType(t, &rsa.PublicKey{}, current.leaf.PublicKey)
	require.InDelta(t, 6*24, current.leaf.NotAfter.Sub(current.leaf.NotBefore).Hours(), 1)
	last, err := x509.ParseCertificate(current.pair.Certificate[len(current.pair.Certificate)-1])
	require.NoError(t, err)
	require.Equal(t, other[0].Subject.CommonName, last.Issuer.CommonName)
	info, err := os.Stat(filepath.Join(m.output(), "www.example.org", "current", "privkey.pem"))
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm())

	// Another mode is set in place, and the server told.
	told := filepath.Join(t.TempDir(), "told")
	m.Certificates[0].Mode, m.Certificates[0].Reload = 0o600, [][]string{{"touch", told}}
	require.NoError(t, m.Ensure(t.Context(), "www.example.org"))
	info, err = os.Stat(filepath.Join(m.output(), "www.example.org", "current", "privkey.pem"))
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.FileExists(t, told)
	require.Equal(t, 1, a.ordered())

	m.Certificates[0].Profile = "eternal"
	for range 2 { // what failed is not forgotten
		require.ErrorContains(t, m.Ensure(t.Context(), "www.example.org"), "profiles of the authority: default, shortlived")
		require.Contains(t, m.mustStatus(t)[0].Why, "another profile is wanted")
	}
}

func TestExternalAccount(t *testing.T) {
	a := newAuthority(t, options{external: true})
	require.NoError(t, a.db.AddExternalAccountKeyByID("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"))
	m := a.manager(t)
	require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "external account binding")
	m.External = &ExternalAccount{KeyID: "kid-1", HMAC: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
}

// An authority cannot have us publish what belongs to no order.
func TestForeignAuthorization(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	client, err := m.account(t.Context())
	require.NoError(t, err)
	o, err := client.newOrder([]string{"other.example.org", "www.example.org"}, "", "")
	require.NoError(t, err)
	c := Certificate{Names: []string{"www.example.org"}}
	require.ErrorContains(t, m.prove(t.Context(), client, c, &state{}, o), "2 authorizations of 1 names")
	o.authz = o.authz[:1]
	c.Names = []string{"example.org"}
	require.ErrorContains(t, m.prove(t.Context(), client, c, &state{}, o), "not in the order")
}

func TestTermsOfService(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.AgreeTerms = false
	require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "read the terms of service at")
}

// The renewal names the certificate that it replaces, at the time that the
// authority suggests (RFC 9773).
func TestRenewalInformation(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	first := a.verify(t, m, "example.org", "example.org")
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	status := m.mustStatus(t)[0]
	require.Contains(t, status.Why, "the authority's window")
	require.Greater(t, time.Until(status.Renewal), 24*time.Hour)

	// The authority wants it replaced now.
	now := time.Now().UTC()
	a.suggest(t, m.leafPEM(t, "example.org"), now.Add(-2*time.Hour), now.Add(-time.Hour))
	m.Clock = func() time.Time { return time.Now().Add(7 * time.Hour) } // time to ask again
	require.Contains(t, func() string { require.NoError(t, m.Ensure(t.Context(), "example.org")); return m.mustStatus(t)[0].Why }(), "life is left")
	second := a.verify(t, m, "example.org", "example.org")
	require.NotEqual(t, first.SerialNumber, second.SerialNumber)
	order, err := a.db.GetOrderByIssuedSerial(a.db.GetCertificateBySerial(second.SerialNumber).ID)
	require.NoError(t, err)
	require.Equal(t, replaces(first), order.Replaces)
}

// Who asks for renewal information needs no account, and makes none beside one
// who is making it.
func TestRenewalInformationNeedsNoAccount(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.NoError(t, os.RemoveAll(m.accountDir()))
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Contains(t, m.mustStatus(t)[0].Why, "the authority's window")
	require.NoDirExists(t, m.accountDir())
}

// Who is stopped while he asks, asks again.
func TestRenewalInformationIsCutShort(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	ctx, cancel := context.WithCancel(t.Context())
	a.intercept(func(http.ResponseWriter, *http.Request) bool { cancel(); return false })
	require.NoError(t, m.Ensure(ctx, "example.org"))
	require.Error(t, ctx.Err())
	require.Zero(t, m.load(Certificate{Names: []string{"example.org"}}).AskAgain)
}

// suggest has the authority suggest a window for a certificate.
func (a *authority) suggest(t testing.TB, certificate string, start, end time.Time) {
	info := fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q},"explanationURL":"https://incident.example"}`, start.Format(time.RFC3339), end.Format(time.RFC3339))
	body, err := json.Marshal(map[string]string{"certificate": certificate, "ariResponse": info})
	require.NoError(t, err)
	recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	request.Header.Set("User-Agent", "test")
	a.management.ServeHTTP(recorder, request)
	require.Equal(t, http.StatusOK, recorder.Code, recorder.Body.String())
}

func (m *Manager) leafPEM(t testing.TB, id string) string {
	return read(t, filepath.Join(m.output(), id, "current", "cert.pem"))
}

func TestRevoke(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	leaf := a.verify(t, m, "example.org", "example.org")
	require.NoError(t, m.Revoke(t.Context(), "example.org", 4))
	require.NotNil(t, a.db.GetRevokedCertificateBySerial(leaf.SerialNumber))
	require.NoError(t, m.Revoke(t.Context(), "example.org", 4), "twice is once")
	other := newAuthority(t, options{}).manager(t)
	other.Dir = m.Dir
	require.ErrorContains(t, other.Revoke(t.Context(), "example.org", 4), "the certificate is of "+a.url)
	require.Equal(t, "it is revoked", m.mustStatus(t)[0].Why)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.NotEqual(t, leaf.SerialNumber, a.verify(t, m, "example.org", "example.org").SerialNumber)
	require.ErrorContains(t, m.Revoke(t.Context(), "example.com", 0), "no certificate named example.com")
}

func TestHTTP01(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	a := newAuthority(t, options{httpPort: port})
	m := a.manager(t)
	m.Solver = nil
	webroot := t.TempDir()
	server := &http.Server{Handler: http.FileServer(http.Dir(webroot))}
	go server.Serve(listener)
	m.Certificates = []Certificate{
		{Names: []string{"www.example.org", "example.org"}, HTTP01: &HTTP01{Webroot: webroot}},
		{Names: []string{"example.org"}, HTTP01: &HTTP01{Listen: fmt.Sprintf("127.0.0.1:%d", port)}},
	}
	require.NoError(t, m.Ensure(t.Context(), "www.example.org", "example.org"))
	left, err := os.ReadDir(filepath.Join(webroot, wellKnown))
	require.NoError(t, err)
	require.Empty(t, left)
	listening := a.manager(t) // of another account: no authorization is used again
	listening.Solver, listening.Certificates = nil, m.Certificates[1:]
	require.ErrorContains(t, listening.Ensure(t.Context(), "example.org"), "give its webroot")
	server.Close()
	require.NoError(t, listening.Ensure(t.Context(), "example.org"))
	m.Certificates[0].Names = []string{"*.example.org"}
	require.ErrorContains(t, m.Certificates[0].Check(), "wildcards need dns-01")
}

// A certificate of another authority or account is replaced at once, and not
// named to one that never saw it.
func TestChangeOfAuthorityAndAccount(t *testing.T) {
	a := newAuthority(t, options{})
	staging := newAuthority(t, options{})
	m := staging.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	staging.verify(t, m, "example.org", "example.org")

	production := a.manager(t)
	production.Dir = m.Dir
	require.Equal(t, "another authority or account is wanted", production.mustStatus(t)[0].Why)
	require.NoError(t, production.Ensure(t.Context(), "example.org"))
	first := a.verify(t, production, "example.org", "example.org")

	require.NoError(t, os.RemoveAll(production.accountDir()))
	require.NoError(t, production.Renew(t.Context(), "example.org"))
	second := a.verify(t, production, "example.org", "example.org")
	require.NotEqual(t, first.SerialNumber, second.SerialNumber)

	other := a.manager(t)
	require.NoError(t, other.Ensure(t.Context(), "www.example.org"))
	require.NoError(t, os.RemoveAll(production.accountDir()))
	require.NoError(t, os.CopyFS(production.accountDir(), os.DirFS(other.accountDir())))
	require.Equal(t, "another authority or account is wanted", production.mustStatus(t)[0].Why)
	require.NoError(t, production.Ensure(t.Context(), "example.org"))
	require.NotEqual(t, second.SerialNumber, a.verify(t, production, "example.org", "example.org").SerialNumber)
}

// An authority that does not take the identifier of the certificate that is
// replaced gives the next one all the same.
func TestReplacesIsRefused(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	refused := false
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/order-plz" || refused {
			return false
		}
		refused = true
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:malformed","detail":"no order of the certificate"}`)
		return true
	})
	require.NoError(t, m.Renew(t.Context(), "example.org"))
	require.True(t, refused)
}

// What a crash leaves in a webroot is removed by the next run.
func TestWebrootAfterACrash(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	webroot := t.TempDir()
	m.Certificates = []Certificate{{Names: []string{"www.example.org"}, HTTP01: &HTTP01{Webroot: webroot}}}
	s := state{}
	_, err := m.presentHTTP(t.Context(), m.Certificates[0], &s, map[string]string{"token": "text", "other": "text"})
	require.NoError(t, err)
	foreign := filepath.Join(webroot, wellKnown, "foreign")
	require.NoError(t, os.WriteFile(foreign, nil, 0o600))
	require.FileExists(t, filepath.Join(webroot, wellKnown, "token"))
	a.refuse("/order-plz", "serverInternal", "down", http.StatusInternalServerError, nil)
	require.Error(t, m.Ensure(t.Context(), "www.example.org"))
	left, err := os.ReadDir(filepath.Dir(foreign))
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Empty(t, m.load(m.Certificates[0]).Presented)
	_, err = m.presentHTTP(t.Context(), m.Certificates[0], &s, map[string]string{"../token": "text"})
	require.ErrorContains(t, err, "RFC 8555")
}

func TestWebrootWithALinkToElsewhere(t *testing.T) {
	webroot, elsewhere := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(elsewhere, filepath.Join(webroot, ".well-known")))
	require.ErrorContains(t, (&HTTP01{Webroot: webroot}).write(map[string]string{"token": "text"}), "webroot")
	left, err := os.ReadDir(elsewhere)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestLostAccountIsMadeAgain(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	path := filepath.Join(m.accountDir(), "account.json")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(read(t, path), "/my-account/", "/my-account/x", 1)), 0o600))
	require.Error(t, m.Ensure(t.Context(), "www.example.org"))
	require.NoError(t, m.Ensure(t.Context(), "www.example.org"))

	require.NoError(t, os.Remove(m.accountKeyPath()))
	require.NoError(t, m.Renew(t.Context(), "www.example.org"), "with its key the account is lost")
	require.NoError(t, os.WriteFile(m.accountPath(), []byte("{}"), 0o600))
	require.NoError(t, m.Renew(t.Context(), "www.example.org"))
}

// One who waits for the authority does not have others wait that have an account.
func TestAccountWithoutLock(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	unlock, err := m.Solver.Journal.Lock(t.Context(), "account")
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, m.Ensure(ctx, "www.example.org"))
}

// Nothing but the private key's file and the state, both unreadable for others,
// holds a secret.
func TestFileModes(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	var log bytes.Buffer
	m.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m.Output = filepath.Join(t.TempDir(), "out")
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.NotEmpty(t, log.String())
	for _, path := range []string{filepath.Join(m.output(), "example.org", "current", "privkey.pem"), filepath.Join(m.accountDir(), "key.pem")} {
		for line := range strings.Lines(read(t, path)) {
			require.NotContains(t, log.String(), strings.TrimSpace(line))
		}
	}
	for _, root := range []string{m.Dir, m.Output} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
				require.NotContains(t, read(t, path), "PRIVATE", path)
			}
			return nil
		}))
	}
	info, err := os.Stat(m.Dir)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())
}

func TestGetCertificateOfAnotherName(t *testing.T) {
	m := &Manager{Dir: t.TempDir(), Certificates: []Certificate{{Names: []string{"example.org", "*.example.org"}}}}
	_, err := m.GetCertificate(hello("example.com"))
	require.ErrorContains(t, err, `no certificate is kept for "example.com"`)
	_, err = m.GetCertificate(hello("a.b.example.org"))
	require.ErrorContains(t, err, "no certificate is kept")
	_, err = m.GetCertificate(hello("a.example.org"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.False(t, errors.Is(err, os.ErrPermission))
}

func hello(name string) *tls.ClientHelloInfo { return &tls.ClientHelloInfo{ServerName: name} }
