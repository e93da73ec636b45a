package render

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

type renderer interface{ Render() (string, error) }

func table(t testing.TB, rules ...string) *nat64.Table {
	t.Helper()
	var all []nat64.Rule
	for _, text := range rules {
		ipv4, prefix, _ := strings.Cut(text, " ")
		rule := nat64.Rule{IPv4: netip.MustParsePrefix(ipv4)}
		require.NoError(t, rule.Prefix.UnmarshalText([]byte(prefix)))
		all = append(all, rule)
	}
	table, err := nat64.NewTable(all...)
	require.NoError(t, err)
	return table
}

func one() *nat64.Table { return nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96")) }

func ranges(t testing.TB) *nat64.Table {
	return table(t, "0.0.0.0/0 64:ff9b::/96", "10.0.0.0/8 2001:db8:10::/64", "10.9.0.0/16", "10.9.9.0/24 2001:db8:10::/64")
}

func cases(t testing.TB) map[string]renderer {
	return map[string]renderer{
		"tayga":          TAYGA{Table: one()},
		"tayga-wkp":      TAYGA{Version: Version{0, 9, 5}, Table: nat64.TableOf(nat64.WellKnown()), IPv6: netip.MustParseAddr("2001:db8::64"), CarryPrivate: true, Pool: netip.MustParsePrefix("10.64.0.0/16")},
		"jool":           Jool{Table: one()},
		"jool-pool4":     Jool{Table: one(), Instance: "rack", Pool4: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}},
		"unbound":        Unbound{Table: one(), Validate: true, IgnoreAAAA: []string{"broken.example"}},
		"unbound-1.19":   Unbound{Version: Version{1, 19, 0}, Table: one(), ReachIPv4: true},
		"bind":           BIND{Table: one()},
		"bind-ranges":    BIND{Table: ranges(t), Clients: []netip.Prefix{netip.MustParsePrefix("2001:db8:c::/48")}, Exclude: []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/96"), netip.MustParsePrefix("2001:db8:bad::/48")}, BreakDNSSEC: true},
		"radvd":          Radvd{Version: Version{2, 20, 0}, Interface: "eth0", Prefixes: []nat64.Prefix{nat64.WellKnown(), nat64.MustParsePrefix("2001:db8:64::/96")}},
		"radvd-interval": Radvd{Version: Version{2, 20, 0}, Interface: "eth0", Prefixes: []nat64.Prefix{nat64.WellKnown()}, MaxInterval: 30 * time.Second, Lifetime: 10 * time.Minute},
	}
}

func TestGolden(t *testing.T) {
	for name, c := range cases(t) {
		text, err := c.Render()
		require.NoError(t, err, name)
		path := filepath.Join("testdata", name+".golden")
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), text, name)
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		renderer
		want []string
	}{
		{TAYGA{Table: ranges(t)}, []string{"TAYGA 0.9.2: it has one prefix"}},
		{TAYGA{Table: nat64.TableOf(nat64.WellKnown()), CarryPrivate: true}, []string{"needs 0.9.4", "needs an IPv6 address of its own"}},
		{TAYGA{Table: one(), Pool: netip.MustParsePrefix("192.0.2.0/30"), IPv6: netip.MustParseAddr("2001:db8:64::1")}, []string{"not an IPv4 pool", "must be outside"}},
		{TAYGA{Version: Version{0, 9, 4}, Table: one(), CarryPrivate: true}, []string{"leave CarryPrivate out"}},
		{TAYGA{}, []string{"no prefix is given"}},
		{Jool{Table: ranges(t), Version: Version{3, 5, 0}, Instance: "a-name-that-is-long"}, []string{"need version 4", "one prefix", "longer than 15"}},
		{Unbound{Table: ranges(t), ReachIPv4: true, IgnoreAAAA: []string{"a\"b"}}, []string{"unbound 1.17.1: it has one prefix", "do-nat64 needs 1.18", "not a DNS name"}},
		{Unbound{Table: table(t, "10.0.0.0/8 2001:db8:10::/64")}, []string{"not ranges"}},
		{BIND{}, []string{"no prefix"}},
		{BIND{Version: Version{9, 7, 0}, Table: one()}, []string{"needs 9.8"}},
		{Radvd{Interface: "eth0", Prefixes: []nat64.Prefix{nat64.WellKnown()}}, []string{"radvd 2.19.0", "needs 2.20"}},
		{Radvd{Version: Version{2, 20, 0}, Interface: "a b", Lifetime: time.Minute}, []string{"not an interface", "no prefix", "lifetime 1m0s"}},
	} {
		text, err := test.Render()
		require.Empty(t, text)
		for _, want := range test.want {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{"1.17.1-2+deb12u4": {1, 17, 1}, "9.18": {9, 18, 0}, "2.20": {2, 20, 0}, "0.9.2-8": {0, 9, 2}} {
		got, err := ParseVersion(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := ParseVersion("new")
	require.Error(t, err)
}

func TestJoolIsJSON(t *testing.T) {
	text, err := cases(t)["jool-pool4"].Render()
	require.NoError(t, err)
	var file joolFile
	require.NoError(t, json.Unmarshal([]byte(text), &file))
	require.Equal(t, "2001:db8:64::/96", file.Global.Pool6)
}

func ExampleBIND() {
	table, _ := nat64.NewTable(
		nat64.Rule{IPv4: netip.MustParsePrefix("0.0.0.0/0"), Prefix: nat64.WellKnown()},
		nat64.Rule{IPv4: netip.MustParsePrefix("10.0.0.0/8"), Prefix: nat64.MustParsePrefix("2001:db8:10::/96")},
	)
	text, err := BIND{Table: table}.Render()
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(text)
	// Output:
	// dns64 64:ff9b::/96 {
	//     mapped { !10.0.0.0/8; 0.0.0.0/0; };
	// };
	// dns64 2001:db8:10::/96 {
	//     mapped { 10.0.0.0/8; !0.0.0.0/0; };
	// };
}
