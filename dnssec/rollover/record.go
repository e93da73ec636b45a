package rollover

import (
	"fmt"
	"time"
)

// RecordState is what resolvers may know of a record.
type RecordState uint8

// The states of a record, in the order in which it goes through them.
const (
	Hidden      RecordState = iota // no resolver has it
	Rumoured                       // published; some resolvers may not have it yet
	Omnipresent                    // every resolver that has the set has the record
	Unretentive                    // withdrawn; some resolvers may still have it
)

var stateNames = [...]string{"hidden", "rumoured", "omnipresent", "unretentive"}

// String returns the state's name, in lower case.
func (s RecordState) String() string { return nameOf(stateNames[:], s) }

// MarshalText returns the state's name.
func (s RecordState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *RecordState) UnmarshalText(text []byte) error {
	return unmarshalName(s, stateNames[:], "record state", text)
}

// in reports whether the record is in the zone, or wanted in the parent.
func (s RecordState) in() bool { return s == Rumoured || s == Omnipresent }

// Record is one of the kinds of records that belong to a key.
type Record uint8

// The records of a key.
const (
	DNSKEY  Record = iota // the key in the DNSKEY set
	ZRRSIG                // its signatures of all other sets
	KRRSIG                // its signatures of the sets DNSKEY, CDS and CDNSKEY
	DS                    // its DS record, in the parent
	Records               // how many there are
)

var recordNames = [...]string{"DNSKEY", "ZRRSIG", "KRRSIG", "DS"}

// String returns the record's name, in upper case.
func (r Record) String() string { return nameOf(recordNames[:], r) }

// MarshalText returns the record's name.
func (r Record) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a record's name.
func (r *Record) UnmarshalText(text []byte) error {
	return unmarshalName(r, recordNames[:], "record", text)
}

// Role is what a key is for (RFC 9499 section 10).
type Role uint8

// The roles of a key.
const (
	KSK Role = iota + 1 // key signing key: KRRSIG and DS
	ZSK                 // zone signing key: ZRRSIG
	CSK                 // combined signing key: all
)

var roleNames = [...]string{"", "KSK", "ZSK", "CSK"}

// String returns the role's name, in upper case.
func (r Role) String() string { return nameOf(roleNames[:], r) }

// MarshalText returns the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name.
func (r *Role) UnmarshalText(text []byte) error {
	return unmarshalName(r, roleNames[:], "role", text)
}

// Has reports whether keys of the role have such a record.
func (r Role) Has(record Record) bool {
	switch record {
	case DNSKEY:
		return true
	case ZRRSIG:
		return r != KSK
	default:
		return r != ZSK
	}
}

// RecordStatus is the state of one record of a key.
type RecordStatus struct {
	// State stays Hidden, the zero value, when keys of the role have no such record.
	State RecordState
	// Since is when the state was decided on.
	Since time.Time `json:",omitzero"`
	// Seen is when the state was first known to be out: served by the servers of
	// the zone, or, for a DS record, there or gone at all servers of the parent.
	// Zero is not yet.
	Seen time.Time `json:",omitzero"`
	// Entered is, for an unretentive record, when it had become rumoured; zero when
	// it was omnipresent.
	Entered time.Time `json:",omitzero"`
}

func nameOf[T ~uint8](names []string, value T) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprintf("%d", uint8(value))
}

func unmarshalName[T ~uint8](value *T, names []string, kind string, text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*value = T(i)
			return nil
		}
	}
	return fmt.Errorf("rollover: no such %s: %q", kind, text)
}
