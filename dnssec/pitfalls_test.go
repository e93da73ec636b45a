package dnssec_test

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// judging reports whether the outside verifiers are asked too.
func judging() bool { return os.Getenv("BERRYRACK_REQUIRE") != "" }

// everywhere is all ways of denial.
var everywhere = []dnssec.Denial{dnssec.NSEC, dnssec.NSEC3, dnssec.NSEC3OptOut}

// pitfalls is what other signers and libraries got wrong, each with who did.
var pitfalls = []struct {
	name, source string
	zone         string // after the apex
	denials      []dnssec.Denial
	has, lacks   []string         // in the signed zone
	skip         []string         // judges that do not cope
	algorithm    dnssec.Algorithm // Ed25519 when zero
}{
	{
		name: "asterisk that only begins a label", source: "miekg/dns 1.1.72: Labels of *foo",
		zone: "*foo TXT x\n", denials: everywhere,
		has: []string{"*foo.example.\t3600\tIN\tRRSIG\tTXT 15 2 "},
	},
	{
		name: "escaped asterisk is a wildcard", source: `miekg/dns 1.1.72: Labels of \042`,
		zone: "\\042.w TXT x\n", denials: everywhere,
		has: []string{"*.w.example.\t3600\tIN\tRRSIG\tTXT 15 2 "},
	},
	{
		name: "wildcard at the apex", source: "zonemaster#1101: label count",
		zone: "* TXT x\n", denials: everywhere,
		has: []string{"*.example.\t3600\tIN\tRRSIG\tTXT 15 1 "},
	},
	{
		name: "escaped capitals", source: `miekg/dns 1.1.72: \065b stays upper case on the wire`,
		zone: "\\065b MX 1 \\077ail\n", denials: everywhere,
		has: []string{"ab.example.\t3600\tIN\tMX\t1 mail.example."}, lacks: []string{"Ab.example", "Mail.example"},
	},
	{
		name: "TTLs of a set differ", source: "miekg/dns 1.1.72: Sign accepts mixed sets",
		zone: "m 60 TXT a\nm 50 TXT b\n", denials: everywhere,
		has: []string{"m.example.\t50\tIN\tTXT\t\"a\"", "m.example.\t50\tIN\tTXT\t\"b\"", "m.example.\t50\tIN\tRRSIG\tTXT 15 2 50 "},
	},
	{
		name: "other data at a delegation", source: "CoreDNS sign: signed and in the bitmap",
		zone: "sub NS ns.sub\nsub A 192.0.2.2\nsub AAAA 2001:db8::1\nsub TXT x\nns.sub A 192.0.2.3\n", denials: []dnssec.Denial{dnssec.NSEC},
		has: []string{"NSEC\texample. NS RRSIG NSEC\n"}, lacks: []string{"RRSIG\tA 15 3", "sub.example.\t3600\tIN\tRRSIG"},
	},
	{
		name: "glue", source: "CoreDNS#3354: signed; tdns: in the chain",
		zone: "sub NS a.sub\na.sub A 192.0.2.2\nz TXT x\n", denials: everywhere,
		lacks: []string{"a.sub.example.\t3600\tIN\tRRSIG", "a.sub.example.\t300", "NSEC\ta.sub.example."},
	},
	{
		name: "name that ends like a delegation", source: "tdns: HasSuffix leaves notsub unsigned",
		zone: "sub NS ns.example.net.\nnotsub A 192.0.2.2\n", denials: everywhere,
		has: []string{"notsub.example.\t3600\tIN\tRRSIG\tA 15 2 "},
	},
	{
		name: "order of octets and labels", source: `CoreDNS: \001!.z before \001.z`,
		zone: "z TXT x\n\\001.z TXT x\n\\001!.z TXT x\n\\000.z TXT x\n\\200.z TXT x\nyljkjljk.a TXT x\nZABC.a TXT x\n", denials: []dnssec.Denial{dnssec.NSEC},
		has: []string{
			"z.example.\t300\tIN\tNSEC\t\\000.z.example.", "\\000.z.example.\t300\tIN\tNSEC\t\\001.z.example.",
			"\\001.z.example.\t300\tIN\tNSEC\t\\001!.z.example.", "\\001!.z.example.\t300\tIN\tNSEC\t\\200.z.example.",
			"yljkjljk.a.example.\t300\tIN\tNSEC\tzabc.a.example.",
		},
		skip: []string{"kzonesign"}, // 3.2 does not read all of these escapes
	},
	{
		name: "records of an earlier signing", source: "CoreDNS: input NSEC and ZONEMD kept",
		zone: "www A 192.0.2.2\nwww NSEC example. A\n@ NSEC www A\n@ ZONEMD 1 1 1 " + strings.Repeat("00", 48) + "\n@ NSEC3PARAM 1 0 5 abcd\nwww RRSIG A 15 2 3600 20300101000000 20200101000000 1 example. AAAA\n", denials: everywhere,
		lacks: []string{"ZONEMD", "abcd", "20300101000000"},
	},
	{
		name: "secure delegation", source: "pdns#682: NS missing in the bitmap",
		zone: "sub NS ns.example.net.\nsub DS 1 15 2 " + strings.Repeat("00", 32) + "\n", denials: everywhere,
		has: []string{" NS DS RRSIG"}, lacks: []string{"RRSIG\tNS 15 2"},
	},
	{
		name: "DNAME at the apex", source: "bind9: dname-at-apex-nsec3",
		zone: "@ DNAME example.net.\n", denials: everywhere,
		has: []string{"RRSIG\tDNAME 15 1"}, skip: []string{"kzonesign"},
	},
	{
		name: "below a DNAME", source: "RFC 6672 section 2.4",
		zone: "alias DNAME example.net.\nx.alias TXT x\n", denials: everywhere,
		lacks: []string{"x.alias.example.\t3600\tIN\tRRSIG", "x.alias.example.\t300"}, skip: []string{"kzonesign"},
	},
	{
		name: "set that fits a message only compressed", source: "Knot DNS NEWS",
		zone: manyRecords(), denials: everywhere,
		has: []string{"RRSIG\tMX 8 4"}, algorithm: dnssec.RSASHA256, skip: []string{"kzonesign", "ldns-verify-zone"},
	},
	{
		name: "octets beyond ASCII in TXT", source: "cascade#420: refused",
		zone: "t TXT \"caf\xc3\xa9\" \\255\n", denials: everywhere,
		has: []string{`"caf\195\169" "\255"`},
	},
	{
		name: "duplicates that differ in case", source: "RFC 4034 section 6.3: equal in canonical form",
		zone: "d NS A.example.net.\nd NS a.EXAMPLE.net.\nm MX 1 X\nm MX 1 x\n", denials: everywhere,
		lacks: []string{"A.example.net"},
	},
	{
		name: "case in RDATA", source: "RFC 6840 section 5.1: SRV, NAPTR and RP are lower case, SVCB and HINFO are not",
		zone: "s SRV 1 2 3 Host\nn NAPTR 1 2 \"U\" \"S\" \"!X!y!\" Host\nr RP Host Host\nh HINFO \"Cpu\" \"Os\"\nv SVCB 1 Host\n", denials: everywhere,
		has: []string{"SRV\t1 2 3 host.example.", `"U" "S" "!X!y!" host.example.`, "host.example. host.example.", `"Cpu" "Os"`, "1 Host.example."},
	},
	{
		name: "empty non-terminals and opt-out", source: "jdnssec#2, dnsviz#64: only those above insecure delegations alone need no record",
		zone:    "a.insecure NS ns.example.net.\nb.both NS ns.example.net.\nc.both TXT x\nd.secure NS ns.example.net.\nd.secure DS 1 15 2 " + strings.Repeat("00", 32) + "\n",
		denials: everywhere,
	},
	{
		name: "unknown types", source: "RFC 3597",
		zone: "u TYPE65280 \\# 4 AABBCCDD\nu TYPE300 \\# 0\nu TYPE1 \\# 4 C0000201\n", denials: everywhere,
		has: []string{"u.example.\t3600\tIN\tA\t192.0.2.1", "TYPE65280\t\\# 4 aabbccdd"}, skip: []string{"ldns-verify-zone"},
	},
	{
		name: "longest name", source: "limit of RFC 1035 section 3.1",
		zone: strings.Repeat(strings.Repeat("a", 61)+".", 3) + strings.Repeat("b", 59) + " TXT x\n", denials: everywhere,
		has: []string{"RRSIG\tTXT 15 5"},
	},
}

