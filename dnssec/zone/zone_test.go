package zone

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func parseName(t testing.TB, text string) wire.Name {
	t.Helper()
	n, err := wire.ParseName(text)
	require.NoError(t, err)
	return n
}

func text(t testing.TB, z *Zone) string {
	t.Helper()
	var b strings.Builder
	_, err := z.WriteTo(&b)
	require.NoError(t, err)
	return b.String()
}

// parseText returns the zone example. as text, without the apex that it is given.
func parseText(t testing.TB, entries string) (string, []*Problem, error) {
	t.Helper()
	z, warnings, err := Parse([]byte("$TTL 1h\n@ SOA ns host 1 2 3 4 5\n@ NS ns.example.net.\n"+entries), "test", parseName(t, "example."))
	if err != nil {
		return "", warnings, err
	}
	_, rest, _ := strings.Cut(text(t, z), "NS\tns.example.net.\n")
	return rest, warnings, nil
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, out string }{
		{"a A 192.0.2.1", "a.example.\t3600\tIN\tA\t192.0.2.1\n"},
		{"a 60 IN A 192.0.2.1\n  IN 1h1m AAAA 2001:DB8:0::1", "a.example.\t60\tIN\tA\t192.0.2.1\na.example.\t3660\tIN\tAAAA\t2001:db8::1\n"},
		{"@ MX 10 Mail", "example.\t3600\tIN\tMX\t10 mail.example.\n"},
		{`\065b TXT "a b" c\"d ( "e" ; comment` + "\n   f )", "ab.example.\t3600\tIN\tTXT\t\"a b\" \"c\\\"d\" \"e\" \"f\"\n"},
		{"t TXT a\\;b \"\\010\"", "t.example.\t3600\tIN\tTXT\t\"a;b\" \"\\010\"\n"},
		{"$ORIGIN sub\nx SRV 1 2 3 Y", "x.sub.example.\t3600\tIN\tSRV\t1 2 3 y.sub.example.\n"},
		{"$TTL 5\nx A 1.2.3.4\n$TTL 6\n  A 1.2.3.5", "x.example.\t5\tIN\tA\t1.2.3.4\nx.example.\t5\tIN\tA\t1.2.3.5\n"},
		{"x TYPE65535 \\# 3 ab cd ef", "x.example.\t3600\tIN\tTYPE65535\t\\# 3 abcdef\n"},
		{"x TYPE1 \\# 4 C0000201", "x.example.\t3600\tIN\tA\t192.0.2.1\n"},
		{"x HTTPS 1 . alpn=h2", "x.example.\t3600\tIN\tHTTPS\t1 . alpn=\"h2\"\n"},
		{"x SVCB 1 Foo.example.", "x.example.\t3600\tIN\tSVCB\t1 Foo.example.\n"},
		{"x NSEC3PARAM 1 0 0 -", "x.example.\t3600\tIN\tNSEC3PARAM\t1 0 0 -\n"},
		{"x NSEC b TXT A RRSIG", "x.example.\t3600\tIN\tNSEC\tb.example. A TXT RRSIG\n"},
		{"x NXT B \\# 0", ""},
		{"x CAA 0 issue \"ca;x\"", "x.example.\t3600\tIN\tCAA\t0 issue \"ca;x\"\n"},
		{"x DNSKEY 256 3 ECDSAP256SHA256 AA==", "x.example.\t3600\tIN\tDNSKEY\t256 3 13 AA==\n"},
		{"x RRSIG A 13 2 3600 20300101000000 1 7 Example. AAAA\nx A 1.2.3.4", "x.example.\t3600\tIN\tA\t1.2.3.4\nx.example.\t3600\tIN\tRRSIG\tA 13 2 3600 20300101000000 19700101000001 7 example. AAAA\n"},
		{"x LOC 52 22 23 N 4 53 32 E -2m", "x.example.\t3600\tIN\tLOC\t52 22 23.000 N 04 53 32.000 E -2m 1m 10000m 10m\n"},
		{"x TYPE38 \\# 3 7800 00", ""},
		{"x AMTRELAY 10 1 3 relay", "x.example.\t3600\tIN\tAMTRELAY\t\\# 17 0a830572656c6179076578616d706c6500\n"},
		{"$GENERATE 1-2 h$ A 192.0.2.$", "h1.example.\t3600\tIN\tA\t192.0.2.1\nh2.example.\t3600\tIN\tA\t192.0.2.2\n"},
		{"$TTL 5\n$GENERATE 1-1 h$ A 192.0.2.$\n$GENERATE 1-1 i$ 6 IN TXT b$", "h1.example.\t5\tIN\tA\t192.0.2.1\ni1.example.\t6\tIN\tTXT\t\"b1\"\n"},
		{"$GENERATE 1-1 h$ MX \"1 m$\"", "h1.example.\t3600\tIN\tMX\t1 m1.example.\n"},
		{"$GENERATE 1-1 h$ TXT \"\\\"a $\\\" $\"", "h1.example.\t3600\tIN\tTXT\t\"a 1\" \"1\"\n"},
		{"x A 1.2.3.4\n$GENERATE 1-1 h$ A 192.0.2.$\n A 1.2.3.5", "h1.example.\t3600\tIN\tA\t192.0.2.1\nx.example.\t3600\tIN\tA\t1.2.3.4\nx.example.\t3600\tIN\tA\t1.2.3.5\n"},
		{"a\\.b.c A 1.2.3.4\r", "a\\.b.c.example.\t3600\tIN\tA\t1.2.3.4\n"},
	} {
		out, warnings, err := parseText(t, tt.in)
		if tt.out == "" {
			continue
		}
		require.NoError(t, err, tt.in)
		require.Equal(t, tt.out, out, tt.in)
		for _, warning := range warnings {
			require.Contains(t, warning.Text, "TTLs of the set differ")
		}
		again, _, err := parseText(t, out)
		require.NoError(t, err)
		require.Equal(t, out, again)
	}
}

