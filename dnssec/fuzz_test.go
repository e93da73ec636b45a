package dnssec_test

import (
	"math/rand/v2"
	"testing"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

// FuzzSign signs whatever is a zone, and verifies it; what the zone came with in
// records of DNSSEC is verified too, which must not panic.
func FuzzSign(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(randomZone(rand.New(rand.NewPCG(seed, 2))), uint8(seed))
	}
	f.Add(apex+"www A 192.0.2.2\nwww NSEC example. A\n@ NSEC www A\n@ NSEC3PARAM 1 0 5 abcd\nwww RRSIG A 15 2 3600 20300101000000 20200101000000 1 example. AAAA\n", uint8(0))
	f.Add(apex+"@ DNSKEY 257 3 15 AAAA\n@ CDS 1 15 2 00\n@ CDNSKEY 0 3 0 AA==\n@ ZONEMD 1 1 1 00\n0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabbccdd 0p9m\n", uint8(1))
	f.Fuzz(func(t *testing.T, text string, choice uint8) {
		z, _, err := zone.Parse([]byte(text), "fuzz", parseName(t, "example."))
		if err != nil {
			return
		}
		_ = verify(t, z, start)
		s := dnssec.Signer{Keys: csk(t, dnssec.ED25519), Denial: dnssec.Denial(choice % 3), ZONEMD: choice&4 != 0}
		result, err := s.Sign(t.Context(), z, z, start)
		if err != nil {
			return
		}
		for _, finding := range verify(t, result.Zone, start) {
			// What a zone itself asks its parent for is not the signer's to decide.
			require.Contains(t, finding.Reason, "asks for a key", finding)
		}
		again, err := s.Sign(t.Context(), z, result.Zone, start)
		require.NoError(t, err)
		require.True(t, again.Unchanged)
	})
}
