package dnssec_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto"
	"os"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/stretchr/testify/require"
)

func key(t testing.TB, alg dnssec.Algorithm, use dnssec.Use) dnssec.Key {
	var s crypto.Signer
	var err error
	switch alg {
	case 8:
		s, err = rsa.GenerateKey(rand.Reader, 2048)
	case 13:
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case 14:
		s, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case 15:
		_, s, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	flags := dnssec.FlagZone
	if use&dnssec.SignKeys != 0 {
		flags |= dnssec.FlagSEP
	}
	public, err := dnssec.MakePublicKey(flags, alg, s.Public())
	require.NoError(t, err)
	return dnssec.Key{PublicKey: public, Signer: s, Use: use}
}

func TestTry(t *testing.T) {
	o, _ := zone.ParseName(os.Getenv("O"))
	z, w, err := zone.ReadFile(os.Getenv("ZF"), o)
	for _, w := range w {
		t.Log(w)
	}
	require.NoError(t, err)
	alg := dnssec.Algorithm(13)
	s := dnssec.Signer{Keys: []dnssec.Key{key(t, alg, dnssec.KSK), key(t, alg, dnssec.ZSK)}, Validity: 30 * 24 * time.Hour}
	start := time.Now()
	r, err := s.Sign(t.Context(), z, nil, time.Now())
	require.NoError(t, err)
	t.Log(time.Since(start), r.Signed, r.Warnings)
	start = time.Now()
	s.Serial=1
	again, err := s.Sign(t.Context(), z, r.Zone, time.Now())
	require.NoError(t, err)
	t.Log(time.Since(start), again.Signed, again.Reused, again.Unchanged, again.Warnings)
	f, _ := os.Create("/tmp/dnssec-out.zone")
	_, err = r.Zone.WriteTo(f)
	require.NoError(t, err)
	f.Close()
}
