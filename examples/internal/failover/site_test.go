package failover

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// hosts is a site with an origin at each of two addresses, http and https.
func hosts(t *testing.T, primary, standby http.Handler) *Site {
	s, err := read("test.yaml", []byte(`{site: "http://www.example.org", primary: [192.0.2.1], standby: [192.0.2.2]}`))
	require.NoError(t, err)
	w := &world{site: s, ports: map[string]string{}, zone: map[string][]netip.Addr{}, ttl: time.Minute}
	s.dial, s.state, s.setter, s.interval = w.dial, t.TempDir(), w, 10*time.Millisecond
	for addr, handler := range map[string]http.Handler{"192.0.2.1": primary, "192.0.2.2": standby} {
		plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
		t.Cleanup(plain.Close)
		t.Cleanup(secure.Close)
		w.ports["tcp "+addr+":80"] = plain.Listener.Addr().String()
		w.ports["tcp "+addr+":443"] = secure.Listener.Addr().String()
	}
	return s
}

// Both providers of addresses can be configured.
func TestProviders(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("c2VjcmV0\n"), 0o600))
	for _, provider := range []string{
		`rfc2136: {server: "192.0.2.53", tsig: {name: k., secret_file: secret}}`,
		`mythicbeasts: {credentials: [{key: k, secret_file: secret}]}`,
	} {
		s, err := read(filepath.Join(dir, "failover.yaml"), []byte(`{primary: [192.0.2.1], standby: [192.0.2.2],
			dns: {zone: example.org, names: [example.org], nameservers: [192.0.2.53], provider: {`+provider+`}}}`))
		require.NoError(t, err)
		require.NotNil(t, s.setter)
	}
}

// A standby that is the primary is compared with itself, and always up to date.
func TestNoTwoHosts(t *testing.T) {
	_, err := read("failover.yaml", []byte(`{primary: [192.0.2.1, "2001:db8::1"], standby: ["::ffff:192.0.2.1"],
		dns: {zone: example.org, names: [example.org, Example.ORG], nameservers: [192.0.2.53]}}`))
	require.ErrorContains(t, err, "standby[0]: 192.0.2.1 is an address of the primary")
	require.ErrorContains(t, err, "dns.names[1]: example.org. is given twice")
}

// What others have named is one line, and no terminal obeys it.
func TestReportOfHostileNames(t *testing.T) {
	r := newReport([]Answer{answer(QuestionMirrors, []Item{{"a\nservices  same", Different, "\x1b[2J"}}, "")}, nil)
	_, out, _ := streams()
	require.NoError(t, r.print(out, false, time.Now()))
	require.Equal(t, "mirrors   different 1 different\n    different \"a\\nservices  same\": \"\\x1b[2J\"\n", out.String())
}

// log writes an access log with these requests, "GET /x 200", a second apart.
func (s *Site) log(t *testing.T, requests ...string) {
	var text bytes.Buffer
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for i, r := range requests {
		fields := bytes.Fields([]byte(r))
		text.WriteString("192.0.2.9 - - [" + at.Add(time.Duration(i)*time.Second).Format("02/Jan/2006:15:04:05 -0700") +
			"] \"" + string(fields[0]) + " " + string(fields[1]) + " HTTP/1.1\" " + string(fields[2]) + " 5 \"-\" \"-\"\n")
	}
	path := filepath.Join(t.TempDir(), "access.log")
	require.NoError(t, os.WriteFile(path, text.Bytes(), 0o600))
	s.Pages.Logs = []string{path}
}

// streams are those of a command under test.
func streams() (cli.Streams, *bytes.Buffer, *bytes.Buffer) {
	var out, diagnostics bytes.Buffer
	return cli.Streams{Out: &out, Err: &diagnostics}, &out, &diagnostics
}

// tcpService serves one port of the standby.
func (s *Site) tcpService(t *testing.T, port string, serve func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	s.setter.(*world).ports["tcp 192.0.2.2:"+port] = l.Addr().String()
}
