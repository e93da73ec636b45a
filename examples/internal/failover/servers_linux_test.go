package failover

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/internal/lab"
)

const (
	tsigSecret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="

	zoneText = `$ORIGIN example.test.
$TTL 2
@ IN SOA ns hostmaster 1 3600 600 86400 2
@ IN NS ns
ns IN A 127.0.0.1
@ IN A 127.0.0.1
www IN A 127.0.0.1
www IN TXT "stays"
`
)

// freePort returns a port of loopback that nothing else has, over UDP and TCP.
func freePort(t *testing.T) int {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		if packets, err := net.ListenPacket("udp", l.Addr().String()); err == nil {
			packets.Close()
			return port
		}
	}
}

// daemon runs a server until the test ends.
func daemon(t *testing.T, name string, args ...string) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), lab.Program(t, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s: %s", name, text[max(0, len(text)-4000):])
		}
	})
}

func write(t *testing.T, path, text string) string {
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// bind runs named at port: the primary of the zone or, with the primary's port, a
// secondary.
func bind(t *testing.T, port, other int, secondary bool) {
	dir := t.TempDir()
	zone := fmt.Sprintf(`type primary; file "zone"; notify explicit; also-notify { 127.0.0.1 port %d; }; allow-transfer { any; }; update-policy { grant flip. zonesub A AAAA; };`, other)
	if secondary {
		zone = fmt.Sprintf(`type secondary; file "copy"; primaries { 127.0.0.1 port %d; }; allow-notify { 127.0.0.1; };`, other)
	} else {
		write(t, filepath.Join(dir, "zone"), zoneText)
	}
	config := write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`
key "flip." { algorithm hmac-sha256; secret %q; };
options { directory %q; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; notify-delay 0; pid-file none; session-keyfile none; };
controls {};
zone "example.test" { %s };
`, tsigSecret, dir, port, zone))
	daemon(t, "named", "-g", "-c", config)
}

// knot runs knotd likewise.
func knot(t *testing.T, port, other int, secondary bool) {
	dir := t.TempDir()
	zone := "notify: other\n    acl: [update, transfer]\n    file: " + write(t, filepath.Join(dir, "zone"), zoneText)
	if secondary {
		zone = "master: other\n    acl: [notify]"
	}
	config := write(t, filepath.Join(dir, "knot.conf"), fmt.Sprintf(`
server:
    rundir: %[1]s
    listen: 127.0.0.1@%[2]d
database:
    storage: %[1]s
log:
  - target: stderr
    any: info
key:
  - id: flip.
    algorithm: hmac-sha256
    secret: %[3]s
remote:
  - id: other
    address: 127.0.0.1@%[4]d
acl:
  - id: update
    key: flip.
    action: update
    update-type: [A, AAAA]
  - id: transfer
    address: 127.0.0.1
    action: transfer
  - id: notify
    address: 127.0.0.1
    action: notify
zone:
  - domain: example.test.
    storage: %[1]s
    %[5]s
`, dir, port, tsigSecret, other, zone))
	daemon(t, "knotd", "-c", config)
}

// unbound runs a resolver that asks the servers at two ports for the zone.
func unbound(t *testing.T, port, primary, secondary int) {
	config := write(t, filepath.Join(t.TempDir(), "unbound.conf"), fmt.Sprintf(`
server:
  interface: 127.0.0.1@%d
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  directory: "/"
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "iterator"
stub-zone:
  name: example.test
  stub-addr: 127.0.0.1@%d
  stub-addr: 127.0.0.1@%d
remote-control:
  control-enable: no
`, port, primary, secondary))
	daemon(t, "unbound", "-d", "-p", "-c", config)
}

// dig asks a server as a person would.
func dig(t *testing.T, port int, name, kind string) string {
	out, _ := exec.CommandContext(t.Context(), lab.Program(t, "dig"), "@127.0.0.1", "-p", fmt.Sprint(port), "+short", "+tries=1", "+time=1", name, kind).Output()
	return strings.TrimSpace(string(out))
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "%s: not in time", what)
	}
}