// manyRecords is a set that has more than 65,535 octets with every owner in full.
func manyRecords() string {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "big.%s.%s MX %d m%d.%s\n", strings.Repeat("l", 60), strings.Repeat("o", 60), i, i, strings.Repeat("n", 25))
	}
	return b.String()
}

func TestPitfalls(t *testing.T) {
	for _, pitfall := range pitfalls {
		for _, denial := range pitfall.denials {
			t.Run(fmt.Sprintf("%s/%d", pitfall.name, denial), func(t *testing.T) {
				t.Parallel()
				z := parseZone(t, "example.", apex+pitfall.zone)
				signed := signZone(t, dnssec.Signer{Keys: pair(t, cmp.Or(pitfall.algorithm, dnssec.ED25519)), Denial: denial}, z, nil, time.Now()).Zone
				text := zoneText(t, signed)
				for _, want := range pitfall.has {
					require.Contains(t, text, want, pitfall.source)
				}
				for _, unwanted := range pitfall.lacks {
					require.NotContains(t, text, unwanted, pitfall.source)
				}
				require.Empty(t, verify(t, signed, time.Now()), pitfall.source)
				if judging() {
					judge(t, signed, pitfall.skip...)
				}
			})
		}
	}
}

// RFC 9077 section 3: CoreDNS takes the SOA minimum alone.
func TestNegativeTTL(t *testing.T) {
	for _, denial := range everywhere {
		z := parseZone(t, "example.", "$TTL 3600\n@ 60 SOA ns host 1 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\n")
		signed := signZone(t, dnssec.Signer{Keys: csk(t, dnssec.ED25519), Denial: denial}, z, nil, start).Zone
		require.Contains(t, zoneText(t, signed), ".\t60\tIN\tNSEC")
		require.NotContains(t, zoneText(t, signed), "\t300\tIN")
	}
}

