package nat64

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The octets are those of RFC 8781, section 4, by hand.
func TestPREF64(t *testing.T) {
	for _, test := range []struct {
		prefix   string
		lifetime time.Duration
		want     string
		read     time.Duration
	}{
		{"64:ff9b::/96", 0, "26020000" + "0064ff9b0000000000000000", 0},
		{"64:ff9b::/96", time.Second, "26020008" + "0064ff9b0000000000000000", 8 * time.Second},
		{"64:ff9b::/96", 1800 * time.Second, "26020708" + "0064ff9b0000000000000000", 1800 * time.Second},
		{"2001:db8:1:2::/64", 600 * time.Second, "26020259" + "20010db80001000200000000", 600 * time.Second},
		{"2001:db8:1:200::/56", 601 * time.Second, "26020262" + "20010db80001020000000000", 608 * time.Second},
		{"2001:db8:1::/48", 8 * time.Second, "2602000b" + "20010db80001000000000000", 8 * time.Second},
		{"2001:db8:100::/40", 9 * time.Second, "26020014" + "20010db80100000000000000", 16 * time.Second},
		{"2001:db8::/32", MaxPREF64Lifetime, "2602fffd" + "20010db80000000000000000", 65528 * time.Second},
	} {
		p := MustParsePrefix(test.prefix)
		option, err := p.PREF64(test.lifetime)
		require.NoError(t, err)
		require.Equal(t, test.want, hex.EncodeToString(option[:]), test.prefix)
		back, lifetime, err := ParsePREF64(option[:])
		require.NoError(t, err)
		require.Equal(t, p, back)
		require.Equal(t, test.read, lifetime)
	}
}

func TestPREF64Refused(t *testing.T) {
	p := WellKnown()
	_, err := p.PREF64(MaxPREF64Lifetime + 1)
	require.Error(t, err)
	_, err = p.PREF64(-time.Second)
	require.Error(t, err)
	_, err = Prefix{}.PREF64(time.Hour)
	require.ErrorIs(t, err, ErrNoPrefix)
	option, err := p.PREF64(time.Hour)
	require.NoError(t, err)
	for _, code := range []byte{6, 7} {
		bad := option
		bad[3] = bad[3]&^7 | code
		_, _, err = ParsePREF64(bad[:])
		require.ErrorContains(t, err, "length code")
	}
	_, _, err = ParsePREF64(option[:15])
	require.Error(t, err)
}

func FuzzParsePREF64(f *testing.F) {
	option, _ := WellKnown().PREF64(time.Hour)
	f.Add(option[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		p, lifetime, err := ParsePREF64(b)
		if err != nil {
			return
		}
		again, err := p.PREF64(lifetime)
		require.NoError(t, err)
		require.Equal(t, b[:4], again[:4])
	})
}
