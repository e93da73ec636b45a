package rollover

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// KeyID identifies a key: the SHA-256 digest of its DNSKEY RDATA with the REVOKE
// flag clear. Key tags do not: keys may share one.
type KeyID [32]byte

// IDOf returns the identity of a key.
func IDOf(key dnssec.PublicKey) KeyID {
	key.Flags &^= dnssec.FlagRevoke
	return sha256.Sum256(key.RDATA())
}

// String returns the identity in hexadecimal.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the identity in hexadecimal.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads an identity in hexadecimal.
func (id *KeyID) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(id) {
		return fmt.Errorf("rollover: key identity %q: want %d hexadecimal digits", text, hex.EncodedLen(len(id)))
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// Key is a key of a zone and how far it is.
type Key struct {
	ID     KeyID            // IDOf(Public)
	Public dnssec.PublicKey // as it was when the key was taken into use
	Role   Role             // for good; says which Records the key has
	// Retiring keys make for Hidden with all their records, others for Omnipresent.
	// A retiring key never comes back.
	Retiring bool `json:",omitempty"`
	// Emergency leaves the safety intervals of the policy out of all waits.
	Emergency bool `json:",omitempty"`
	// Roll is that the operator wants the key replaced now.
	Roll bool `json:",omitempty"`
	// Missing is that the private half was not there at the last Step.
	Missing bool `json:",omitempty"`
	// Records is in the order DNSKEY, ZRRSIG, KRRSIG, DS.
	Records [Records]RecordStatus
	// Created is when the key was taken into use. Activated is when it first signed
	// the zone or, for a KSK, when its DS record was first wanted in the parent; its
	// lifetime counts from there.
	Created   time.Time
	Activated time.Time `json:",omitzero"`
	// Predecessor is the key in whose place it was taken into use, nil when there was
	// none, Successor the latest that was in its own. They may be gone from State.Keys.
	Predecessor *KeyID `json:",omitempty"`
	Successor   *KeyID `json:",omitempty"`
}

// String names the key by role, algorithm and tag.
func (k *Key) String() string { return fmt.Sprintf("%s %s", k.Role, k.Public) }

// uses is what a key does in the zone for a record of it to be there.
var uses = [Records]dnssec.Use{DNSKEY: dnssec.Publish, ZRRSIG: dnssec.SignZone, KRRSIG: dnssec.SignKeys, DS: dnssec.InParent}

// Use returns what the key does in the zone now. InParent is for the CDS and
// CDNSKEY sets (RFC 7344).
func (k *Key) Use() dnssec.Use {
	use := dnssec.Use(0)
	for record, status := range k.Records {
		if status.State.in() {
			use |= uses[record]
		}
	}
	return use
}

// State is all that is known about the keys of a zone. It is a plain value that
// survives a round through JSON; Step returns the next one and leaves the present
// one as it is. A new zone has only Zone, and Signed.
type State struct {
	// Zone is the name of the zone in presentation form.
	Zone string
	// Signed is what the operator wants; changing it enables and disables.
	Signed bool
	// Keys is in the order in which they were taken into use, retiring ones too until
	// they are purged; 32 at most.
	Keys []Key `json:",omitempty"`
	// Generation counts up when what is to be published changes: the uses of the
	// keys, the TTLs, DeleteDS.
	Generation uint64
	// Served is the latest generation that was seen to be served.
	Served uint64
	// DeleteDS asks the parent to delete the whole DS set, by the CDS and CDNSKEY
	// records of RFC 8078 section 4.
	DeleteDS bool `json:",omitempty"`
	// TTLs is those in effect, and what is left of earlier, higher ones.
	TTLs TTLs
	// Clock is what is known about the clock.
	Clock Clock
	// StrayUntil is until when resolvers may have a DS record that belongs to no key.
	StrayUntil time.Time `json:",omitzero"`
	// Gone is the keys that were forgotten, so that they are never used again.
	Gone []KeyID `json:",omitempty"`
}

// TTLs is the TTLs that decide for how long resolvers keep a set: DNSKEY, the
// highest of the zone's other sets, and DS.
type TTLs struct {
	// Key, Zone and DS are TTLkey, TTLsig and TTLds of RFC 7583 (appendix A).
	Key, Zone, DS TTL
	// DSSeen is that DS is the parent's, and not the policy's.
	DSSeen bool `json:",omitempty"`
}

// TTL is a TTL, and a higher one that it took the place of, which copies in
// resolvers may still have.
type TTL struct {
	Value time.Duration // in effect now; nanoseconds in JSON, as Earlier
	// Earlier is the highest that a lower one took the place of; zero when its copies
	// are gone.
	Earlier time.Duration `json:",omitempty"`
	// Lowered is since when the earlier one is not served any more; zero is not yet.
	Lowered time.Time `json:",omitzero"`
}

// Clock is what Step knows about the clock from earlier calls.
type Clock struct {
	// Last is the time of the last Step.
	Last time.Time `json:",omitzero"`
	// Behind is by how much the true time may be behind the clock: how far it leapt
	// without a reason that was known.
	Behind time.Duration `json:",omitempty"`
	// Leapt is when it last did.
	Leapt time.Time `json:",omitzero"`
}

// Key returns the key with an identity, nil when there is none.
func (s *State) Key(id KeyID) *Key {
	for i := range s.Keys {
		if s.Keys[i].ID == id {
			return &s.Keys[i]
		}
	}
	return nil
}

// Uses returns the public keys that the zone is to be signed with now, and what
// each of them does: the manager joins the private halves. It is empty when the
// zone is to be unsigned.
func (s *State) Uses() []dnssec.Key {
	var keys []dnssec.Key
	for i := range s.Keys {
		if use := s.Keys[i].Use(); use != 0 {
			keys = append(keys, dnssec.Key{PublicKey: s.Keys[i].Public, Use: use})
		}
	}
	return keys
}
