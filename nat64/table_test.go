package nat64

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func rule(ipv4, prefix string) Rule {
	r := Rule{IPv4: netip.MustParsePrefix(ipv4)}
	if prefix != "" {
		r.Prefix = MustParsePrefix(prefix)
	}
	return r
}

func TestTable(t *testing.T) {
	table, err := NewTable(
		rule("0.0.0.0/0", "64:ff9b::/96"),
		rule("10.0.0.0/8", "2001:db8:10::/96"),
		rule("10.9.0.0/16", ""),
		rule("10.9.9.0/24", "2001:db8:99::/64"),
	)
	require.NoError(t, err)
	for ipv4, want := range map[string]string{
		"8.8.8.8": "64:ff9b::808:808", "10.1.2.3": "2001:db8:10::a01:203", "10.9.9.1": "2001:db8:99:0:a:909:100::",
		"10.9.1.1": "", "192.168.1.1": "",
	} {
		got, err := table.Synthesize(addr(ipv4))
		if want == "" {
			require.Error(t, err, ipv4)
			continue
		}
		require.NoError(t, err, ipv4)
		require.Equal(t, addr(want), got)
		back, ok := table.Extract(got)
		require.True(t, ok)
		require.Equal(t, addr(ipv4), back)
	}
	_, ok := table.Extract(addr("64:ff9b::a01:203"))
	require.False(t, ok, "10.1.2.3 has a prefix of its own")
	_, ok = table.Extract(addr("2001:db8:10::a09:101"))
	require.False(t, ok, "10.9.1.1 is excluded")
	require.Equal(t, []Prefix{WellKnown(), MustParsePrefix("2001:db8:10::/96"), MustParsePrefix("2001:db8:99::/64")}, table.Prefixes())
}

func TestTableRefused(t *testing.T) {
	_, err := NewTable(rule("10.0.0.0/8", ""), rule("10.0.0.0/8", "64:ff9b::/96"), rule("10.0.0.1/8", ""), Rule{}, rule("2001:db8::/32", ""))
	require.ErrorContains(t, err, "10.0.0.0/8 has two rules")
	require.ErrorContains(t, err, "is it 10.0.0.0/8?")
	require.ErrorContains(t, err, "2001:db8::/32 is not an IPv4 range")
}

func TestTableZero(t *testing.T) {
	for _, table := range []*Table{nil, {}} {
		_, err := table.Synthesize(addr("8.8.8.8"))
		require.ErrorIs(t, err, ErrNoPrefix)
		_, ok := table.Extract(addr("64:ff9b::808:808"))
		require.False(t, ok)
		require.Empty(t, table.Prefixes())
	}
}
