package nat64

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// optionPREF64 is the type of the option in Router Advertisements (RFC 8781, section 4).
const optionPREF64 = 38

// MaxPREF64Lifetime is the longest lifetime that the option can say: 13 bits of 8 seconds.
const MaxPREF64Lifetime = 8191 * 8 * time.Second

// pref64Lengths are the lengths by Prefix Length Code (RFC 8781, section 4).
var pref64Lengths = [...]uint8{96, 64, 56, 48, 40, 32}

// PREF64 returns the 16 octets of the Router Advertisement option that
// announces p for lifetime, which is rounded up to 8 seconds, so that a short
// one never becomes a withdrawal. Zero withdraws p.
func (p Prefix) PREF64(lifetime time.Duration) ([16]byte, error) {
	if !p.IsValid() {
		return [16]byte{}, ErrNoPrefix
	}
	if lifetime < 0 || lifetime > MaxPREF64Lifetime {
		return [16]byte{}, fmt.Errorf("nat64: PREF64 lifetime %v is not between 0 and %v", lifetime, MaxPREF64Lifetime)
	}
	scaled := uint16((lifetime + 8*time.Second - 1) / (8 * time.Second))
	var code uint16
	for i, n := range pref64Lengths {
		if n == p.n {
			code = uint16(i)
		}
	}
	option := [16]byte{optionPREF64, 2, byte(scaled >> 5), byte(scaled<<3 | code)}
	binary.BigEndian.PutUint64(option[4:], p.hi)
	binary.BigEndian.PutUint32(option[12:], uint32(p.lo>>32))
	return option, nil
}

// ParsePREF64 reads a PREF64 option. A lifetime of 0 withdraws the prefix.
// Options with a Prefix Length Code that has no meaning are errors, and so are
// prefixes that [PrefixFrom] refuses.
func ParsePREF64(option []byte) (Prefix, time.Duration, error) {
	if len(option) != 16 || option[0] != optionPREF64 || option[1] != 2 {
		return Prefix{}, 0, errors.New("nat64: not a PREF64 option of 16 octets")
	}
	field := uint16(option[2])<<8 | uint16(option[3])
	code := int(field & 7)
	if code >= len(pref64Lengths) {
		return Prefix{}, 0, fmt.Errorf("nat64: PREF64 option with prefix length code %d", code)
	}
	// What follows the prefix must be ignored (RFC 8781, section 4).
	p, err := masked(option[4:], pref64Lengths[code])
	return p, time.Duration(field>>3) * 8 * time.Second, err
}
