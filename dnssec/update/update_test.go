package update

import (
	"strings"
	"testing"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const base = `$TTL 300
@ SOA ns host 10 2 3 4 5
@ NS ns
@ NS ns2
@ MX 10 www
www A 192.0.2.1
www A 192.0.2.2
www TXT "x"
alias CNAME www
`

func parse(t testing.TB, text string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Parse([]byte(text), "test", "\x07example\x00")
	require.NoError(t, err)
	return z
}

// lines is the records of the zone, a line each.
func lines(t testing.TB, z *zone.Zone) []string {
	t.Helper()
	var b strings.Builder
	_, err := z.WriteTo(&b)
	require.NoError(t, err)
	return strings.Split(strings.ReplaceAll(strings.TrimSpace(b.String()), "\t", " "), "\n")
}

// message is what a server reads of [request].
func message(t testing.TB, text string) *dns.Msg {
	t.Helper()
	packed, err := request(t, text).Pack()
	require.NoError(t, err)
	m := new(dns.Msg)
	require.NoError(t, m.Unpack(packed))
	return m
}

// request has prerequisites before a dash and updates after it. A line of class
// ANY has no data.
func request(t testing.TB, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetUpdate("example.")
	section := &m.Answer
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "-":
			section = &m.Ns
		case len(fields) == 4 && (fields[2] == "ANY" || fields[2] == "NONE"):
			ttl := uint32(0)
			if fields[1] != "0" {
				ttl = 1
			}
			class := map[string]uint16{"ANY": dns.ClassANY, "NONE": dns.ClassNONE}[fields[2]]
			*section = append(*section, &dns.ANY{Hdr: dns.RR_Header{Name: fields[0], Ttl: ttl, Class: class, Rrtype: dns.StringToType[fields[3]]}})
		default:
			rr, err := dns.NewRR(line)
			require.NoError(t, err)
			*section = append(*section, rr)
		}
	}
	return m
}

func TestPrerequisites(t *testing.T) {
	for _, tt := range []struct {
		text  string
		rcode int
	}{
		{"www.example. 0 ANY ANY", dns.RcodeSuccess},
		{"no.example. 0 ANY ANY", dns.RcodeNameError},
		{"www.example. 0 ANY A", dns.RcodeSuccess},
		{"www.example. 0 ANY MX", dns.RcodeNXRrset},
		{"no.example. 0 NONE ANY", dns.RcodeSuccess},
		{"www.example. 0 NONE ANY", dns.RcodeYXDomain},
		{"www.example. 0 NONE MX", dns.RcodeSuccess},
		{"www.example. 0 NONE A", dns.RcodeYXRrset},
		{"www.example. 0 IN A 192.0.2.2\nWWW.example. 0 IN A 192.0.2.1", dns.RcodeSuccess},
		{"www.example. 0 IN A 192.0.2.2", dns.RcodeNXRrset},
		{"www.example. 0 IN A 192.0.2.1\nwww.example. 0 IN A 192.0.2.2\nwww.example. 0 IN A 192.0.2.3", dns.RcodeNXRrset},
		{"www.example. 1 ANY A", dns.RcodeFormatError},
		{"www.example. 1 IN A 192.0.2.1", dns.RcodeFormatError},
		{"www.example. 0 CH A 192.0.2.1", dns.RcodeFormatError},
		{"www.example.org. 0 ANY ANY", dns.RcodeNotZone},
	} {
		z := parse(t, base)
		same, err := Apply(z, message(t, tt.text), "k.", nil)
		require.Equal(t, tt.rcode, Rcode(err), "%s: %v", tt.text, err)
		if err == nil {
			require.Same(t, z, same)
		}
	}
}

