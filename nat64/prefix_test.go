package nat64

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// The table of RFC 6052, section 2.4.
func TestPrefixRFC6052(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":           "2001:db8:c000:221::",
		"2001:db8:100::/40":       "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":       "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56":   "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64":   "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96":   "2001:db8:122:344::192.0.2.33",
		"64:ff9b:1:fffe::/96":     "64:ff9b:1:fffe::c000:221",
		"64:ff9b:1:ab:00cd::/96":  "64:ff9b:1:ab:cd::c000:221",
		"2001:0DB8:0122:0:0::/96": "2001:db8:122::c000:221",
	} {
		p, err := ParsePrefix(prefix)
		require.NoError(t, err)
		got, err := p.Synthesize(addr("192.0.2.33"))
		require.NoError(t, err)
		require.Equal(t, addr(want), got, prefix)
		back, ok := p.Extract(got)
		require.True(t, ok)
		require.Equal(t, addr("192.0.2.33"), back)
	}
}

func TestPrefixRefused(t *testing.T) {
	for prefix, want := range map[string]error{
		"64:ff9b::/32":               ErrWellKnown,
		"64:ff9b::/48":               ErrWellKnown,
		"64:ff9b::/64":               ErrWellKnown,
		"2001:db8:0:0:100::/96":      ErrReservedOctet,
		"2001:db8::/72":              ErrPrefixLength,
		"2001:db8::/80":              ErrPrefixLength,
		"2001:db8::/88":              ErrPrefixLength,
		"2001:db8::/128":             ErrPrefixLength,
		"2001:d00::/24":              ErrPrefixLength,
		"2001:db8::1/96":             nil,
		"::ffff:0:0/96":              nil,
		"::/96":                      nil,
		"ff02::/96":                  nil,
		"fe80::/64":                  nil,
		"fec0::/64":                  nil,
		"2002::/32":                  nil,
		"2001:0:808:808::/64":        nil,
		"10.0.0.0/8":                 nil,
		"2001:db8::":                 nil,
		"":                           nil,
		"2001:db8:64::192.0.2.33/96": nil,
	} {
		p, err := ParsePrefix(prefix)
		require.Error(t, err, prefix)
		require.Zero(t, p)
		if want != nil {
			require.ErrorIs(t, err, want, prefix)
		}
	}
}

func TestWellKnownCarriesGlobalOnly(t *testing.T) {
	for ipv4, want := range map[string]error{
		"8.8.8.8": nil, "192.0.0.170": nil, "192.0.0.171": nil, "192.0.0.9": nil, "100.128.0.1": nil, "172.32.0.1": nil,
		"198.20.0.1": nil, "223.255.255.255": nil, "192.31.196.1": nil,
		"0.0.0.0": ErrNotGlobal, "10.1.2.3": ErrNotGlobal, "100.64.0.1": ErrNotGlobal, "127.0.0.1": ErrNotGlobal,
		"169.254.169.254": ErrNotGlobal, "172.31.255.255": ErrNotGlobal, "192.0.0.1": ErrNotGlobal, "192.0.2.1": ErrNotGlobal,
		"192.88.99.1": ErrNotGlobal, "192.168.0.1": ErrNotGlobal, "198.19.0.1": ErrNotGlobal, "198.51.100.1": ErrNotGlobal,
		"203.0.113.1": ErrNotGlobal, "224.0.0.1": ErrNotGlobal, "240.0.0.1": ErrNotGlobal, "255.255.255.255": ErrNotGlobal,
		"::1": ErrNotIPv4,
	} {
		_, err := WellKnown().Synthesize(addr(ipv4))
		require.ErrorIs(t, err, want, ipv4)
	}
	_, err := Prefix{}.Synthesize(addr("8.8.8.8"))
	require.ErrorIs(t, err, ErrNoPrefix)
}

func TestExtract(t *testing.T) {
	p := MustParsePrefix("2001:db8:122::/48")
	got, ok := p.Extract(addr("2001:db8:122:c000:2:21ff:ffff:ffff"))
	require.True(t, ok, "the suffix is ignored")
	require.Equal(t, "192.0.2.33", got.String())
	got, ok = p.Extract(addr("2001:db8:122:c000:2:2100::%eth0"))
	require.True(t, ok, "a zone is ignored")
	require.Equal(t, "192.0.2.33", got.String())
	for _, foreign := range []string{"2001:db8:122:c000:102:2100::", "2001:db8:123:c000:2:2100::", "192.0.2.33", "::ffff:192.0.2.33"} {
		_, ok = p.Extract(addr(foreign))
		require.False(t, ok, foreign)
	}
	_, ok = Prefix{}.Extract(addr("::"))
	require.False(t, ok)
	_, ok = p.Extract(netip.Addr{})
	require.False(t, ok)
}

func TestChecksumNeutral(t *testing.T) {
	for prefix, want := range map[string]bool{"64:ff9b::/96": true, "64:ff9b:1:fffe::/96": true, "2001:db8:64::/96": false, "64:ff9b:1::/96": false} {
		require.Equal(t, want, MustParsePrefix(prefix).ChecksumNeutral(), prefix)
	}
	require.False(t, Prefix{}.ChecksumNeutral())
}

func TestPrefixText(t *testing.T) {
	p := MustParsePrefix("2001:0db8:0:0::/64")
	text, err := p.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "2001:db8::/64", string(text))
	var back Prefix
	require.NoError(t, back.UnmarshalText(text))
	require.Equal(t, p, back)
	require.Error(t, back.UnmarshalText([]byte("2001:db8::/65")))
	require.Equal(t, p, back, "bad input changes nothing")
	require.NoError(t, back.UnmarshalText(nil))
	require.Zero(t, back)
}

func FuzzPrefix(f *testing.F) {
	f.Add("2001:db8::/40", []byte{192, 0, 2, 33}, []byte("a foreign addres"))
	f.Add("64:ff9b::/96", []byte{8, 8, 8, 8}, []byte{0, 0x64, 0xff, 0x9b, 15: 1})
	f.Fuzz(func(t *testing.T, text string, v4, v6 []byte) {
		p, err := ParsePrefix(text)
		if err != nil {
			require.Zero(t, p)
			return
		}
		if ipv4, ok := netip.AddrFromSlice(v4); ok && ipv4.Is4() {
			if ipv6, err := p.Synthesize(ipv4); err == nil {
				back, ok := p.Extract(ipv6)
				require.True(t, ok)
				require.Equal(t, ipv4, back)
				require.True(t, p.Prefix().Contains(ipv6))
			}
		}
		if ipv6, ok := netip.AddrFromSlice(v6); ok && ipv6.Is6() {
			ipv4, ok := p.Extract(ipv6)
			require.Equal(t, p.Prefix().Contains(ipv6) && v6[8] == 0, ok, "a foreign address is never extracted")
			if again, err := p.Synthesize(ipv4); ok && err == nil {
				require.True(t, p.Prefix().Contains(again))
			}
		}
		parsed, err := ParsePrefix(p.String())
		require.NoError(t, err)
		require.Equal(t, p, parsed)
	})
}

func TestSynthesizeDoesNotAllocate(t *testing.T) {
	p, v4 := MustParsePrefix("2001:db8::/40"), addr("192.0.2.33")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		v6, _ := p.Synthesize(v4)
		_, _ = p.Extract(v6)
	}))
}

func BenchmarkSynthesize(b *testing.B) {
	for _, text := range []string{"64:ff9b::/96", "2001:db8:64::/96", "2001:db8::/40"} {
		p, v4 := MustParsePrefix(text), addr("8.8.8.8")
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Synthesize(v4)
			}
		})
	}
}

func BenchmarkExtract(b *testing.B) {
	p := MustParsePrefix("2001:db8::/40")
	v6, _ := p.Synthesize(addr("8.8.8.8"))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Extract(v6)
	}
}