// opt-out add leaves junk (BIND #5671), opt-out to NSEC loses NSECs (BIND #5679),
// glue becomes orphaned and not (Knot #705): whatever the previous zone is, the
// result is that of signing afresh.
func TestPreviousChangesNothing(t *testing.T) {
	zones := []string{
		apex + "sub NS ns.sub\nns.sub A 192.0.2.2\nwww A 192.0.2.3\n",
		apex + "ns.sub A 192.0.2.2\nwww A 192.0.2.3\n",
		apex + "sub NS ns.sub\nsub DS 1 15 2 " + strings.Repeat("00", 32) + "\nns.sub A 192.0.2.2\nx.y.z NS ns.example.net.\n",
		apex + "x.y.z NS ns.example.net.\nw.y.z TXT x\n",
	}
	for _, from := range zones {
		for _, to := range zones {
			for _, before := range everywhere {
				for _, after := range everywhere {
					s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Denial: before}
					previous := signZone(t, s, parseZone(t, "example.", from), nil, start).Zone
					s.Denial = after
					z := parseZone(t, "example.", to)
					result := signZone(t, s, z, previous, start)
					require.Equal(t, zoneText(t, signZone(t, s, z, nil, start).Zone), zoneText(t, result.Zone))
					require.Equal(t, from == to && before == after, result.Unchanged)
				}
			}
		}
	}
}

// Keys are told by what they are, not by tag (BIND #4878, jdnssec#14).
func TestCollidingTags(t *testing.T) {
	seen := map[uint16]dnssec.Key{}
	var one, two dnssec.Key
	for i := 0; two.Signer == nil; i++ {
		key := makeKey(t, dnssec.ED25519, dnssec.CSK, fmt.Sprint("collide", i))
		if other, ok := seen[key.Tag()]; ok {
			one, two = other, key
		}
		seen[key.Tag()] = key
	}
	z := parseZone(t, "example.", mixed)
	first := signZone(t, dnssec.Signer{Keys: []dnssec.Key{one}}, z, nil, start)
	require.Empty(t, verify(t, first.Zone, start))
	rolled := signZone(t, dnssec.Signer{Keys: []dnssec.Key{two}}, z, first.Zone, start)
	require.Zero(t, rolled.Reused)
	require.Contains(t, fmt.Sprint(rolled.Warnings), "has none of the signer's keys")
	require.Empty(t, verify(t, rolled.Zone, start))
	both := signZone(t, dnssec.Signer{Keys: []dnssec.Key{one, two}}, z, rolled.Zone, start)
	require.NotZero(t, both.Reused)
	require.NotContains(t, fmt.Sprint(both.Warnings), "has none of the signer's keys")
	require.Empty(t, verify(t, both.Zone, start))
}