func TestUpdates(t *testing.T) {
	all := []Grant{{Key: "K"}}
	for _, tt := range []struct {
		text       string
		gone, come []string // "" in gone is that nothing changes
		rcode      int
	}{
		{text: "new.example. 60 IN TXT a", come: []string{`new.example. 60 IN TXT "a"`}},
		{text: "www.example. 300 IN A 192.0.2.1"}, // it is there
		{
			text: "www.example. 60 IN A 192.0.2.1",
			gone: []string{"www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.2"},
			come: []string{"www.example. 60 IN A 192.0.2.1", "www.example. 60 IN A 192.0.2.2"},
		},
		{text: "www.example. 60 IN CNAME a.example."}, // beside other data: ignored
		{text: "alias.example. 60 IN A 192.0.2.1"},    // beside CNAME: ignored
		{text: "alias.example. 60 IN CNAME b.example.", gone: []string{"alias.example. 300 IN CNAME www.example."}, come: []string{"alias.example. 60 IN CNAME b.example."}},
		{text: "example. 300 IN SOA ns.example. host.example. 9 2 3 4 5"},
		{text: "www.example. 300 IN SOA ns.example. host.example. 99 2 3 4 5"},
		{
			text: "example. 300 IN SOA ns.example. host.example. 11 2 3 4 5",
			gone: []string{"example. 300 IN SOA ns.example. host.example. 10 2 3 4 5"}, come: []string{"example. 300 IN SOA ns.example. host.example. 11 2 3 4 5"},
		},
		{text: "www.example. 0 ANY TXT", gone: []string{`www.example. 300 IN TXT "x"`}},
		{text: "www.example. 0 ANY ANY", gone: []string{"www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.2", `www.example. 300 IN TXT "x"`}},
		{text: "example. 0 ANY ANY", gone: []string{"example. 300 IN MX 10 www.example."}},
		{text: "example. 0 ANY NS"},
		{text: "example. 0 ANY SOA"},
		{text: "www.example. 0 NONE A 192.0.2.1", gone: []string{"www.example. 300 IN A 192.0.2.1"}},
		{text: "www.example. 0 NONE A 192.0.2.9"},
		{text: "example. 0 NONE NS ns.example.\nexample. 0 NONE NS ns2.example.", gone: []string{"example. 300 IN NS ns.example."}},
		{text: "example. 0 NONE SOA ns.example. host.example. 10 2 3 4 5"},
		{text: "www.example. 0 ANY A\nwww.example. 60 IN A 192.0.2.9", gone: []string{"www.example. 300 IN A 192.0.2.1", "www.example. 300 IN A 192.0.2.2"}, come: []string{"www.example. 60 IN A 192.0.2.9"}},
		{text: "www.example. 1 ANY A", rcode: dns.RcodeFormatError},
		{text: "www.example. 5 NONE A 192.0.2.1", rcode: dns.RcodeFormatError},
		{text: "www.example. 0 ANY AXFR", rcode: dns.RcodeFormatError},
		{text: "www.example. 0 NONE ANY", rcode: dns.RcodeFormatError},
		{text: "www.example.org. 60 IN A 192.0.2.1", rcode: dns.RcodeNotZone},
		{text: "example. 60 IN DNSKEY 257 3 15 AAAA", rcode: dns.RcodeRefused},
		{text: "new.example. 60 IN TXT a\nwww.example.org. 60 IN A 192.0.2.1", rcode: dns.RcodeNotZone}, // nothing is done by halves
	} {
		z := parse(t, base)
		next, err := Apply(z, message(t, "-\n"+tt.text), "k.", all)
		require.Equal(t, tt.rcode, Rcode(err), "%s: %v", tt.text, err)
		if err != nil {
			require.Nil(t, next)
			continue
		}
		before, after := lines(t, z), lines(t, next)
		require.ElementsMatch(t, tt.gone, without(before, after), tt.text)
		require.ElementsMatch(t, tt.come, without(after, before), tt.text)
		require.Equal(t, len(tt.gone)+len(tt.come) == 0, next == z, tt.text)
	}
}

func without(list, other []string) (rest []string) {
	have := map[string]bool{}
	for _, line := range other {
		have[line] = true
	}
	for _, line := range list {
		if !have[line] {
			rest = append(rest, line)
		}
	}
	return rest
}

func TestGrants(t *testing.T) {
	grant := func(text string) Grant {
		g, err := ParseGrant(text)
		require.NoError(t, err)
		return g
	}
	grants := []Grant{grant("acme. TXT _acme-challenge"), grant("web. A,AAAA"), grant("all.")}
	for _, tt := range []struct {
		key, text string
		allowed   bool
	}{
		{"ACME", "_acme-challenge.www.example. 60 IN TXT a", true},
		{"acme.", "_ACME-challenge.example. 60 IN TXT a", true},
		{"acme.", "_acme-challenges.example. 60 IN TXT a", false},
		{"acme.", "www.example. 60 IN TXT a", false},
		{"acme.", "_acme-challenge.example. 60 IN A 192.0.2.1", false},
		{"acme.", "_acme-challenge.example. 0 ANY TXT", true},
		{"acme.", "_acme-challenge.example. 0 ANY ANY", false},
		{"web.", "www.example. 60 IN AAAA 2001:db8::1", true},
		{"web.", "www.example. 60 IN TXT a", false},
		{"all.", "www.example. 0 ANY ANY", true},
		{"nobody.", "www.example. 60 IN TXT a", false},
	} {
		_, err := Apply(parse(t, base), message(t, "-\n"+tt.text), tt.key, grants)
		require.Equal(t, tt.allowed, err == nil, "%s %s: %v", tt.key, tt.text, err)
		if err != nil {
			require.Equal(t, dns.RcodeRefused, Rcode(err))
		}
	}
	for _, text := range []string{"", "a b c d", "k. NOTYPE", "k. TXT a.b"} {
		_, err := ParseGrant(text)
		require.Error(t, err, text)
	}
}

func TestZoneSection(t *testing.T) {
	z := parse(t, base)
	m := message(t, "")
	m.Question[0].Qtype = dns.TypeA
	_, err := Apply(z, m, "", nil)
	require.Equal(t, dns.RcodeFormatError, Rcode(err))
	m = message(t, "")
	m.Question[0].Name = "org."
	_, err = Apply(z, m, "", nil)
	require.Equal(t, dns.RcodeNotAuth, Rcode(err))
}

// FuzzApply has any message that package dns can read applied.
func FuzzApply(f *testing.F) {
	for _, text := range []string{"www.example. 0 ANY A\n-\nx.example. 60 IN TXT a", "-\nexample. 0 ANY ANY", "-\nwww.example. 0 NONE A 192.0.2.1"} {
		packed, err := message(f, text).Pack()
		require.NoError(f, err)
		f.Add(packed)
	}
	z := parse(f, base)
	f.Fuzz(func(t *testing.T, packed []byte) {
		m := new(dns.Msg)
		if m.Unpack(packed) != nil {
			return
		}
		next, err := Apply(z, m, "k.", []Grant{{Key: "k."}})
		require.Equal(t, err == nil, next != nil)
		if next != nil { // a zone that can be read again
			_, _, err := zone.Parse([]byte(strings.Join(lines(t, next), "\n")), "again", z.Origin)
			require.NoError(t, err)
			require.NotNil(t, next.Apex().Set(wire.Type(dns.TypeNS)))
		}
	})
}
