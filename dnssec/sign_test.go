package dnssec_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

// Every mistake in keys and settings is told at once.
func TestSignerErrors(t *testing.T) {
	good, other := makeKey(t, dnssec.ED25519, dnssec.CSK, "good"), makeKey(t, dnssec.ED25519, dnssec.CSK, "other")
	swapped := other
	swapped.Signer = good.Signer
	noZone := makeKey(t, dnssec.ED25519, dnssec.ZSK, "no zone")
	noZone.Flags = 0
	unknown := dnssec.Key{PublicKey: dnssec.PublicKey{Flags: 256, Algorithm: 16, Key: make([]byte, 57)}, Use: dnssec.ZSK}
	short := dnssec.Key{PublicKey: dnssec.PublicKey{Flags: 256, Algorithm: 13, Key: make([]byte, 7)}, Use: dnssec.ZSK}
	s := dnssec.Signer{
		Keys:   []dnssec.Key{good, good, swapped, noZone, unknown, short, makeKey(t, dnssec.ECDSAP384SHA384, dnssec.KSK, "lonely")},
		Denial: 9, Serial: 9, Refresh: 30 * 24 * time.Hour,
	}
	z := parseZone(t, "example.", apex)
	_, err := s.Sign(t.Context(), z, nil, start)
	for _, want := range []string{
		"is there twice", "private key does not belong", "its flags lack 256", "algorithm 16: unsupported algorithm", "no point of the curve",
		"no key of it signs the zone", "denial 9", "serial policy 9", "are due at once",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = (&dnssec.Signer{}).Sign(t.Context(), z, nil, start)
	require.ErrorContains(t, err, "no key is published")
	for _, s := range []dnssec.Signer{
		{Expiry: start.Add(-time.Hour)}, {Inception: start, Expiry: start}, {Validity: 80 * 365 * 24 * time.Hour}, {KeyTTL: -1},
	} {
		s.Keys = []dnssec.Key{good}
		_, err := s.Sign(t.Context(), z, nil, start)
		require.Error(t, err)
	}
	_, err = (&dnssec.Signer{Keys: []dnssec.Key{good}}).Sign(t.Context(), z, parseZone(t, "example.net.", apex), start)
	require.ErrorContains(t, err, "previous zone is example.net.")
}

// failing is a crypto.Signer that does not sign, as a module that has gone away.
type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("module is gone")
}

// garbling returns no signature but octets.
type garbling struct{ crypto.Signer }

func (garbling) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte{0x30, 2, 2, 200}, nil
}

// wrapped is a key that is none of the standard library's types, as a module's.
type wrapped struct{ crypto.Signer }

func TestForeignSigners(t *testing.T) {
	z := parseZone(t, "example.", mixed)
	for _, algorithm := range []dnssec.Algorithm{dnssec.RSASHA256, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519} {
		keys := csk(t, algorithm)
		private := keys[0].Signer
		keys[0].Signer = wrapped{private}
		require.Empty(t, verify(t, signZone(t, dnssec.Signer{Keys: keys}, z, nil, start).Zone, start))
		keys[0].Signer = failing{private}
		_, err := (&dnssec.Signer{Keys: keys}).Sign(t.Context(), z, nil, start)
		require.ErrorContains(t, err, "module is gone")
	}
	keys := csk(t, dnssec.ECDSAP256SHA256)
	keys[0].Signer = garbling{keys[0].Signer}
	_, err := (&dnssec.Signer{Keys: keys}).Sign(t.Context(), z, nil, start)
	require.ErrorContains(t, err, "did not return an ASN.1 ECDSA signature")
}

func TestSignEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&dnssec.Signer{Keys: csk(t, dnssec.ED25519)}).Sign(ctx, parseZone(t, "example.", mixed), nil, start)
	require.ErrorIs(t, err, context.Canceled)
}

func TestProgress(t *testing.T) {
	last, total := 0, 0
	s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Denial: dnssec.NSEC3, Workers: 3}
	s.Progress = func(done, of int) {
		require.Greater(t, done, last)
		last, total = done, of
	}
	result := signZone(t, s, parseZone(t, "example.", mixed), nil, start)
	require.LessOrEqual(t, last, total)
	require.InDelta(t, result.Signed, last, 2)
}

// TestReuse changes one name of many.
func TestReuse(t *testing.T) {
	var text strings.Builder
	text.WriteString(apex)
	hosts := 100
	if judging() {
		hosts = 1000
	}
	for i := range hosts {
		fmt.Fprintf(&text, "h%d A 192.0.2.1\n", i)
	}
	for _, denial := range everywhere {
		s := dnssec.Signer{Keys: pair(t, dnssec.ED25519), Denial: denial, Serial: dnssec.IncrementSerial}
		first := signZone(t, s, parseZone(t, "example.", text.String()), nil, start)
		require.Zero(t, first.Reused)
		changed := parseZone(t, "example.", strings.Replace(text.String(), "h7 A 192.0.2.1", "h7 A 192.0.2.2", 1))
		second := signZone(t, s, changed, first.Zone, start.Add(time.Hour))
		require.Equal(t, 2, second.Signed, "the changed set and the SOA set")
		require.Equal(t, first.Signed-2, second.Reused)
		require.Empty(t, verify(t, second.Zone, start.Add(time.Hour)))
	}
}

