package wire

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func parseName(t testing.TB, text string) Name {
	t.Helper()
	n, err := ParseName(text)
	require.NoError(t, err)
	return n
}

func TestNames(t *testing.T) {
	// RFC 4034 section 6.1.
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.", `\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i := range order {
		for j := range order {
			a, b := parseName(t, order[i]), parseName(t, order[j])
			require.Equal(t, i < j, a.Compare(b) < 0, "%s %s", order[i], order[j])
			require.Equal(t, i == j, a.Compare(b) == 0)
		}
	}
	n := parseName(t, `a.*.B\.c.example.`)
	require.Equal(t, `a.*.b\.c.example.`, n.String())
	require.Equal(t, 4, n.Labels())
	require.True(t, n.Parent().IsWildcard())
	require.Equal(t, parseName(t, "example."), n.Ancestor(1))
	require.Equal(t, Root, n.Ancestor(0))
	require.True(t, n.Under(Root))
	require.False(t, parseName(t, "notexample.").Under(parseName(t, "example.")))
	require.False(t, parseName(t, `x\.example.`).Under(parseName(t, "example.")))
	require.Equal(t, Name(""), Root.Parent())
	long := parseName(t, strings.Repeat(strings.Repeat("a", 62)+".", 4))
	require.Equal(t, Name(""), (Name("\x01b") + long).Wildcard())
	for _, bad := range []string{"", "..", "a..b", `a\`, `a\1`, strings.Repeat("a", 64), strings.Repeat("abcdefg.", 32)} {
		_, err := ParseName(bad)
		require.Error(t, err, bad)
	}
	for _, bad := range []string{"", "\x01", "\x40a", "\xc0\x00", strings.Repeat("\x01a", 128)} {
		_, _, err := NameFromWire([]byte(bad))
		require.Error(t, err, "%x", bad)
	}
}

func FuzzName(f *testing.F) {
	f.Add("a.b", `\065\.\000.*`)
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err := ParseName(a)
		if err != nil {
			return
		}
		again, err := ParseName(x.String())
		require.NoError(t, err)
		require.Equal(t, x, again)
		wire, rest, err := NameFromWire([]byte(string(x) + "rest"))
		require.NoError(t, err)
		require.Equal(t, x, wire)
		require.Equal(t, "rest", string(rest))
		y, err := ParseName(b)
		if err != nil {
			return
		}
		require.Equal(t, compareLabels(x, y), x.Compare(y))
	})
}

// compareLabels is canonical order told label by label.
func compareLabels(a, b Name) int {
	labels := func(n Name) (list []string) {
		for ; n != Root; n = n.Parent() {
			list = append(list, string(n[1:1+n[0]]))
		}
		slices.Reverse(list)
		return list
	}
	return slices.Compare(labels(a), labels(b))
}

// FuzzRDATA has package dns and this one read the same RDATA.
func FuzzRDATA(f *testing.F) {
	f.Add(uint16(dns.TypeMX), []byte("\x00\x01\x01A\x00"))
	f.Add(uint16(dns.TypeNSEC), []byte("\x01A\x00\x00\x01\x40"))
	f.Add(uint16(dns.TypeNAPTR), []byte("\x00\x01\x00\x01\x01u\x01s\x00\x01X\x00"))
	f.Fuzz(func(t *testing.T, number uint16, rdata []byte) {
		if !Type(number).IsData() || len(rdata) > 1000 || canonical(Type(number), rdata) != nil {
			return
		}
		text := AppendText(nil, Type(number), rdata)
		scanner := Scanner{Text: text}
		_, err := scanner.Next()
		require.NoError(t, err, "%s", text)
		reader := Reader{Words: scanner.Words, Origin: Root}
		again, err := reader.Append(nil, Type(number))
		require.NoError(t, err, "%s", text)
		require.Equal(t, rdata, again, "%s", text)
	})
}
