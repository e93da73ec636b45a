package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/berryrack/berryrack/dnssec/wire"
)

// rrsig is the fields of an RRSIG record (RFC 4034 section 3.1).
type rrsig struct {
	covered               wire.Type
	algorithm             Algorithm
	labels                uint8
	ttl                   uint32
	expiration, inception uint32
	tag                   uint16
	signer                wire.Name
	signature             []byte
}

// rrsigFixed is the octets of an RRSIG record before the signer's name.
const rrsigFixed = 18

// parseRRSIG reads the RDATA of an RRSIG record of a zone, which is well-formed.
func parseRRSIG(rdata []byte) rrsig {
	end := rrsigFixed
	for rdata[end] != 0 {
		end += 1 + int(rdata[end])
	}
	end++
	return rrsig{
		covered:    wire.Type(binary.BigEndian.Uint16(rdata)),
		algorithm:  Algorithm(rdata[2]),
		labels:     rdata[3],
		ttl:        binary.BigEndian.Uint32(rdata[4:]),
		expiration: binary.BigEndian.Uint32(rdata[8:]),
		inception:  binary.BigEndian.Uint32(rdata[12:]),
		tag:        binary.BigEndian.Uint16(rdata[16:]),
		signer:     wire.Name(rdata[rrsigFixed:end]),
		signature:  rdata[end:],
	}
}

// appendHead appends the RDATA without the signature, which is what the signed
// message begins with (RFC 4034 section 3.1.8.1).
func (r *rrsig) appendHead(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.covered))
	dst = append(dst, byte(r.algorithm), r.labels)
	dst = binary.BigEndian.AppendUint32(dst, r.ttl)
	dst = binary.BigEndian.AppendUint32(dst, r.expiration)
	dst = binary.BigEndian.AppendUint32(dst, r.inception)
	dst = binary.BigEndian.AppendUint16(dst, r.tag)
	return append(dst, r.signer...)
}

// appendRecords appends the records of a set as the signed message has them (RFC
// 4034 section 3.1.8.1): data is in canonical form and order.
func appendRecords(dst []byte, owner wire.Name, t wire.Type, ttl uint32, data wire.RDATA) []byte {
	for rdata := range data.All() {
		dst = append(dst, owner...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(t))
		dst = append(dst, 0, 1) // class IN
		dst = binary.BigEndian.AppendUint32(dst, ttl)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(rdata)))
		dst = append(dst, rdata...)
	}
	return dst
}

// signatureLabels counts the labels as signatures do: a leading asterisk and the
// root are not counted (RFC 4034 section 3.1.3).
func signatureLabels(owner wire.Name) uint8 {
	labels := owner.Labels()
	if owner.IsWildcard() {
		labels--
	}
	return uint8(labels)
}

// before compares times of signatures, which count modulo 2^32 (RFC 4034 section
// 3.1.5, RFC 1982).
func before(a, b uint32) bool { return int32(a-b) < 0 }

// earlier returns the first of two times of signatures.
func earlier(a, b uint32) uint32 {
	if before(b, a) {
		return b
	}
	return a
}

// sign signs a message and appends the signature in the form of RRSIG records.
func sign(dst []byte, algorithm Algorithm, signer crypto.Signer, message []byte) ([]byte, error) {
	digest, hash := algorithm.digest(message)
	signature, err := signer.Sign(randomFor(signer), digest, hash)
	if err != nil {
		return dst, err
	}
	if curve := algorithm.curve(); curve != nil {
		return appendECDSA(dst, signature, curve.Params().BitSize/8)
	}
	return append(dst, signature...), nil
}

// randomFor returns no randomness for the standard library's ECDSA keys, which
// then sign deterministically (RFC 6979), and faster. Others may need it.
func randomFor(signer crypto.Signer) io.Reader {
	if _, ok := signer.(*ecdsa.PrivateKey); ok {
		return nil
	}
	return rand.Reader
}

// appendECDSA appends r and s of an ASN.1 signature, each with size octets (RFC
// 6605 section 4).
func appendECDSA(dst, signature []byte, size int) ([]byte, error) {
	bad := errors.New("signer did not return an ASN.1 ECDSA signature")
	// SEQUENCE { INTEGER r, INTEGER s }, always with short lengths here.
	if len(signature) < 2 || signature[0] != 0x30 || int(signature[1]) != len(signature)-2 {
		return dst, bad
	}
	rest := signature[2:]
	for range 2 {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return dst, bad
		}
		number := rest[2 : 2+int(rest[1])]
		rest = rest[2+int(rest[1]):]
		for len(number) > size && number[0] == 0 {
			number = number[1:]
		}
		if len(number) > size {
			return dst, bad
		}
		for range size - len(number) {
			dst = append(dst, 0)
		}
		dst = append(dst, number...)
	}
	if len(rest) > 0 {
		return dst, bad
	}
	return dst, nil
}

var errSignature = errors.New("signature does not verify")

// verifySignature checks a signature in the form of RRSIG records.
func verifySignature(algorithm Algorithm, key crypto.PublicKey, message, signature []byte) error {
	digest, hash := algorithm.digest(message)
	ok := false
	switch key := key.(type) {
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		half := key.Params().BitSize / 8
		if len(signature) != 2*half {
			return fmt.Errorf("signature has %d octets, not %d", len(signature), 2*half)
		}
		encoded, err := asn1.Marshal(struct{ R, S *big.Int }{
			new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
		})
		ok = err == nil && ecdsa.VerifyASN1(key, digest, encoded)
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, digest, signature)
	}
	if !ok {
		return errSignature
	}
	return nil
}
