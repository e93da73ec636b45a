package zone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// randomZone has few names and values, so that two of them have much in common.
func randomZone(t *testing.T, random *rand.Rand, serial int) *Zone {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 300\n@ SOA ns host %d 7200 3600 604800 300\n@ RRSIG SOA 15 1 300 20300101000000 20200101000000 1 @ %02dAA\n@ NS ns\n", serial, serial)
	for range random.IntN(30) {
		name := fmt.Sprintf("n%d", random.IntN(12))
		switch random.IntN(5) {
		case 0:
			fmt.Fprintf(&b, "%s RRSIG A 15 2 300 20300101000000 20200101000000 1 @ %02dAA\n", name, random.IntN(4))
		case 1:
			fmt.Fprintf(&b, "h%d NSEC3 1 0 0 - 0123456789ABCDEFGHIJKLMNOPQRSTUV A\nh1 RRSIG NSEC3 15 2 300 20300101000000 20200101000000 1 @ %02dAA\n", random.IntN(3), random.IntN(4))
		case 2:
			fmt.Fprintf(&b, "%s %d TXT x\n", name, 300+random.IntN(2))
		default:
			fmt.Fprintf(&b, "%s A 192.0.2.%d\n", name, random.IntN(3))
		}
	}
	z, _, err := Parse([]byte(b.String()), "random", "\x07example\x00")
	require.NoError(t, err, b.String())
	return z
}

func TestDiffApply(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 0))
		from, to := randomZone(t, random, 1), randomZone(t, random, 2)
		before := text(t, from)
		d := Diff(from, to)
		got, err := from.Apply(d)
		require.NoError(t, err)
		require.Equal(t, text(t, to), text(t, got), "seed %d", seed)
		require.Equal(t, before, text(t, from), "the old zone stays")
		require.Len(t, slices.Collect(d.Records(from.Origin)), d.Len())
		_, err = to.Apply(d)
		require.ErrorContains(t, err, "another version")
		require.Equal(t, 2, Diff(to, got).Len())
	}
}

func TestDiffIsMinimal(t *testing.T) {
	parse := func(text string) *Zone {
		z, _, err := Parse([]byte("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"+text), "test", "\x07example\x00")
		require.NoError(t, err)
		return z
	}
	list := func(sets []Owned) (lines []string) {
		for _, s := range sets {
			lines = append(lines, strings.Split(strings.TrimSpace(string(s.AppendText(nil, s.Owner))), "\n")...)
		}
		return lines
	}
	d := Diff(parse("a A 192.0.2.1\na A 192.0.2.2\nb 60 TXT b\nc MX 1 x\n"), parse("a A 192.0.2.2\na A 192.0.2.3\nb 30 TXT b\nc MX 1 x\n"))
	require.Equal(t, []string{"a.example.\t60\tIN\tA\t192.0.2.1", "b.example.\t60\tIN\tTXT\t\"b\""}, list(d.Deleted))
	require.Equal(t, []string{"a.example.\t60\tIN\tA\t192.0.2.3", "b.example.\t30\tIN\tTXT\t\"b\""}, list(d.Added))
}

func TestEditorChecks(t *testing.T) {
	z, _, err := Parse([]byte("$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nwww A 192.0.2.1\n"), "test", "\x07example\x00")
	require.NoError(t, err)
	name := func(text string) wire.Name {
		n, err := wire.ParseName(text)
		require.NoError(t, err)
		return n
	}
	for _, tt := range []struct {
		change func(e *Editor)
		want   string
	}{
		{func(e *Editor) { e.RemoveSet(name("example."), wire.Type(dns.TypeNS)) }, "no NS record"},
		{func(e *Editor) { e.RemoveSet(name("example."), wire.Type(dns.TypeSOA)) }, "no SOA record"},
		{func(e *Editor) { e.Add(name("www.example."), wire.Type(dns.TypeCNAME), 60, []byte(name("a."))) }, "CNAME and other data"},
		{func(e *Editor) { e.Add(name("example.org."), wire.Type(dns.TypeTXT), 60, []byte("\x01x")) }, "out of zone"},
		{func(e *Editor) { e.Add(name("x.example."), wire.Type(dns.TypeANY), 60, nil) }, "no type of data"},
	} {
		e := z.Edit()
		tt.change(e)
		_, err := e.Zone()
		require.ErrorContains(t, err, tt.want)
	}
	e := z.Edit()
	require.False(t, e.Remove(name("no.example."), wire.Type(dns.TypeTXT), []byte("\x01x")))
	same, err := e.Zone()
	require.NoError(t, err)
	require.Equal(t, text(t, z), text(t, same))
}
