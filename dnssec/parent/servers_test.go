package parent

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func name(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	require.NoError(t, err)
	return n
}

// serve answers over UDP and TCP until the test ends.
func serve(t *testing.T, handler dns.HandlerFunc) string {
	t.Helper()
	for {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			require.ErrorIs(t, err, syscall.EADDRINUSE)
			require.NoError(t, tcp.Close())
			continue
		}
		for _, s := range []*dns.Server{{Listener: tcp, Handler: handler}, {PacketConn: udp, Handler: handler}} {
			started := make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			go func() { _ = s.ActivateAndServe() }()
			<-started
			t.Cleanup(func() { _ = s.Shutdown() })
		}
		return tcp.Addr().String()
	}
}

// answering has records, a line each, and the header bits that are named.
func answering(rcode int, authoritative bool, lines ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) {
		m := new(dns.Msg).SetRcode(query, rcode)
		m.Authoritative = authoritative
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			if q := query.Question[0]; strings.EqualFold(rr.Header().Name, q.Name) && rr.Header().Rrtype == q.Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if w.RemoteAddr().Network() == "udp" && m.Len() > 512 {
			m.Truncated, m.Answer = true, nil
		}
		_ = w.WriteMsg(m)
	}
}

func TestDS(t *testing.T) {
	const ds = "example.org. 3600 DS 12345 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("example.org. 60 DS %d 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", i))
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	p := &Servers{Timeout: 5 * time.Second, Addresses: []string{
		serve(t, answering(dns.RcodeSuccess, true, ds, "example.org. 3600 RRSIG DS 13 2 3600 20300101000000 20200101000000 1 org. AAAA")),
		serve(t, answering(dns.RcodeSuccess, true)),
		serve(t, answering(dns.RcodeNameError, true)),
		serve(t, answering(dns.RcodeSuccess, false, ds)), // a resolver, or a lame server
		serve(t, answering(dns.RcodeRefused, true)),
		serve(t, answering(dns.RcodeSuccess, true, many...)),
	}}
	answers, err := p.DS(t.Context(), name(t, "example.org."))
	require.NoError(t, err)
	for i, want := range []struct {
		failed  bool
		records int
		ttl     time.Duration
	}{{false, 1, time.Hour}, {false, 0, 0}, {false, 0, 0}, {true, 0, 0}, {true, 0, 0}, {false, 30, time.Minute}} {
		require.Equal(t, want.failed, answers[i].Failed, "server %d", i)
		require.Len(t, answers[i].Records, want.records, "server %d", i)
		require.Equal(t, want.ttl, answers[i].TTL, "server %d", i)
		require.Equal(t, p.Addresses[i], answers[i].Server)
	}
	p = &Servers{Timeout: 10 * time.Millisecond, Addresses: []string{silent.LocalAddr().String()}}
	answers, err = p.DS(t.Context(), name(t, "example.org."))
	require.NoError(t, err)
	require.True(t, answers[0].Failed)
}

func TestFind(t *testing.T) {
	resolver := serve(t, answering(dns.RcodeSuccess, false,
		"org. 60 NS a.nic.test.", "org. 60 NS b.nic.test.", "a.nic.test. 60 A 192.0.2.1", "a.nic.test. 60 AAAA 2001:db8::1",
		"b.nic.test. 60 A 192.0.2.1", "net. 60 NS none.test."))
	broken := serve(t, answering(dns.RcodeServerFailure, false))
	p := &Servers{Resolvers: []string{broken, resolver}, Timeout: 5 * time.Second}
	// ent.org. is an empty non-terminal: the parent is above it.
	list, err := p.find(t.Context(), name(t, "example.ent.org."))
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.1:53", "[2001:db8::1]:53"}, list)
	_, err = p.find(t.Context(), name(t, "example.net."))
	require.ErrorContains(t, err, "none.test. has no address")
	_, err = p.find(t.Context(), name(t, "example.com."))
	require.ErrorContains(t, err, "no name server above")
	_, err = p.find(t.Context(), wire.Root)
	require.ErrorContains(t, err, "no parent")
	_, err = (&Servers{Resolvers: []string{broken}, Timeout: 5 * time.Second}).find(t.Context(), name(t, "example.org."))
	require.ErrorContains(t, err, "SERVFAIL")
}

func TestSystemResolvers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(path, []byte("# nameserver 192.0.2.9\nsearch x\nnameserver 192.0.2.1\nnameserver ::1\nnameserver nonsense\n"), 0o600))
	list, err := systemResolvers(path)
	require.NoError(t, err)
	require.Equal(t, []string{"192.0.2.1:53", "[::1]:53"}, list)
	require.NoError(t, os.WriteFile(path, []byte("search x\n"), 0o600))
	_, err = systemResolvers(path)
	require.ErrorContains(t, err, "names no resolver")
}

func testKey(t testing.TB) dnssec.PublicKey {
	t.Helper()
	return dnssec.PublicKey{Flags: dnssec.FlagZone | dnssec.FlagSEP, Algorithm: dnssec.ED25519, Key: make([]byte, 32)}
}

func TestHook(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "hook")
	run := func(text string) error {
		require.NoError(t, os.WriteFile(script, []byte(text), 0o600))
		h := Hook{Command: []string{"/bin/sh", script, "first"}, Timeout: 20 * time.Second}
		return h.Lodge(t.Context(), name(t, "example.org."), []dnssec.PublicKey{testKey(t)})
	}
	require.NoError(t, run("cat >"+dir+"/input; echo $* >"+dir+"/args"))
	input, err := os.ReadFile(filepath.Join(dir, "input"))
	require.NoError(t, err)
	require.Contains(t, string(input), `{"zone":"example.org.","ds":["`)
	require.Contains(t, string(input), `"dnskey":["257 3 15 AAAAAAAA`)
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	require.NoError(t, err)
	require.Equal(t, "first example.org.\n", string(args))
	err = run("echo the registry is closed; exit 3")
	require.ErrorContains(t, err, "exit status 3: the registry is closed")
	err = run("yes | head -c 100000; exit 1")
	require.Error(t, err)
	require.Less(t, len(err.Error()), 5000)
	require.ErrorContains(t, (&Hook{}).Lodge(t.Context(), name(t, "example.org."), nil), "no command")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, (&Hook{Command: []string{"/bin/sh", "-c", "sleep 60"}}).Lodge(ctx, name(t, "example.org."), nil))
}

func ExampleHook() {
	key := dnssec.PublicKey{Flags: 257, Algorithm: dnssec.ED25519, Key: make([]byte, 32)}
	origin, _ := wire.ParseName("example.org")
	hook := Hook{Command: []string{"/bin/sh", "-c", "grep -q ED25519 && echo lodged || { echo not lodged; exit 1; }"}}
	fmt.Println(hook.Lodge(context.Background(), origin, []dnssec.PublicKey{key}))
	// Output:
	// parent: registrar of example.org.: /bin/sh -c grep -q ED25519 && echo lodged || { echo not lodged; exit 1; }: exit status 1: not lodged
}
