package dnssec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// withKeys returns a signed zone with more DNSKEY records, that set signed anew by
// the key.
func withKeys(t *testing.T, z *zone.Zone, by dnssec.Key, more ...string) *zone.Zone {
	t.Helper()
	var keys []dns.RR
	var rest []string
	for line := range strings.Lines(zoneText(t, z)) {
		if strings.Contains(line, "\tRRSIG\tDNSKEY") {
			continue
		}
		rest = append(rest, line)
		if strings.Contains(line, "\tDNSKEY\t") {
			rr, err := dns.NewRR(line)
			require.NoError(t, err)
			keys = append(keys, rr)
		}
	}
	for _, text := range more {
		rr, err := dns.NewRR("example. 3600 IN DNSKEY " + text)
		require.NoError(t, err)
		keys = append(keys, rr)
		rest = append(rest, rr.String()+"\n")
	}
	signature := &dns.RRSIG{
		Algorithm: uint8(by.Algorithm), KeyTag: by.Tag(), SignerName: "example.",
		Inception: uint32(start.Add(-time.Hour).Unix()), Expiration: uint32(start.Add(240 * time.Hour).Unix()),
	}
	require.NoError(t, signature.Sign(by.Signer, keys))
	return parseZone(t, "example.", strings.Join(rest, "")+signature.String()+"\n")
}

// What validators pass over is no finding.
func TestVerifyAcceptsMore(t *testing.T) {
	keys := pair(t, dnssec.ED25519)
	s := dnssec.Signer{Keys: keys}
	source := parseZone(t, "example.", mixed)
	signed := signZone(t, s, source, nil, start).Zone
	text := zoneText(t, signed)
	ed448 := "257 3 16 " + strings.Repeat("A", 76)
	p256 := makeKey(t, dnssec.ECDSAP256SHA256, dnssec.KSK, "stand by")
	for name, z := range map[string]*zone.Zone{
		"stand-by keys": signZone(t, dnssec.Signer{Keys: append(slices.Clone(keys), makeKey(t, dnssec.ED25519, dnssec.KSK, "a"), makeKey(t, dnssec.ED25519, dnssec.ZSK, "b"))}, source, nil, start).Zone,
		"stand-by key of an unsupported algorithm": withKeys(t, signed, keys[0], ed448),
		"stand-by key of another algorithm":        withKeys(t, signed, keys[0], dnskeyText(p256)),
		"key that is for no zone":                  withKeys(t, signed, keys[0], "1 3 15 "+strings.Repeat("A", 43)+"="),
		"signature of an unsupported algorithm":    parseZone(t, "example.", text+"ns RRSIG A 16 2 3600 20300101000000 20200101000000 1 example. AAAA\n"),
		"signature of a key that is gone":          parseZone(t, "example.", text+"ns RRSIG A 15 2 3600 20300101000000 20200101000000 1 example. AAAA\n"),
		"signatures that have ended":               parseZone(t, "example.", text+signatures(zoneText(t, signZone(t, s, source, nil, start.Add(-30*24*time.Hour)).Zone))),
		"signatures yet to begin":                  parseZone(t, "example.", text+signatures(zoneText(t, signZone(t, s, source, nil, start.Add(30*24*time.Hour)).Zone))),
		"chain of NSEC3 records in the making":     parseZone(t, "example.", text+chainOfNSEC3(zoneText(t, signZone(t, dnssec.Signer{Keys: keys, Denial: dnssec.NSEC3}, source, nil, start).Zone))),
	} {
		require.Empty(t, verify(t, z, start), name)
	}
	// Without a good one beside it, each of them is told.
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "ns.example.") && strings.Contains(line, "\tRRSIG\tA ") {
			lines[i] = "ns RRSIG A 16 2 3600 20300101000000 20200101000000 1 example. AAAA\n"
		}
	}
	findings := fmt.Sprint(verify(t, parseZone(t, "example.", strings.Join(lines, "")), start))
	require.Contains(t, findings, "ns.example. A: no valid signature of algorithm ED25519")
	require.Contains(t, findings, "ns.example. A: signature by 016+00001: no key of the zone that can be used")
}

