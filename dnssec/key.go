package dnssec

import (
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// Flags of a DNSKEY record.
const (
	FlagZone   uint16 = 0x0100 // zone key (RFC 4034 section 2.1.1)
	FlagRevoke uint16 = 0x0080 // revoked key (RFC 5011 section 2.1)
	FlagSEP    uint16 = 0x0001 // secure entry point (RFC 4034 section 2.1.1)
)

// PublicKey is what a DNSKEY record holds (RFC 4034 section 2.1).
type PublicKey struct {
	Flags     uint16    // FlagZone, FlagRevoke, FlagSEP
	Algorithm Algorithm // its number in the registry of DNS security algorithms
	// Key is the public key field (RFC 3110, RFC 6605, RFC 8080).
	Key []byte
}

// MakePublicKey returns the DNSKEY of a key: an *rsa.PublicKey, *ecdsa.PublicKey
// or ed25519.PublicKey that suits the algorithm.
func MakePublicKey(flags uint16, algorithm Algorithm, key crypto.PublicKey) (PublicKey, error) {
	field, err := publicField(algorithm, key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("dnssec: %w", err)
	}
	return PublicKey{Flags: flags, Algorithm: algorithm, Key: field}, nil
}

// ParsePublicKey reads the RDATA of a DNSKEY record. It does not check the key.
func ParsePublicKey(rdata []byte) (PublicKey, error) {
	if len(rdata) < 5 || rdata[2] != 3 {
		return PublicKey{}, errors.New("dnssec: DNSKEY record is cut short or its protocol is not 3 (RFC 4034 section 2.1.2)")
	}
	return PublicKey{Flags: binary.BigEndian.Uint16(rdata), Algorithm: Algorithm(rdata[3]), Key: rdata[4:]}, nil
}

// RDATA returns the RDATA of the DNSKEY record, and of its CDNSKEY record.
func (k PublicKey) RDATA() []byte {
	rdata := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(k.Key)), k.Flags)
	return append(append(rdata, 3, byte(k.Algorithm)), k.Key...)
}

// Tag returns the key tag (RFC 4034 appendix B), which does not identify a key:
// keys may share a tag.
func (k PublicKey) Tag() uint16 {
	sum := uint32(0)
	for i, c := range k.RDATA() {
		if i%2 == 0 {
			sum += uint32(c) << 8
			continue
		}
		sum += uint32(c)
	}
	return uint16(sum + sum>>16)
}

// Equal reports whether the keys are the same, flags too.
func (k PublicKey) Equal(other PublicKey) bool { return string(k.RDATA()) == string(other.RDATA()) }

// String names the key as BIND's files do: by algorithm and tag.
func (k PublicKey) String() string { return fmt.Sprintf("%03d+%05d", k.Algorithm, k.Tag()) }

// DigestType is the digest algorithm of a DS record.
type DigestType uint8

// The digests for DS records that RFC 8624 section 3.3 has for delegation.
const (
	SHA256 DigestType = 2 // RFC 4509
	SHA384 DigestType = 4 // RFC 6605
)

// DS returns the RDATA of the DS record (RFC 4034 section 5.1) of the key, and of
// its CDS record.
func (k PublicKey) DS(owner wire.Name, digest DigestType) []byte {
	rdata := binary.BigEndian.AppendUint16(nil, k.Tag())
	rdata = append(rdata, byte(k.Algorithm), byte(digest))
	message := append([]byte(owner), k.RDATA()...)
	if digest == SHA384 {
		sum := sha512.Sum384(message)
		return append(rdata, sum[:]...)
	}
	sum := sha256.Sum256(message)
	return append(rdata, sum[:]...)
}

// Use is what a key does in its zone, as a set of flags.
type Use uint8

// The uses of a key. What signs need not be published and what is published need
// not sign: rolling a key over goes through both.
const (
	// Publish has the key in the DNSKEY set.
	Publish Use = 1 << iota
	// SignKeys signs the sets DNSKEY, CDS and CDNSKEY.
	SignKeys
	// SignZone signs all other sets.
	SignZone
	// InParent has the key in the CDS and CDNSKEY sets (RFC 7344), which ask the
	// parent for a DS record.
	InParent

	KSK = Publish | SignKeys // key signing key
	ZSK = Publish | SignZone // zone signing key
	CSK = KSK | SignZone     // combined signing key
)

// Key is a key of a zone, and what it does there.
type Key struct {
	PublicKey
	// Signer is the private key, nil when that is kept elsewhere: then only
	// signatures that are there already are used. It is called from several
	// goroutines at once. It may be anything that signs as the standard library's
	// keys do: a PKCS#11 module for example. ECDSA keys of the standard library
	// sign deterministically (RFC 6979).
	Signer crypto.Signer
	Use    Use // what it signs
}

const (
	typeNS         = wire.Type(dns.TypeNS)
	typeSOA        = wire.Type(dns.TypeSOA)
	typeDNAME      = wire.Type(dns.TypeDNAME)
	typeDS         = wire.Type(dns.TypeDS)
	typeRRSIG      = wire.Type(dns.TypeRRSIG)
	typeNSEC       = wire.Type(dns.TypeNSEC)
	typeDNSKEY     = wire.Type(dns.TypeDNSKEY)
	typeNSEC3      = wire.Type(dns.TypeNSEC3)
	typeNSEC3PARAM = wire.Type(dns.TypeNSEC3PARAM)
	typeCDS        = wire.Type(dns.TypeCDS)
	typeCDNSKEY    = wire.Type(dns.TypeCDNSKEY)
	typeZONEMD     = wire.Type(dns.TypeZONEMD)
)