func TestErrorsComeAtOnce(t *testing.T) {
	in := strings.Join([]string{
		"a A 192.0.2.300", "b AAAA 192.0.2.1", "c BOGUS x", "d A", "e A 1.2.3.4 5", "f TXT " + strings.Repeat("x", 256), "g TXT \"open",
		"h CH TXT x", "i 1x A 1.2.3.4", "j. A 1.2.3.4", "k CNAME x", "k A 1.2.3.4", "l CNAME x", "l CNAME y", "m SOA a b 1 2 3 4 5",
		"a..b A 1.2.3.4", strings.Repeat("x", 64) + " A 1.2.3.4", "n\\256 A 1.2.3.4", "o DS 1 2 3 zz", "$NONSENSE x", "$INCLUDE x", "p A 1.2.3.4 )", "q ANY x", "s DS 1 15 2 00",
	}, "\n")
	_, _, err := parseText(t, in+"\nr TXT (\n")
	for i, want := range []string{
		`"192.0.2.300" is no IPv4 address`, `"192.0.2.1" is no IPv6 address`, `unknown type "BOGUS"`, "ends too early", `"5" is too much`, "longer than 255 octets", "quote is not closed",
		"class CH is not IN", `bad TTL "1x"`, "out of zone example.", "CNAME and other data: A", "", "2 records, at most one", "", "not at the zone's origin",
		"empty label", "label longer than 63", "bad escape", "invalid byte", "unknown directive", "$INCLUDE is only for", "without an opening one", `unknown type "ANY"`, "digest of type 2 has 1 octets, not 32", "parenthesis is not closed",
	} {
		if want != "" {
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, fmt.Sprintf("test:%d: ", i+4), want)
		}
	}
	var problem *Problem
	require.ErrorAs(t, err, &problem)
	_, _, err = Parse([]byte("$TTL 1\n"), "empty", wire.Root)
	require.ErrorContains(t, err, "no SOA record at the zone's origin")
	require.ErrorContains(t, err, "no NS record at the zone's origin")
	_, _, err = parseText(t, "@ SOA ns host 2 2 3 4 5\n")
	require.ErrorContains(t, err, "2 SOA records")
	_, _, err = parseText(t, strings.Repeat("x BOGUS\n", maxProblems+7))
	require.ErrorContains(t, err, "7 more problems")
}

func TestWarnings(t *testing.T) {
	for in, want := range map[string]string{
		"a A 1.2.3.4\na A 1.2.3.4":     "test:5: a.example. A: duplicate record is dropped",
		"a NS X\na NS x":               "duplicate record is dropped",
		"a 5 A 1.2.3.4\na 6 A 1.2.3.5": "TTLs of the set differ: 5 is used",
		"a NS ns.a":                    "test:4: a.example. NS: name server ns.a.example. has no address: missing glue",
		"a NS ns.b\nx.a TXT x":         "test:5: x.a.example. TXT: occluded by a.example.",
		"a DNAME b\nx.a A 1.2.3.4":     "x.a.example. A: occluded by a.example.",
		"a 5 A 1.2.3.4\na 6 RRSIG A 13 2 5 1 1 7 example. AA=": "TTL 6 is not that of the set",
		"*.a NS ns.example.net.":                               "name servers of a wildcard",
	} {
		_, warnings, err := parseText(t, strings.Replace(in, "AA=", "AAAA", 1))
		require.NoError(t, err, in)
		require.Contains(t, fmt.Sprint(warnings), want, in)
	}
	_, warnings, err := parseText(t, "a NS ns.a\nns.a A 1.2.3.4\nb NS ns.a\n")
	require.NoError(t, err)
	require.Empty(t, warnings)
}

