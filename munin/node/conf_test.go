package node

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestAllowLine(t *testing.T) {
	for text, want := range map[string]string{
		"2A00:1098:0:82:1000:0:39:1": "allow ^2a00:1098:0:82:1000:0:39:1$", "2001:0db8:0:0:0:0:0:1": "allow ^2001:db8::1$", "::1": "allow ^::1$",
		"192.0.2.1": `allow ^192\.0\.2\.1$`, "::ffff:192.0.2.1": `allow ^192\.0\.2\.1$`, "64:ff9b::192.0.2.1": "allow ^64:ff9b::c000:201$",
	} {
		line, err := AllowLine(netip.MustParseAddr(text))
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	for _, text := range []string{"::", "0.0.0.0", "fe80::1%eth0", "ff02::1", "224.0.0.1", "::1:0", "::192.0.2.1"} {
		_, err := AllowLine(netip.MustParseAddr(text))
		require.Error(t, err, text)
	}
	_, err := AllowLine(netip.Addr{})
	require.Error(t, err)
}

func TestMerge(t *testing.T) {
	conf := "log_level 4\n# mine\nallow ^127\\.0\\.0\\.1$\nhost *\nport 4949\nport 4950\n"
	merged, err := Conf{Masters: addrs("2001:db8::1", "192.0.2.1", "192.0.2.1")}.Merge([]byte(conf))
	require.NoError(t, err)
	require.Equal(t, "log_level 4\n# mine\nallow ^127\\.0\\.0\\.1$\n# berryrack: the masters\nallow ^192\\.0\\.2\\.1$\nallow ^2001:db8::1$\n# berryrack: end\nhost *\nport 4949\nport 4950\n", string(merged))
	merged, err = Conf{Masters: addrs("2001:db8::2"), Port: 4951, Host: netip.IPv6Unspecified(), HostName: "a.example.org"}.Merge(merged)
	require.NoError(t, err)
	require.Equal(t, "log_level 4\n# mine\nallow ^127\\.0\\.0\\.1$\n# berryrack: the masters\nallow ^2001:db8::2$\n# berryrack: end\nhost [::]\nport 4951\nhost_name a.example.org\n", string(merged), "a master that left is not let in any more")
	merged, err = Conf{Masters: addrs("::1")}.Merge([]byte("port 1"))
	require.NoError(t, err)
	require.Equal(t, "port 1\n# berryrack: the masters\nallow ^::1$\n# berryrack: end\n", string(merged))
}

func TestMergeRefuses(t *testing.T) {
	v6 := addrs("2001:db8::1")
	for want, test := range map[string]struct {
		conf Conf
		text string
	}{
		"no allow line":              {Conf{}, "allow ^::1$\n"},
		"without it":                 {Conf{Masters: addrs("fe80::1%eth0")}, ""},
		"munin-node.conf:2: \"port":  {Conf{Masters: v6}, "log_level 4\nport=4949\n"},
		"munin-node.conf:1: allow":   {Conf{Masters: v6}, "allow ::1\n"},
		"keeps the master":           {Conf{Masters: v6}, "deny ^2001:db8::.*$\n"},
		"cidr_deny: it keeps":        {Conf{Masters: v6}, "cidr_deny 2001:db8::/32\n"},
		"host_name \"a_b\"":          {Conf{Masters: v6, HostName: "a_b"}, ""},
		"host_name \"a\\nallow .*\"": {Conf{Masters: v6, HostName: "a\nallow .*"}, ""},
		"host fe80::1%eth0":          {Conf{Masters: v6, Host: netip.MustParseAddr("fe80::1%eth0")}, ""},
	} {
		merged, err := test.conf.Merge([]byte(test.text))
		require.ErrorContains(t, err, want)
		require.Nil(t, merged)
	}
	require.ErrorIs(t, CheckConf(nil), ErrNoAllow)
	_, err := Conf{}.AppendText(nil)
	require.ErrorIs(t, err, ErrNoAllow)
}

func TestWholeConf(t *testing.T) {
	text, err := Conf{Masters: addrs("2a00:1098:0:82:1000:0:39:1"), HostName: "pi1.example.org"}.AppendText(nil)
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile("testdata/munin-node.conf", text, 0o644))
	}
	want, err := os.ReadFile("testdata/munin-node.conf")
	require.NoError(t, err)
	require.Equal(t, string(want), string(text))
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte("allow ^::1$\nhost *\n"))
	f.Add([]byte("# berryrack: the masters\nallow x\n"))
	f.Add([]byte("deny (\nallow = ::1\r\n"))
	c := Conf{Masters: addrs("2001:db8::1"), Port: 4950}
	f.Fuzz(func(t *testing.T, text []byte) {
		merged, err := c.Merge(text)
		if err != nil {
			require.Nil(t, merged)
			return
		}
		again, err := c.Merge(merged)
		require.NoError(t, err)
		require.Equal(t, string(merged), string(again))
		require.Contains(t, "\n"+string(merged), "\nallow ^2001:db8::1$\n")
		require.NoError(t, checkConf(merged, false))
		require.Equal(t, 1, strings.Count("\n"+string(merged), "\nport 4950\n"))
	})
}

// TestCheckConfAllow looks at lines one by one; what is certain stops Merge too.
func TestCheckConfAllow(t *testing.T) {
	for value, test := range map[string]struct {
		want    string
		certain bool
	}{
		`^2001:db8::1$`:          {"", false},
		`^::1$`:                  {"", false},
		`^10\.0\.0\.1$`:          {"", false},
		`^2001:0db8::1$`:         {"no peer matches: write allow ^2001:db8::1$", true},
		`^2001:db8:0:0:0:0:0:1$`: {"no peer matches: write allow ^2001:db8::1$", true},
		`[2001:db8::1]`:          {"no peer matches: write allow ^2001:db8::1$", true},
		`^fe80::1%eth0$`:         {"without its zone", true},
		`2001:db8::/32`:          {"cidr_allow", true},
		`^10\.0\.0\.0/8$`:        {"cidr_allow", true},
		`^(`:                     {"missing closing )", true},
		`.*`:                     {"lets everyone in", true},
		`^.`:                     {"not checked", false},
		`^10\.0\.0\.1$|(x)`:      {"not checked", false},
		`^10\.0\.0\.\d+$`:        {"not checked", false},
		`^(?!10)`:                {"Perl syntax", false},
		`10.0.0.1`:               {`write allow ^10\.0\.0\.1$`, false},
		`2001:db8::1`:            {"write allow ^2001:db8::1$", false},
		`^0\.0\.0\.0$`:           {"no peer has such an address", true},
		`^master\.example\.org$`: {"not checked", false},
	} {
		conf := []byte("allow " + value + "\n")
		err := CheckConf(conf)
		if test.want == "" {
			require.NoError(t, err, value)
		} else {
			require.ErrorContains(t, err, test.want, value)
			require.ErrorContains(t, err, "munin-node.conf:1: allow: ", value)
		}
		require.Equal(t, test.certain, errors.Is(err, ErrNoAllow), value)
		_, err = Conf{Masters: []netip.Addr{netip.MustParseAddr("2001:db8::5")}}.Merge(conf)
		require.Equal(t, test.certain, err != nil, "%s: %v", value, err)
	}
}