// page serves one page at an address and port of loopback.
func page(t *testing.T, address, text string) string {
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) })}}
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// A zone at BIND with a secondary at Knot, and the other way round, is flipped by
// signed updates and flipped back; what unbound has cached runs out.
func TestRealServers(t *testing.T) {
	lab.Need(t, "named", "knotd", "unbound", "dig")
	type serve func(t *testing.T, port, other int, secondary bool)
	for name, servers := range map[string][2]serve{"BIND": {bind, knot}, "Knot": {knot, bind}} {
		t.Run(name, func(t *testing.T) {
			primary, secondary, resolver := freePort(t), freePort(t), freePort(t)
			servers[0](t, primary, secondary, false)
			eventually(t, "the primary", func() bool { return dig(t, primary, "www.example.test", "A") == "127.0.0.1" })
			servers[1](t, secondary, primary, true)
			eventually(t, "the secondary", func() bool { return dig(t, secondary, "www.example.test", "A") == "127.0.0.1" })
			unbound(t, resolver, primary, secondary)
			eventually(t, "the resolver", func() bool { return dig(t, resolver, "www.example.test", "A") == "127.0.0.1" })
			port := page(t, "127.0.0.1:0", "old page")
			page(t, "127.0.0.2:"+port, "new page")
			dir := t.TempDir()
			config := write(t, filepath.Join(dir, "failover.yaml"), fmt.Sprintf(`
primary: [127.0.0.1]
standby: [127.0.0.2]
dns:
  zone: example.test
  names: [www.example.test, example.test]
  ttl: 2s
  former_ttl: 3s
  nameservers: ["127.0.0.1:%d", "127.0.0.1:%d"]
  resolvers: ["127.0.0.1:%d"]
  wait: 60s
  provider: {rfc2136: {server: "127.0.0.1:%d", tsig: {name: flip., secret_file: %s}}}
services: [{http: "http://www.example.test:%s/", contains: page}]
`, primary, secondary, resolver, primary, write(t, filepath.Join(dir, "secret"), tsigSecret+"\n"), port))
			turn := func(turn Turn) (string, error) {
				std, out, diagnostics := streams()
				s, err := Open(t.Context(), Options{Config: config, State: filepath.Join(dir, "state")}, std)
				require.NoError(t, err)
				s.interval = 100 * time.Millisecond
				err = s.Flip(t.Context(), turn, std)
				return out.String() + diagnostics.String(), err
			}

			// Nobody knows what the TTL was until now.
			text, err := turn(Turn{})
			require.ErrorIs(t, err, cli.ErrDifferent, text)
			require.Contains(t, text, "caches may hold an older one until")
			require.Equal(t, "127.0.0.1", dig(t, primary, "www.example.test", "A"))
			eventually(t, "the flip", func() bool {
				text, err = turn(Turn{})
				return err == nil
			})
			for _, name := range []string{"www.example.test", "example.test"} {
				for _, at := range []int{primary, secondary, resolver} {
					require.Equal(t, "127.0.0.2", dig(t, at, name, "A"), text)
				}
			}
			require.Equal(t, 3, strings.Count(text, " has it after "), text)
			require.Equal(t, `"stays"`, dig(t, primary, "www.example.test", "TXT"))

			text, err = turn(Turn{Back: true})
			require.NoError(t, err, text)
			for _, at := range []int{primary, secondary, resolver} {
				require.Equal(t, "127.0.0.1", dig(t, at, "www.example.test", "A"), text)
			}
		})
	}
}

// A key that may not change the name is told, and nothing is lost.
func TestRefusedByBIND(t *testing.T) {
	lab.Need(t, "named", "dig")
	port := freePort(t)
	bind(t, port, port, false)
	eventually(t, "BIND", func() bool { return dig(t, port, "www.example.test", "A") == "127.0.0.1" })
	dir := t.TempDir()
	s, err := read("test.yaml", fmt.Appendf(nil, `
primary: [127.0.0.1]
standby: [127.0.0.2]
dns:
  zone: example.test
  names: [www.example.test]
  nameservers: ["127.0.0.1:%d"]
  provider: {rfc2136: {server: "127.0.0.1:%d", tsig: {name: other., secret_file: %s}}}
`, port, port, write(t, filepath.Join(dir, "secret"), tsigSecret+"\n")))
	require.NoError(t, err)
	s.state = filepath.Join(dir, "state")
	std, _, _ := streams()
	err = s.Flip(t.Context(), Turn{Force: true}, std)
	require.ErrorContains(t, err, "knows no key")
	require.ErrorContains(t, err, "perhaps not set: www.example.test.")
	require.Equal(t, "127.0.0.1", dig(t, port, "www.example.test", "A"))
}