func dnskeyText(key dnssec.Key) string {
	set := zone.RRset{Type: 48, Data: nil}
	set.Data = set.Data.Append(key.RDATA())
	_, text, _ := strings.Cut(strings.TrimSpace(string(set.AppendText(nil, "\x00"))), "DNSKEY\t")
	return text
}

// signatures returns the lines of signatures.
func signatures(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "\tRRSIG\t") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func chainOfNSEC3(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "\tNSEC3\t") || strings.Contains(line, "\tRRSIG\tNSEC3 ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// What makes validators fail is found, though every signature holds.
func TestVerifyFindsMore(t *testing.T) {
	entry, other := makeKey(t, dnssec.ED25519, dnssec.KSK, "ksk"), makeKey(t, dnssec.ED25519, dnssec.CSK, "zsk")
	entry.Use, other.Flags = dnssec.Publish, dnssec.FlagZone
	source := parseZone(t, "example.", mixed)
	byZSK := signZone(t, dnssec.Signer{Keys: []dnssec.Key{entry, other}}, source, nil, start).Zone
	noEntry := signZone(t, dnssec.Signer{Keys: []dnssec.Key{other}}, source, nil, start).Zone
	require.Empty(t, verify(t, noEntry, start), "a DS record may be of a key without the SEP flag")

	revoked := makeKey(t, dnssec.ED25519, dnssec.KSK, "revoked")
	revoked.Flags |= dnssec.FlagRevoke
	asked := signZone(t, dnssec.Signer{Keys: append(pair(t, dnssec.ED25519), revoked)}, parseZone(t, "example.", mixed+"@ CDNSKEY "+dnskeyText(revoked)+"\n"), nil, start).Zone

	cut := zoneText(t, signZone(t, dnssec.Signer{Keys: pair(t, dnssec.ED25519)}, source, nil, start).Zone)
	noCut := parseZone(t, "example.", strings.Replace(cut, "secure.example.\t3600\tIN\tNS\tns.secure.example.\n", "", 1)+"@ DS 1 15 2 "+strings.Repeat("00", 32)+"\n")
	for _, tt := range []struct {
		zone *zone.Zone
		want string
	}{
		{byZSK, "example. DNSKEY: no valid signature of algorithm ED25519 by a key that a DS record is made of, with the SEP flag"},
		{asked, "example. CDNSKEY: asks for a key that the zone does not have"},
		{noCut, "secure.example. DS: is not at a zone cut"},
		{noCut, "example. DS: is not at a zone cut"},
		{parseZone(t, "example.", apex+"@ NSEC3PARAM 1 0 65535 -\n"), "example. NSEC3PARAM: 65535 iterations"},
		{parseZone(t, "example.", apex+"@ NSEC3PARAM 1 0 151 -\n"), "example. NSEC3PARAM: 151 iterations"},
		{parseZone(t, "example.", apex+"@ NSEC3PARAM 1 1 0 -\n"), "example. NSEC3PARAM: is not of SHA-1, or has flags"},
	} {
		require.Contains(t, fmt.Sprint(verify(t, tt.zone, start)), tt.want)
	}
	require.NotContains(t, fmt.Sprint(verify(t, parseZone(t, "example.", apex+"@ NSEC3PARAM 1 0 150 -\n"), start)), "iterations")
}

// A DS record where no zone begins is not signed.
func TestDSNotAtACut(t *testing.T) {
	ds := " DS 1 15 2 " + strings.Repeat("00", 32) + "\n"
	_, err := (&dnssec.Signer{Keys: csk(t, dnssec.ED25519)}).Sign(t.Context(), parseZone(t, "example.", apex+"@"+ds+"ns"+ds+"ok NS ns\nok"+ds+"below.ok"+ds), nil, start)
	require.ErrorContains(t, err, "example. DS: is not at a zone cut")
	require.ErrorContains(t, err, "ns.example. DS: is not at a zone cut")
	require.NotContains(t, err.Error(), "ok.example.")
}
