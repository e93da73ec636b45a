package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// Algorithm is a number of the registry of DNSSEC algorithms.
type Algorithm uint8

// The algorithms that are signed and verified with: those that RFC 8624 section
// 3.1 has as MUST or RECOMMENDED for validation, but for SHA-1 ones.
const (
	RSASHA256       Algorithm = 8  // RFC 5702
	ECDSAP256SHA256 Algorithm = 13 // RFC 6605
	ECDSAP384SHA384 Algorithm = 14 // RFC 6605
	ED25519         Algorithm = 15 // RFC 8080
)

// String returns the mnemonic, or the number of an algorithm that is not supported.
func (a Algorithm) String() string {
	switch a {
	case RSASHA256:
		return "RSASHA256"
	case ECDSAP256SHA256:
		return "ECDSAP256SHA256"
	case ECDSAP384SHA384:
		return "ECDSAP384SHA384"
	case ED25519:
		return "ED25519"
	}
	return strconv.Itoa(int(a))
}

// curve returns the curve of an ECDSA algorithm, nil for others.
func (a Algorithm) curve() elliptic.Curve {
	switch a {
	case ECDSAP256SHA256:
		return elliptic.P256()
	case ECDSAP384SHA384:
		return elliptic.P384()
	}
	return nil
}

// digest returns what crypto.Signer signs for a message, and the hash it is made
// with; Ed25519 signs the message.
func (a Algorithm) digest(message []byte) ([]byte, crypto.Hash) {
	switch a {
	case ED25519:
		return message, crypto.Hash(0)
	case ECDSAP384SHA384:
		sum := sha512.Sum384(message)
		return sum[:], crypto.SHA384
	}
	sum := sha256.Sum256(message)
	return sum[:], crypto.SHA256
}

// errAlgorithm is wrapped where an algorithm is not supported.
var errAlgorithm = errors.New("unsupported algorithm: 8, 13, 14 and 15 are supported")

// publicKey reads the public key field of a DNSKEY record.
func publicKey(a Algorithm, field []byte) (crypto.PublicKey, error) {
	switch a {
	case RSASHA256:
		return rsaKey(field)
	case ECDSAP256SHA256, ECDSAP384SHA384:
		key, err := ecdsa.ParseUncompressedPublicKey(a.curve(), append([]byte{4}, field...))
		if err != nil {
			return nil, fmt.Errorf("public key is no point of the curve: %w", err)
		}
		return key, nil
	case ED25519:
		if len(field) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("public key has %d octets, not %d", len(field), ed25519.PublicKeySize)
		}
		return ed25519.PublicKey(field), nil
	}
	return nil, fmt.Errorf("algorithm %d: %w", a, errAlgorithm)
}

// rsaKey reads an RSA key (RFC 3110 section 2) of 1,024 to 4,096 bits: RFC 5702
// section 2.1 has the upper bound, and fewer bits are no longer safe.
func rsaKey(field []byte) (*rsa.PublicKey, error) {
	bad := errors.New("malformed RSA public key")
	if len(field) < 3 {
		return nil, bad
	}
	length, rest := int(field[0]), field[1:]
	if length == 0 {
		length, rest = int(field[1])<<8|int(field[2]), field[3:]
	}
	if length == 0 || length > 4 || len(rest) <= length {
		return nil, bad
	}
	exponent := 0
	for _, c := range rest[:length] {
		exponent = exponent<<8 | int(c)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(rest[length:]), E: exponent}
	if bits := key.N.BitLen(); bits < 1024 || bits > 4096 || exponent < 3 || exponent > 1<<31-1 || exponent%2 == 0 {
		return nil, fmt.Errorf("RSA key of %d bits with exponent %d is not supported", bits, exponent)
	}
	return key, nil
}

// publicField writes the public key field of a DNSKEY record.
func publicField(a Algorithm, key crypto.PublicKey) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if a == RSASHA256 {
			exponent := big.NewInt(int64(key.E)).Bytes()
			return append(append([]byte{byte(len(exponent))}, exponent...), key.N.Bytes()...), nil
		}
	case *ecdsa.PublicKey:
		if a.curve() != nil && key.Curve == a.curve() {
			point, err := key.Bytes()
			if err != nil {
				return nil, err
			}
			return point[1:], nil
		}
	case ed25519.PublicKey:
		if a == ED25519 {
			return key, nil
		}
	}
	if a.curve() == nil && a != RSASHA256 && a != ED25519 {
		return nil, fmt.Errorf("algorithm %d: %w", a, errAlgorithm)
	}
	return nil, fmt.Errorf("a %T is no key for algorithm %s", key, a)
}
