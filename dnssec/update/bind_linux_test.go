package update

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const bindSecret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="

// startBIND starts named with the zone example., and returns its address.
func startBIND(t *testing.T, text string) string {
	t.Helper()
	program := lab.Program(t, "named")
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := strings.Cut(listener.Addr().String(), ":")
	require.NoError(t, listener.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "zone"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "named.conf"), fmt.Appendf(nil, `key "k." { algorithm hmac-sha256; secret %q; };
options { directory %q; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; check-names primary ignore; };
controls {};
zone "example" { type primary; file "zone"; check-integrity no; allow-update { key "k."; }; allow-transfer { any; }; };
`, bindSecret, dir, port), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-g", "-c", filepath.Join(dir, "named.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	address := "127.0.0.1:" + port
	require.Eventually(t, func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("example.", dns.TypeSOA), address)
		return err == nil && len(reply.Answer) > 0
	}, 30*time.Second, 20*time.Millisecond)
	return address
}

// randomRecord is one of few, so that they meet.
func randomRecord(random *rand.Rand, class string, ttl int) string {
	name := []string{"example.", "a.example.", "b.example.", "c.a.example.", "alias.example."}[random.IntN(5)]
	data := []string{
		"A 192.0.2.1", "A 192.0.2.2", "TXT x", "TXT y", "CNAME a.example.", "CNAME b.example.", "NS ns.example.", "NS ns2.example.", "NS ns3.example.",
		"MX 10 A.example.", "DNAME a.example.", "AAAA 2001:db8::1",
	}[random.IntN(12)]
	if name == "example." && data == "DNAME a.example." {
		data = "TXT z" // BIND wants the names of the zone's servers to be seen
	}
	return fmt.Sprintf("%s %d %s %s", name, ttl, class, data)
}

// randomMessage is any update: prerequisites that mostly hold, and changes.
func randomMessage(random *rand.Rand) string {
	var b strings.Builder
	withoutData := func(class string) string {
		fields := strings.Fields(randomRecord(random, class, 0))
		if random.IntN(3) == 0 {
			fields[3] = "ANY"
		}
		return strings.Join(fields[:4], " ")
	}
	if random.IntN(3) == 0 {
		switch random.IntN(3) {
		case 0:
			b.WriteString(withoutData("ANY") + "\n")
		case 1:
			b.WriteString(withoutData("NONE") + "\n")
		default:
			b.WriteString(randomRecord(random, "IN", 0) + "\n")
		}
	}
	b.WriteString("-\n")
	for range 1 + random.IntN(4) {
		switch random.IntN(6) {
		case 0:
			b.WriteString(withoutData("ANY") + "\n")
		case 1:
			b.WriteString(randomRecord(random, "NONE", 0) + "\n")
		default:
			b.WriteString(randomRecord(random, "IN", 60+60*random.IntN(2)) + "\n")
		}
	}
	return b.String()
}

// withoutSOA is the records of the zone but for the first one.
func withoutSOA(t *testing.T, z *zone.Zone) string {
	t.Helper()
	return strings.Join(lines(t, z)[1:], "\n")
}

// TestBIND has named and Apply carry out the same updates: the response codes and
// the zones are the same.
func TestBIND(t *testing.T) {
	const text = base + "ns A 192.0.2.1\nns2 A 192.0.2.1\nns3 A 192.0.2.1\n" // BIND wants addresses of name servers
	address := startBIND(t, text)
	z := parse(t, text)
	random := rand.New(rand.NewPCG(1, 2))
	codes := map[int]int{}
	for i := range 400 {
		text := randomMessage(random)
		next, err := Apply(z, message(t, text), "k.", []Grant{{Key: "k."}})
		m := request(t, text)
		m.SetTsig("k.", dns.HmacSHA256, 300, time.Now().Unix())
		client := dns.Client{Net: "tcp", TsigSecret: map[string]string{"k.": bindSecret}}
		reply, _, exchangeErr := client.ExchangeContext(t.Context(), m, address)
		require.NoError(t, exchangeErr)
		require.Equal(t, dns.RcodeToString[reply.Rcode], dns.RcodeToString[Rcode(err)], "message %d: %v\n%s\n%s", i, err, text, withoutSOA(t, z))
		codes[reply.Rcode]++
		before := z
		if err == nil {
			z = next
		}
		transfer := new(dns.Transfer)
		envelopes, err := transfer.In(new(dns.Msg).SetAxfr("example."), address)
		require.NoError(t, err)
		theirs, _, err := zone.FromRecords(z.Origin, zone.Transferred(envelopes))
		require.NoError(t, err)
		require.Equal(t, withoutSOA(t, theirs), withoutSOA(t, z), "message %d:\n%s\nto\n%s", i, text, withoutSOA(t, before))
	}
	t.Log(codes)
	require.Greater(t, len(codes), 3)
}