// TestResign lets a zone grow old: each time only what is due is signed.
func TestResign(t *testing.T) {
	var text strings.Builder
	text.WriteString(apex)
	for i := range 60 {
		fmt.Fprintf(&text, "h%d A 192.0.2.1\nsub%d NS ns\n", i, i)
	}
	for _, denial := range everywhere {
		s := dnssec.Signer{Keys: pair(t, dnssec.ED25519), Denial: denial, Serial: dnssec.IncrementSerial, ZONEMD: true}
		result := signZone(t, s, parseZone(t, "example.", text.String()), nil, start)
		all, serial, steps := result.Signed, result.Serial, 0
		for now := start; now.Before(start.Add(40 * 24 * time.Hour)); now = now.Add(97 * time.Minute) {
			before := result
			next, err := s.Resign(t.Context(), before, now)
			require.NoError(t, err)
			if next == before {
				require.True(t, before.Due.After(now))
				continue
			}
			steps++
			require.Equal(t, before.Serial+1, next.Serial)
			require.True(t, next.Due.After(now))
			require.Less(t, next.Signed, all/2, "only what is due")
			if steps%10 == 0 {
				require.Empty(t, verify(t, before.Zone, now), "the zone before, which others may still read")
				require.Empty(t, verify(t, next.Zone, now))
			}
			result = next
		}
		require.Greater(t, steps, 10)
		require.Equal(t, serial+uint32(steps), result.Serial)
		require.Equal(t, result.Due, signZone(t, s, parseZone(t, "example.", text.String()), result.Zone, result.Due.Add(-time.Minute)).Due)
	}
}

// What is due is due at Due, whatever a third of the validity is: otherwise who
// waits for it would count up the serial without end.
func TestResignAtDue(t *testing.T) {
	s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Serial: dnssec.IncrementSerial, Validity: 10000 * time.Second}
	result := signZone(t, s, parseZone(t, "example.", mixed), nil, start)
	again, err := s.Resign(t.Context(), result, result.Due)
	require.NoError(t, err)
	require.Greater(t, again.Signed, 1, "more than the SOA record")
	require.True(t, again.Due.After(result.Due))
}

// TestVerifyNSEC3Vectors hashes as RFC 5155 appendix A does, through a zone.
func TestVerifyNSEC3Vectors(t *testing.T) {
	for name, hash := range map[string]string{
		"example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en", "xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
	} {
		text := apex + "@ NSEC3PARAM 1 0 12 aabbccdd\n" + hash + " NSEC3 1 0 12 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom\n"
		if name != "example." {
			text += name + " TXT x\n"
		}
		findings := fmt.Sprint(verify(t, parseZone(t, "example.", text), start))
		require.NotContains(t, findings, "hash of no name", name)
	}
}

func ExampleSigner_Sign() {
	origin, _ := wire.ParseName("example.org")
	z, _, err := zone.Parse([]byte(`
$TTL 3600
@    SOA   ns hostmaster 2026112301 7200 3600 604800 300
@    NS    ns
ns   AAAA  2001:db8::1
`), "example.org.zone", origin)
	if err != nil {
		fmt.Println(err)
		return
	}
	private := exampleKey()
	public, _ := dnssec.MakePublicKey(dnssec.FlagZone|dnssec.FlagSEP, dnssec.ED25519, private.Public())
	signer := dnssec.Signer{Keys: []dnssec.Key{{PublicKey: public, Signer: private, Use: dnssec.CSK}}}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	result, err := signer.Sign(context.Background(), z, nil, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	findings, err := dnssec.Verify(context.Background(), result.Zone, now)
	fmt.Println(result.Signed, "signatures,", len(findings), "findings,", err)
	// Output: 6 signatures, 0 findings, <nil>
}

func ExampleVerify() {
	origin, _ := wire.ParseName("example.org")
	z, _, err := zone.Parse([]byte("@ 60 SOA ns host 1 7200 3600 604800 300\n@ 60 NS ns.example.net.\n"), "example.org.zone", origin)
	if err != nil {
		fmt.Println(err)
		return
	}
	findings, _ := dnssec.Verify(context.Background(), z, time.Now())
	for _, finding := range findings {
		fmt.Println(finding)
	}
	// Output:
	// example.org. NSEC: is missing (RFC 4035 section 2.3)
	// example.org. DNSKEY: the zone has no keys: it is not signed
}