// miekg/dns 1.1.72 cannot sign with a key of tag 0: one key in 65,536.
func TestTagZero(t *testing.T) {
	key := makeKey(t, dnssec.ED25519, dnssec.CSK, "tag 0: 12290")
	require.Zero(t, key.Tag())
	z := signZone(t, dnssec.Signer{Keys: []dnssec.Key{key}}, parseZone(t, "example.", mixed), nil, start).Zone
	require.Empty(t, verify(t, z, start))
}

// Missing private keys must not drop signatures (BIND #5126).
func TestOfflineKey(t *testing.T) {
	keys := pair(t, dnssec.ECDSAP256SHA256)
	s := dnssec.Signer{Keys: keys}
	first := signZone(t, s, parseZone(t, "example.", mixed), nil, start)
	keys[0].Signer = nil
	z := parseZone(t, "example.", mixed+"new TXT x\n")
	again := signZone(t, s, z, first.Zone, start.Add(13*24*time.Hour))
	require.Empty(t, verify(t, again.Zone, start.Add(13*24*time.Hour)))
	// Once its signature has ended, or there is none, there is no way.
	_, err := s.Sign(t.Context(), z, first.Zone, start.Add(15*24*time.Hour))
	require.ErrorContains(t, err, "example. DNSKEY: key 013+")
	_, err = s.Sign(t.Context(), z, nil, start)
	require.ErrorContains(t, err, "its private half is not here")
	keys[1].Signer = nil
	_, err = s.Sign(t.Context(), z, nil, start)
	require.ErrorContains(t, err, "new.example. TXT")
	require.ErrorContains(t, err, "ns.example. A")
}

// Times that are asked for are those of all signatures, whatever the previous zone
// has.
func TestFixedTimesAndReuse(t *testing.T) {
	z := parseZone(t, "example.", mixed)
	fixed := dnssec.Signer{Keys: pair(t, dnssec.ED25519), Inception: fixedInception, Expiry: fixedExpiry}
	want := signZone(t, fixed, z, nil, start)
	for _, s := range []dnssec.Signer{{}, {Inception: fixedInception}, {Expiry: fixedExpiry}} {
		s.Keys = fixed.Keys
		other := signZone(t, s, z, nil, start.Add(time.Hour)).Zone
		require.Equal(t, zoneText(t, want.Zone), zoneText(t, signZone(t, fixed, z, other, start).Zone))
	}
	require.Zero(t, signZone(t, fixed, z, want.Zone, start.Add(time.Hour)).Signed)
}

// A signature that was damaged at rest is made anew.
func TestDamagedSignature(t *testing.T) {
	z := parseZone(t, "example.", mixed)
	s := dnssec.Signer{Keys: pair(t, dnssec.ED25519), VerifyReused: true}
	first := signZone(t, s, z, nil, start)
	lines := strings.SplitAfter(zoneText(t, first.Zone), "\n")
	for i, line := range lines {
		if strings.Contains(line, "RRSIG\tTXT") {
			lines[i] = line[:len(line)-9] + "AAAAAA==\n"
		}
	}
	damaged := parseZone(t, "example.", strings.Join(lines, ""))
	require.NotEmpty(t, verify(t, damaged, start))
	again := signZone(t, s, z, damaged, start)
	require.Equal(t, zoneText(t, first.Zone), zoneText(t, again.Zone))
	require.NotZero(t, again.Reused)
}

// What an offline key has signed cannot be made anew, and does not have the rest
// signed over and over.
func TestResignRestsWithOfflineKey(t *testing.T) {
	keys := pair(t, dnssec.ED25519)
	s := dnssec.Signer{Keys: keys, Serial: dnssec.IncrementSerial}
	first := signZone(t, s, parseZone(t, "example.", mixed), nil, start)
	keys[0].Signer = nil
	// The DNSKEY set's signature ends with the first ones, the others' later.
	now := start.Add(8 * 24 * time.Hour)
	signed := signZone(t, dnssec.Signer{Keys: keys, Refresh: 10 * 24 * time.Hour}, first.Zone, first.Zone, now)
	s.Refresh = 3 * 24 * time.Hour
	result := signZone(t, s, signed.Zone, signed.Zone, now)
	require.Equal(t, start.Add(14*24*time.Hour), result.Expiry)
	now = start.Add(12 * 24 * time.Hour)
	require.True(t, result.Due.After(now), "%v", result.Due)
	rest, err := s.Resign(t.Context(), result, now)
	require.NoError(t, err)
	require.Same(t, result, rest)
	// Until it has ended, and then it is told.
	require.Contains(t, fmt.Sprint(signZone(t, s, result.Zone, result.Zone, start.Add(12*24*time.Hour)).Warnings), "offline ends at 2026-11-15T12:00:00Z")
	_, err = s.Resign(t.Context(), result, result.Due.Add(time.Hour))
	require.ErrorContains(t, err, "its private half is not here")
}

