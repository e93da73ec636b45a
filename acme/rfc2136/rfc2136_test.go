package rfc2136_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/rfc2136"
	"github.com/berryrack/berryrack/internal/lab"
)

var key = rfc2136.Key{Name: "acme.", Secret: "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="}

const zoneFile = `$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 127.0.0.1
www IN A 192.0.2.1
www IN AAAA 2001:db8::1
www IN TXT "stays"
`

// freePort returns a port of loopback that nothing else has.
func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// start runs a server that ends with the test, and waits until it has the zone.
func start(t *testing.T, server string, name string, args ...string) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), lab.Program(t, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); log.Close() })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := dns.Exchange(new(dns.Msg).SetQuestion("example.org.", dns.TypeSOA), server)
		if err == nil && len(answer.Answer) > 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s: %s", name, read(t, log.Name()))
	}
}

func read(t *testing.T, path string) string {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func write(t *testing.T, path, text string) {
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func bind(t *testing.T) string {
	lab.Need(t, "named")
	dir, port := t.TempDir(), freePort(t)
	write(t, filepath.Join(dir, "zone"), zoneFile)
	write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`
key "acme." { algorithm hmac-sha256; secret %q; };
key "narrow." { algorithm hmac-sha256; secret %q; };
options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; };
controls {};
zone "example.org" { type primary; file "zone"; update-policy {
	grant acme. zonesub TXT;
	grant acme. subdomain www.example.org. A AAAA;
	grant narrow. name _acme-challenge.example.org. TXT;
}; };
`, string(key.Secret), string(key.Secret), dir, port))
	server := "127.0.0.1:" + port
	start(t, server, "named", "-g", "-c", filepath.Join(dir, "named.conf"))
	return server
}

func knot(t *testing.T) string {
	lab.Need(t, "knotd")
	dir, port := t.TempDir(), freePort(t)
	write(t, filepath.Join(dir, "zone"), "$ORIGIN example.org.\n"+zoneFile)
	write(t, filepath.Join(dir, "knot.conf"), fmt.Sprintf(`
server:
  rundir: %[1]s
  listen: 127.0.0.1@%[2]s
database:
  storage: %[1]s
log:
  - target: stderr
    any: info
key:
  - id: acme.
    algorithm: hmac-sha256
    secret: %[3]s
  - id: narrow.
    algorithm: hmac-sha256
    secret: %[3]s
acl:
  - id: update
    key: acme.
    action: update
  - id: narrow
    key: narrow.
    action: update
    update-type: [TXT]
    update-owner: name
    update-owner-match: equal
    update-owner-name: [_acme-challenge]
zone:
  - domain: example.org.
    file: %[1]s/zone
    acl: [update, narrow]
`, dir, port, string(key.Secret)))
	server := "127.0.0.1:" + port
	start(t, server, "knotd", "-c", filepath.Join(dir, "knot.conf"))
	return server
}

// ask returns what a server says about a name, without owner and TTL.
func ask(t *testing.T, server, name string, kind uint16) (values []string) {
	client := &dns.Client{Net: "tcp"}
	answer, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), server)
	require.NoError(t, err)
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		} else {
			values = append(values, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	return values
}

func TestAgainstServers(t *testing.T) {
	for name, serve := range map[string]func(*testing.T) string{"BIND": bind, "Knot": knot} {
		t.Run(name, func(t *testing.T) {
			server := serve(t)
			provider := &rfc2136.Provider{Server: server, Key: key}
			t.Run("conformance", func(t *testing.T) {
				acmetest.Provider(t, acmetest.Subject{
					Provider: provider, Zone: "example.org.",
					Lookup: func(name string) []string { return ask(t, server, name, dns.TypeTXT) },
				})
			})
			t.Run("addresses", func(t *testing.T) { testAddresses(t, provider, server) })
			t.Run("errors", func(t *testing.T) { testErrors(t, server) })
		})
	}
}

func testAddresses(t *testing.T, provider *rfc2136.Provider, server string) {
	const www = "www.example.org."
	for range 2 {
		require.NoError(t, provider.SetAddresses(t.Context(), "example.org.", www, time.Minute,
			netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::8")))
		require.Equal(t, []string{"192.0.2.7"}, ask(t, server, www, dns.TypeA))
		require.ElementsMatch(t, []string{"2001:db8::7", "2001:db8::8"}, ask(t, server, www, dns.TypeAAAA))
	}
	require.NoError(t, provider.SetAddresses(t.Context(), "example.org.", www, time.Minute))
	require.Empty(t, ask(t, server, www, dns.TypeA))
	require.Empty(t, ask(t, server, www, dns.TypeAAAA))
	require.Equal(t, []string{"stays"}, ask(t, server, www, dns.TypeTXT))
}

func testErrors(t *testing.T, server string) {
	changed := func(change func(*rfc2136.Key)) rfc2136.Key {
		k := key
		change(&k)
		return k
	}
	for _, tt := range []struct {
		problem    string
		key        rfc2136.Key
		zone, name string
		kind       error
		says       string
	}{
		{"wrong secret", changed(func(k *rfc2136.Key) { k.Secret = "d3Jvbmc=" }), "example.org.", "a", acme.ErrDenied, "copy it again"},
		{"unknown key", changed(func(k *rfc2136.Key) { k.Name = "nobody." }), "example.org.", "a", acme.ErrDenied, "knows no key"},
		{"unknown zone", key, "example.com.", "a", acme.ErrNoZone, "not the primary"},
		{"beyond the key's policy", changed(func(k *rfc2136.Key) { k.Name = "narrow." }), "example.org.", "other", acme.ErrDenied, "acl"},
		{"no key", rfc2136.Key{}, "example.org.", "a", acme.ErrDenied, "policy"},
	} {
		t.Run(tt.problem, func(t *testing.T) {
			provider := &rfc2136.Provider{Server: server, Key: tt.key}
			err := provider.AppendTXT(t.Context(), acme.Record{Zone: tt.zone, Name: tt.name + "." + tt.zone, Value: "v"})
			require.ErrorIs(t, err, tt.kind)
			require.ErrorContains(t, err, tt.says)
			if tt.key.Secret != "" {
				require.NotContains(t, err.Error(), string(tt.key.Secret))
			}
		})
	}
	narrow := &rfc2136.Provider{Server: server, Key: changed(func(k *rfc2136.Key) { k.Name = "narrow." })}
	require.NoError(t, narrow.AppendTXT(t.Context(), acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "v"}))
}
