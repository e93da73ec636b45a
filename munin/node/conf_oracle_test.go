package node

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/munin/internal/oracle"
)

func admits(t *testing.T, o *oracle.Oracle, peer, conf string) bool {
	t.Helper()
	var answer struct{ Admitted bool }
	o.Ask(t, "allow", []byte(peer+"\n"+conf), &answer)
	return answer.Admitted
}

// TestAllowLineAsNetServer lets Net::Server decide about peers, whose addresses
// the C library wrote.
func TestAllowLineAsNetServer(t *testing.T) {
	o := startOracle(t)
	random := rand.New(rand.NewPCG(3, 4))
	var previous string
	for i := range 3000 {
		ip := randomAddr(random, i)
		line, err := AllowLine(ip)
		if err != nil {
			require.True(t, ip.IsUnspecified() || ip.IsMulticast() || isIPv4Compatible(ip) || ip.Unmap() != ip, "%v: %v", ip, err)
			continue
		}
		peer := ntop(t, o, ip)
		require.True(t, admits(t, o, peer, line+"\n"), "%s: %s", peer, line)
		if previous != "" && previous != peer {
			require.False(t, admits(t, o, previous, line+"\n"), "%s: %s", previous, line)
		}
		previous = peer
	}
}

// ntop is the address as the C library writes it.
func ntop(t *testing.T, o *oracle.Oracle, ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	raw := ip.As16()
	var answer struct{ Text string }
	o.Ask(t, "ntop", raw[:], &answer)
	return answer.Text
}

func randomAddr(random *rand.Rand, i int) netip.Addr {
	if i%4 == 0 {
		return netip.AddrFrom4([4]byte{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})
	}
	var b [16]byte
	for j := range b {
		if random.IntN(3) > 0 { // many zeros, so that there is much to compress
			continue
		}
		b[j] = byte(random.Uint32())
	}
	return netip.AddrFrom16(b)
}

// TestTrapsAsNetServer shows that each line which CheckConf refuses does not do
// what it says.
func TestTrapsAsNetServer(t *testing.T) {
	o := startOracle(t)
	for _, test := range []struct {
		line, peer string
		admitted   bool // by Net::Server
		accepted   bool // by us
	}{
		{"allow ^::1$", "::1", true, true},
		{"allow ^127\\.0\\.0\\.1$", "127.0.0.1", true, true},
		{"allow ::1", "::1", false, false},
		{"allow 2001:db8::1", "2001:db8::1", true, true},
		{"allow ^2001:DB8::1$", "2001:db8::1", false, false},
		{"allow ^::1$ ", "::1", false, false},
		{"allow ^::1$\r", "::1", false, false},
		{`allow ^10\.0\.0\.1|10\.0\.0\.2$`, "10.0.0.100", true, false},
		{`allow ^10\.0\.0\.1|10\.0\.0\.2$`, "110.0.0.2", true, false},
		{"allow ^::ffff:192\\.0\\.2\\.1$", "::ffff:192.0.2.1", false, false},
		{"allow ^192\\.0\\.2\\.1$", "::ffff:192.0.2.1", true, true},
		{"cidr_allow ::1/128", "::1", false, false},
		{"cidr_allow = ::1/128", "::1", true, true},
		{"cidr_allow 192.0.2.0/24", "192.0.2.7", true, true},
		{"cidr_allow 192.0.2.1", "192.0.2.1", false, false},
		{"", "2001:db8::bad", true, false}, // nothing said: everyone
	} {
		name := fmt.Sprintf("%q for %s", test.line, test.peer)
		require.Equal(t, test.admitted, admits(t, o, test.peer, test.line+"\n"), name)
		err := checkConf([]byte(test.line+"\n"), false)
		require.Equal(t, test.accepted, err == nil, "%s: %v", name, err)
	}
}

// TestMergeAsMunin lets Debian's own file be merged, and both of its readers
// judge the result.
func TestMergeAsMunin(t *testing.T) {
	o := startOracle(t)
	debian, err := os.ReadFile("/etc/munin/munin-node.conf")
	require.NoError(t, err)
	c := Conf{Masters: []netip.Addr{netip.MustParseAddr("2001:db8::5"), netip.MustParseAddr("192.0.2.5")}, Host: netip.IPv6Unspecified(), Port: 14949, HostName: "fenrir.example.org"}
	whole, err := c.AppendText(nil)
	require.NoError(t, err)
	for name, text := range map[string][]byte{"Debian's": debian, "ours": whole, "CRLF": []byte("log_level 4\r\nhost *\r\n")} {
		merged, err := c.Merge(text)
		require.NoError(t, err, name)
		again, err := c.Merge(merged)
		require.NoError(t, err)
		require.Equal(t, string(merged), string(again), "a second merge changes nothing")
		for peer, want := range map[string]bool{"2001:db8::5": true, "192.0.2.5": true, "2001:db8::6": false, "192.0.2.50": false, "2001:db8::50": false} {
			require.Equal(t, want, admits(t, o, peer, string(merged)), "%s: %s", name, peer)
		}
		var answer struct{ Refused bool }
		o.Ask(t, "nodeconf", merged, &answer)
		require.False(t, answer.Refused, "%s: %s", name, merged)
		for line := range strings.Lines(string(debian)) {
			if name == "Debian's" && !strings.HasPrefix(line, "host ") && !strings.HasPrefix(line, "port ") {
				require.Contains(t, string(merged), line)
			}
		}
	}
}

// TestNodeLinesAsMunin compares what we call malformed with what munin-node dies of.
func TestNodeLinesAsMunin(t *testing.T) {
	o := startOracle(t)
	for _, line := range []string{"port 4949", "port", "port=4949", "a-b c", "#x", "", "  x y", "x y # z", "x\ty", "env.a b", "allow=^::1$", "allow = ^::1$", "x \\#", "\xa0x y"} {
		var answer struct{ Refused bool }
		o.Ask(t, "nodeconf", []byte(line+"\n"), &answer)
		err := CheckConf([]byte("allow ^::1$\n" + line + "\n"))
		require.Equal(t, answer.Refused, err != nil, "%q: %v", line, err)
	}
}
