package dnssec_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

// stream is bytes that a seed gives: keys and zones of tests are the same in each run.
func stream(seed string) io.Reader { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

// rsaKeys holds RSA keys by seed, as they take long to make.
var rsaKeys sync.Map

func private(t testing.TB, algorithm dnssec.Algorithm, seed string) crypto.Signer {
	t.Helper()
	random := make([]byte, 48)
	_, err := io.ReadFull(stream(seed), random)
	require.NoError(t, err)
	switch algorithm {
	case dnssec.RSASHA256:
		if key, ok := rsaKeys.Load(seed); ok {
			return key.(crypto.Signer)
		}
		key, err := rsa.GenerateKey(stream(seed), 2048)
		require.NoError(t, err)
		first, _ := rsaKeys.LoadOrStore(seed, key)
		return first.(crypto.Signer)
	case dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384:
		curve, size := elliptic.P256(), 32
		if algorithm == dnssec.ECDSAP384SHA384 {
			curve, size = elliptic.P384(), 48
		}
		scalar := new(big.Int).Mod(new(big.Int).SetBytes(random[:size]), curve.Params().N)
		key, err := ecdsa.ParseRawPrivateKey(curve, scalar.FillBytes(make([]byte, size)))
		require.NoError(t, err)
		return key
	}
	return ed25519.NewKeyFromSeed(random[:32])
}

func makeKey(t testing.TB, algorithm dnssec.Algorithm, use dnssec.Use, seed string) dnssec.Key {
	t.Helper()
	flags := dnssec.FlagZone
	if use&dnssec.SignKeys != 0 {
		flags |= dnssec.FlagSEP
	}
	signer := private(t, algorithm, seed)
	public, err := dnssec.MakePublicKey(flags, algorithm, signer.Public())
	require.NoError(t, err)
	return dnssec.Key{PublicKey: public, Signer: signer, Use: use}
}

// pair returns a KSK and a ZSK.
func pair(t testing.TB, algorithm dnssec.Algorithm) []dnssec.Key {
	t.Helper()
	return []dnssec.Key{makeKey(t, algorithm, dnssec.KSK, "ksk"), makeKey(t, algorithm, dnssec.ZSK, "zsk")}
}

func csk(t testing.TB, algorithm dnssec.Algorithm) []dnssec.Key {
	t.Helper()
	return []dnssec.Key{makeKey(t, algorithm, dnssec.CSK, "csk")}
}

func parseName(t testing.TB, text string) wire.Name {
	t.Helper()
	name, err := wire.ParseName(text)
	require.NoError(t, err)
	return name
}

func parseZone(t testing.TB, origin, text string) *zone.Zone {
	t.Helper()
	z, _, err := zone.Parse([]byte(text), "test", parseName(t, origin))
	require.NoError(t, err)
	return z
}

const apex = "$TTL 3600\n@ SOA ns host 1 7200 3600 604800 300\n@ NS ns\nns A 192.0.2.1\n"

func signZone(t testing.TB, s dnssec.Signer, z, previous *zone.Zone, now time.Time) *dnssec.Result {
	t.Helper()
	result, err := s.Sign(t.Context(), z, previous, now)
	require.NoError(t, err)
	return result
}

// mode is a way to sign.
type mode struct {
	algorithm dnssec.Algorithm
	denial    dnssec.Denial
	csk       bool
}

func (m mode) String() string {
	return fmt.Sprintf("%s/%s/csk=%v", m.algorithm, []string{"NSEC", "NSEC3", "opt-out"}[m.denial], m.csk)
}

func (m mode) signer(t testing.TB) dnssec.Signer {
	s := dnssec.Signer{Keys: pair(t, m.algorithm), Denial: m.denial, ZONEMD: m.csk}
	if m.csk {
		s.Keys = csk(t, m.algorithm)
	}
	return s
}

// modes is every algorithm with every denial, with one key and with two.
func modes() []mode {
	var list []mode
	for _, algorithm := range []dnssec.Algorithm{dnssec.ECDSAP256SHA256, dnssec.RSASHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519} {
		for _, denial := range []dnssec.Denial{dnssec.NSEC, dnssec.NSEC3, dnssec.NSEC3OptOut} {
			for _, csk := range []bool{false, true} {
				list = append(list, mode{algorithm, denial, csk})
			}
		}
	}
	return list
}

// exampleKey is a key for examples.
func exampleKey() crypto.Signer { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }
