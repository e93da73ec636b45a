package keystore

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/berryrack/berryrack/dnssec"
)

// field is a line of BIND's private and state files.
type field struct{ name, value string }

// parseFields reads lines of NAME: VALUE; those that start with ; are comments.
func parseFields(text []byte) ([]field, error) {
	var fields []field
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			// What the line holds may be secret.
			return nil, fmt.Errorf("line %d is not of the form NAME: VALUE", number)
		}
		fields = append(fields, field{name, strings.TrimSpace(value)})
	}
	return fields, lines.Err()
}

func value(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// parsePrivate reads the private key of a private file, which is of the given
// algorithm.
func parsePrivate(text []byte, algorithm dnssec.Algorithm) (crypto.Signer, error) {
	fields, err := parseFields(text)
	if err != nil {
		return nil, err
	}
	if format := value(fields, "Private-key-format"); !strings.HasPrefix(format, "v1.") {
		return nil, fmt.Errorf("private key format %q is not v1", format)
	}
	if number, _, _ := strings.Cut(value(fields, "Algorithm"), " "); number != fmt.Sprint(uint8(algorithm)) {
		return nil, fmt.Errorf("private key is of algorithm %q, the public one of %d", number, algorithm)
	}
	if value(fields, "Engine") != "" || value(fields, "Label") != "" {
		return nil, errors.New("private key is in a hardware module, which this package does not use")
	}
	if algorithm == dnssec.RSASHA256 {
		return parseRSA(fields)
	}
	secret, err := base64.StdEncoding.DecodeString(value(fields, "PrivateKey"))
	if err != nil {
		return nil, errors.New("PrivateKey is no base64")
	}
	if algorithm == dnssec.ED25519 {
		if len(secret) != ed25519.SeedSize {
			return nil, fmt.Errorf("PrivateKey has %d octets, not %d", len(secret), ed25519.SeedSize)
		}
		return ed25519.NewKeyFromSeed(secret), nil
	}
	curve := curveOf(algorithm)
	if curve == nil {
		return nil, fmt.Errorf("algorithm %d is not supported: 8, 13, 14 and 15 are", algorithm)
	}
	// Some programs leave out leading zeros.
	size := curve.Params().BitSize / 8
	if len(secret) < size {
		secret = append(make([]byte, size-len(secret)), secret...)
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, secret)
	if err != nil {
		return nil, errors.New("PrivateKey is no key of the curve")
	}
	return key, nil
}

func curveOf(algorithm dnssec.Algorithm) elliptic.Curve {
	switch algorithm {
	case dnssec.ECDSAP256SHA256:
		return elliptic.P256()
	case dnssec.ECDSAP384SHA384:
		return elliptic.P384()
	}
	return nil
}

func parseRSA(fields []field) (crypto.Signer, error) {
	number := func(name string) *big.Int {
		octets, err := base64.StdEncoding.DecodeString(value(fields, name))
		if err != nil {
			return new(big.Int)
		}
		return new(big.Int).SetBytes(octets)
	}
	exponent := number("PublicExponent")
	if exponent.BitLen() > 31 {
		return nil, errors.New("RSA exponent is too large")
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number("Modulus"), E: int(exponent.Int64())},
		D:         number("PrivateExponent"),
		Primes:    []*big.Int{number("Prime1"), number("Prime2")},
	}
	if key.N.BitLen() < 1024 {
		return nil, errors.New("RSA key has fewer than 1024 bits")
	}
	if err := key.Validate(); err != nil {
		return nil, errors.New("the numbers of the RSA key do not fit each other")
	}
	key.Precompute()
	return key, nil
}

// formatPrivate writes a private file.
func formatPrivate(algorithm dnssec.Algorithm, signer crypto.Signer, timing Timing) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Private-key-format: v1.3\nAlgorithm: %d (%s)\n", algorithm, algorithm)
	line := func(name string, octets []byte) {
		fmt.Fprintf(&b, "%s: %s\n", name, base64.StdEncoding.EncodeToString(octets))
	}
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		line("Modulus", key.N.Bytes())
		line("PublicExponent", big.NewInt(int64(key.E)).Bytes())
		line("PrivateExponent", key.D.Bytes())
		line("Prime1", key.Primes[0].Bytes())
		line("Prime2", key.Primes[1].Bytes())
		line("Exponent1", key.Precomputed.Dp.Bytes())
		line("Exponent2", key.Precomputed.Dq.Bytes())
		line("Coefficient", key.Precomputed.Qinv.Bytes())
	case *ecdsa.PrivateKey:
		secret, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		line("PrivateKey", secret)
	case ed25519.PrivateKey:
		line("PrivateKey", key.Seed())
	default:
		return nil, fmt.Errorf("a %T cannot be written to a file", signer)
	}
	for _, at := range timing.list() {
		if !at.time.IsZero() {
			fmt.Fprintf(&b, "%s: %s\n", at.name, at.time.UTC().Format(timeLayout))
		}
	}
	return b.Bytes(), nil
}