// A revoked key signs the DNSKEY set alone (BIND #5070, RFC 5011 section 2.1).
func TestRevokedKey(t *testing.T) {
	revoked := makeKey(t, dnssec.ED25519, dnssec.KSK, "revoked")
	revoked.Flags |= dnssec.FlagRevoke
	s := dnssec.Signer{Keys: append(pair(t, dnssec.ED25519), revoked)}
	result := signZone(t, s, parseZone(t, "example.", mixed), nil, time.Now())
	require.Empty(t, verify(t, result.Zone, time.Now()))
	require.Equal(t, 1, strings.Count(zoneText(t, result.Zone), fmt.Sprintf(" %d example. ", revoked.Tag())))
	if judging() {
		judge(t, result.Zone)
	}
	s.Keys[2].Use = dnssec.CSK
	_, err := s.Sign(t.Context(), result.Zone, nil, time.Now())
	require.ErrorContains(t, err, "RFC 5011")
}

// CDS and CDNSKEY are signed by a key that the parent has (pdns#6369, erldns#236),
// there is one for each KSK (pdns#11218), and none with SHA-1 (CoreDNS).
func TestCDS(t *testing.T) {
	keys := append(pair(t, dnssec.ED25519), makeKey(t, dnssec.ED25519, dnssec.KSK, "second"))
	keys[0].Use |= dnssec.InParent
	keys[2].Use |= dnssec.InParent
	result := signZone(t, dnssec.Signer{Keys: keys}, parseZone(t, "example.", mixed), nil, time.Now())
	text := zoneText(t, result.Zone)
	for _, key := range []dnssec.Key{keys[0], keys[2]} {
		require.Contains(t, text, fmt.Sprintf("CDS\t%d 15 2 ", key.Tag()))
	}
	require.Equal(t, 2, strings.Count(text, "IN\tCDS\t"))
	require.Equal(t, 2, strings.Count(text, "IN\tCDNSKEY\t"))
	for line := range strings.Lines(text) {
		if strings.Contains(line, "RRSIG\tCDS") || strings.Contains(line, "RRSIG\tCDNSKEY") {
			require.NotContains(t, line, fmt.Sprintf(" %d example. ", keys[1].Tag()))
		}
	}
	require.Empty(t, verify(t, result.Zone, time.Now()))
	if judging() {
		judge(t, result.Zone)
	}
}

// A revoked key signs neither CDS nor CDNSKEY sets (RFC 5011 section 2.1, RFC 7344
// section 4.1).
func TestRevokedKeyAndCDS(t *testing.T) {
	revoked := makeKey(t, dnssec.ED25519, dnssec.KSK, "revoked")
	revoked.Flags |= dnssec.FlagRevoke
	keys := append(pair(t, dnssec.ED25519), revoked)
	keys[0].Use |= dnssec.InParent
	z := signZone(t, dnssec.Signer{Keys: keys}, parseZone(t, "example.", mixed), nil, time.Now()).Zone
	for _, covered := range []wire.Type{wire.Type(dns.TypeCDS), wire.Type(dns.TypeCDNSKEY)} {
		require.Equal(t, 1, z.Apex().Set(covered).Signatures.Len())
	}
	require.Equal(t, 2, z.Apex().Set(wire.Type(dns.TypeDNSKEY)).Signatures.Len())
	require.Empty(t, verify(t, z, time.Now()))
	if judging() {
		judge(t, z)
	}
}

// DNSKEY sets below the apex are data like others (RFC 4035 section 2.1): an
// offline KSK does not hold them up.
func TestKeysBelowTheApex(t *testing.T) {
	keys := pair(t, dnssec.ED25519)
	s := dnssec.Signer{Keys: keys}
	first := signZone(t, s, parseZone(t, "example.", apex), nil, start)
	keys[0].Signer = nil
	z := signZone(t, s, parseZone(t, "example.", apex+"x DNSKEY 256 3 15 AAAA\nx CDS 1 15 2 "+strings.Repeat("00", 32)+"\n"), first.Zone, start).Zone
	require.Contains(t, zoneText(t, z), fmt.Sprintf(" %d example. ", keys[1].Tag()))
	require.Empty(t, verify(t, z, start))
}