func TestTTLIsInherited(t *testing.T) {
	z, warnings, err := Parse([]byte("@ SOA ns host 1 2 3 4 77\n@ NS ns.example.net.\na 5 A 1.2.3.4\nb A 1.2.3.5\n"), "test", parseName(t, "example."))
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(warnings), "the minimum of the SOA record is used")
	require.Contains(t, text(t, z), "example.\t77\tIN\tNS")
	require.Contains(t, text(t, z), "b.example.\t5\tIN\tA")
	_, _, err = Parse([]byte("@ NS ns.example.net.\n@ SOA ns host 1 2 3 4 77\n"), "test", parseName(t, "example."))
	require.ErrorContains(t, err, "test:1: example. NS: no TTL")
}

// TestChunks cuts a file with all that reaches over lines into chunks of every
// size, and reads the same from each.
func TestChunks(t *testing.T) {
	var in strings.Builder
	in.WriteString("@ 5 SOA ns host 1 2 3 4 5\n NS ns.example.net.\n")
	for i := range 40 {
		fmt.Fprintf(&in, "h%d TXT ( \"a ; (\"\nb ; (\n \\( )\n\tA 192.0.2.1 ; \" (\n$GENERATE 1-1 g%d-$ A 192.0.2.3\nw%d %d A 192.0.2.2\n", i, i, i, 100+i)
		if i%10 == 5 {
			fmt.Fprintf(&in, "$ORIGIN o%d.example.\n\tMX 1 x\n", i)
		}
		if i == 33 {
			in.WriteString("$TTL 9\n")
		}
	}
	read := func(size int) string {
		chunks := split([]byte(in.String()), size, parser{zone: parseName(t, "example."), origin: parseName(t, "example."), file: "test"})
		var batches []*batch
		for i := range chunks {
			chunks[i].parser.parse(chunks[i].text, chunks[i].line)
			batches = append(batches, &chunks[i].parser.batch)
		}
		z, warnings, err := assemble(parseName(t, "example."), batches)
		require.NoError(t, err)
		require.Empty(t, warnings)
		if size < 100 {
			require.Greater(t, len(chunks), 10)
		}
		return text(t, z)
	}
	want := read(1 << 20)
	for size := range 100 {
		require.Equal(t, want, read(size), size)
	}
}

func TestInclude(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("sub", "a A 1.2.3.4\n$ORIGIN other.example.\nb A 1.2.3.4\n")
	main := write("main", "$TTL 5\n@ SOA ns host 1 2 3 4 5\n@ NS ns.example.net.\nx A 1.2.3.4\n$INCLUDE sub sub.example.\n  AAAA ::1\ny A 1.2.3.4\n")
	z, _, err := ReadFile(main, parseName(t, "example."))
	require.NoError(t, err)
	for _, want := range []string{"a.sub.example.\t", "b.other.example.\t", "x.example.\t5\tIN\tAAAA", "y.example.\t"} {
		require.Contains(t, text(t, z), want)
	}
	write("sub", "$INCLUDE sub\n")
	_, _, err = ReadFile(main, parseName(t, "example."))
	require.ErrorContains(t, err, "deeper than 10 files")
	write("sub", "a BOGUS\n")
	_, _, err = ReadFile(main, parseName(t, "example."))
	require.ErrorContains(t, err, filepath.Join(dir, "sub")+":1:")
	write("main", "$INCLUDE ../../etc/passwd\n")
	_, _, err = ReadFile(main, parseName(t, "example."))
	require.ErrorContains(t, err, `$INCLUDE "../../etc/passwd" leads out of the directory of the zone file`)
}

// A $TTL of an included file holds for what follows, on however many cores that
// is parsed.
func TestIncludedTTL(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub"), []byte("$TTL 77\n"), 0o600))
	in := "$TTL 5\n@ SOA ns host 1 2 3 4 5\n@ NS ns.example.net.\n$include sub\n" + strings.Repeat("x A 1.2.3.4\ny A 1.2.3.4\n", 50)
	start := parser{zone: parseName(t, "example."), origin: parseName(t, "example."), file: "test", files: os.DirFS(dir)}
	for _, size := range []int{1, 100, 1 << 20} {
		var batches []*batch
		chunks := split([]byte(in), size, start)
		for i := range chunks {
			chunks[i].parser.parse(chunks[i].text, chunks[i].line)
			batches = append(batches, &chunks[i].parser.batch)
		}
		z, _, err := assemble(start.zone, batches)
		require.NoError(t, err)
		require.Equal(t, uint32(77), z.Names.Find(parseName(t, "y.example.")).Sets[0].TTL, size)
	}
}

func TestRecords(t *testing.T) {
	z, _, err := Parse([]byte("$TTL 5\n@ SOA ns host 1 2 3 4 5\n@ NS ns.example.net.\nx TXT a\nx HTTPS 1 . port=1\n*.x TYPE999 \\# 1 aa\n"), "test", parseName(t, "example."))
	require.NoError(t, err)
	list := slices.Collect(z.Records())
	require.Len(t, list, 5)
	closed := func(soas int) <-chan *dns.Envelope {
		envelopes := make(chan *dns.Envelope, 2)
		envelopes <- &dns.Envelope{RR: list}
		envelopes <- &dns.Envelope{RR: list[:soas]}
		close(envelopes)
		return envelopes
	}
	again, _, err := FromRecords(z.Origin, Transferred(closed(1)))
	require.NoError(t, err)
	require.Equal(t, text(t, z), text(t, again))
	_, _, err = FromRecords(z.Origin, Transferred(closed(0)))
	require.ErrorContains(t, err, "before its closing SOA record")
	failed := make(chan *dns.Envelope, 1)
	failed <- &dns.Envelope{Error: errors.New("connection reset")}
	close(failed)
	_, _, err = FromRecords(z.Origin, Transferred(failed))
	require.ErrorContains(t, err, "connection reset")
	_, _, err = FromRecords(z.Origin, func(yield func(dns.RR, error) bool) { yield(nil, nil) })
	require.ErrorContains(t, err, "no record")
}

func TestReplace(t *testing.T) {
	var nodes []Node
	for i := range 1000 {
		nodes = append(nodes, MakeNode(parseName(t, fmt.Sprintf("n%04d.", i)), []RRset{{Type: 1}}))
	}
	list := MakeNodes(nodes)
	changed := list.Replace([]int{3, 4, 999}, [][]RRset{{{Type: 2}}, {{Type: 3}}, {{Type: 4}}})
	require.Equal(t, wire.Type(1), list.At(3).Sets[0].Type)
	for i, node := range changed.All() {
		want := map[int]wire.Type{3: 2, 4: 3, 999: 4}[i]
		require.Equal(t, max(want, 1), node.Sets[0].Type)
	}
	require.Equal(t, changed.At(4), changed.Find(parseName(t, "N0004")))
	require.Nil(t, changed.Find(parseName(t, "n0004a")))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a A 192.0.2.1", "\\065b TXT \"a b\" c\\\"d ( \"e\"\n f )", "$ORIGIN x\n$TTL 1h30m\n@ MX 1 a\n b", "a TYPE65535 \\# 3 abcdef",
		"x HTTPS 1 . alpn=h2 ipv4hint=1.2.3.4", "x NSEC3 1 1 12 aabb 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A", "x RRSIG A 13 2 5 20300101000000 1 7 e. AAAA",
		"x LOC 52 22 23 N 4 53 32 E -2m", "x APL 1:192.0.2.0/24", "x IPSECKEY 10 3 2 gw AAAA", "$GENERATE 1-3 a$ A 1.2.3.$", "x TYPE38 \\# 2 8000", "x URI 1 2 \"\"", "x CAA 0 \\032 x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, _, err := parseText(t, in)
		if err != nil {
			return
		}
		again, _, err := parseText(t, out)
		require.NoError(t, err, out)
		require.Equal(t, out, again)
	})
}

func ExampleParse() {
	origin, _ := wire.ParseName("example.org")
	_, warnings, err := Parse([]byte(`
$TTL 3600
@    SOA  ns hostmaster 1 7200 3600 604800 300
@    NS   ns
www  A    192.0.2.300
www  MX   mail.example.org.
`), "example.org.zone", origin)
	fmt.Println(len(warnings), "warnings")
	fmt.Println(err)
	// Output:
	// 0 warnings
	// zone: example.org.zone:5: www.example.org. A: "192.0.2.300" is no IPv4 address
	// zone: example.org.zone:6: www.example.org. MX: "mail.example.org." is no number of at most 65535
}