// Times wrap in 2106 and pass 2^31 in 2038 (ldns#289, RFC 4034 section 3.1.5).
func TestTimesWrap(t *testing.T) {
	for _, now := range []time.Time{time.Date(2038, 1, 18, 0, 0, 0, 0, time.UTC), time.Date(2106, 2, 5, 0, 0, 0, 0, time.UTC)} {
		s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Serial: dnssec.IncrementSerial}
		z := parseZone(t, "example.", mixed)
		result := signZone(t, s, z, nil, now)
		later := now.Add(4 * 24 * time.Hour)
		require.Empty(t, verify(t, result.Zone, later))
		require.WithinDuration(t, now.Add(14*24*time.Hour), result.Expiry, 13*time.Hour)
		require.Zero(t, signZone(t, s, z, result.Zone, later).Signed)
		require.Zero(t, signZone(t, s, z, result.Zone, now.Add(12*24*time.Hour)).Reused)
	}
}

// An unchanged zone keeps its serial (cascade#937, #929), and a kept serial of a
// changed one is told (cascade#476, #633).
func TestSerials(t *testing.T) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		policy         dnssec.SerialPolicy
		serial         string
		first, changed uint32
	}{
		{dnssec.KeepSerial, "7", 7, 7},
		{dnssec.IncrementSerial, "7", 8, 9},
		{dnssec.IncrementSerial, "4294967295", 1, 2},
		{dnssec.UnixSerial, "7", uint32(at.Unix()), uint32(at.Unix()) + 1},
		{dnssec.DateSerial, "7", 2026112300, 2026112301},
		{dnssec.DateSerial, "2026112345", 2026112346, 2026112347},
	} {
		s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Serial: tt.policy, ZONEMD: true}
		text := strings.Replace(apex, "host 1", "host "+tt.serial, 1)
		z := parseZone(t, "example.", text)
		first := signZone(t, s, z, nil, at)
		require.Equal(t, tt.first, first.Serial)
		require.False(t, first.Unchanged)
		again := signZone(t, s, z, first.Zone, at.Add(time.Minute))
		require.Equal(t, tt.first, again.Serial)
		require.True(t, again.Unchanged)
		require.Zero(t, again.Signed)
		require.Equal(t, zoneText(t, first.Zone), zoneText(t, again.Zone))
		s.Serial = tt.policy
		changed := signZone(t, s, parseZone(t, "example.", text+"new A 192.0.2.9\n"), first.Zone, at)
		require.Equal(t, tt.changed, changed.Serial)
		require.Empty(t, verify(t, changed.Zone, at))
		require.Equal(t, tt.policy == dnssec.KeepSerial, strings.Contains(fmt.Sprint(changed.Warnings), "keeps its serial"))
	}
}

// What secondaries and validators would make nothing of is told.
func TestOddTimesAndSerials(t *testing.T) {
	s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Serial: dnssec.UnixSerial}
	z := parseZone(t, "example.", apex)
	first := signZone(t, s, z, nil, start)
	s.Serial = dnssec.KeepSerial
	require.Contains(t, fmt.Sprint(signZone(t, s, z, first.Zone, start).Warnings), "serial 1 is before the previous zone's")
	require.NotContains(t, fmt.Sprint(signZone(t, s, z, nil, start).Warnings), "begin at")
	s.Inception, s.Expiry = start.Add(time.Hour), start.Add(240*time.Hour)
	require.Contains(t, fmt.Sprint(signZone(t, s, z, nil, start).Warnings), "signatures begin at 2026-11-01T13:00:00Z: the zone is bogus until then")
}

// Expiry is spread by a hash (CoreDNS: one jitter for the zone), and the same each time.
func TestJitter(t *testing.T) {
	s := dnssec.Signer{Keys: csk(t, dnssec.ED25519)}
	z := parseZone(t, "example.", mixed)
	text := zoneText(t, signZone(t, s, z, nil, start).Zone)
	require.Equal(t, text, zoneText(t, signZone(t, s, z, nil, start).Zone))
	ends := map[string]bool{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); fields[3] == "RRSIG" {
			ends[fields[8]] = true
			require.Less(t, fields[8], "20261115120001")
			require.Greater(t, fields[8], "20261115000000")
		}
	}
	require.Greater(t, len(ends), 20)
}
