package rollover

import (
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// Observations is what the world looks like at a Step. The zero value is that
// nothing was looked at but the keys, and that there are none.
type Observations struct {
	// Keys is every key of the zone in the key store, and every key of the zone as
	// it is served. A key that Step asked for with Generate is found here, however
	// often it crashed in between.
	Keys []AvailableKey
	// Served is the generation that the zone's servers serve, and ServedSince from
	// when on. Zero is not known.
	Served      uint64
	ServedSince time.Time
	// Expiry is when the first signature of the zone as served ends. Zero is not known.
	Expiry time.Time
	// KeyTTL is the TTL of the DNSKEY set as served, 0 when there is none.
	KeyTTL time.Duration
	// ZoneTTL is the highest TTL of the zone, before and after it is signed. Zero is
	// not known.
	ZoneTTL time.Duration
	// DS is the answers of all servers of the parent. When they are not asked what was
	// seen last is taken to be so still: ask them for each Step while a DS record is
	// waited for, and once a day. It is empty when they cannot be asked at all.
	DS []DSAnswer
	// Elapsed is the time since the last Step by a clock that does not leap (a Go
	// monotonic clock reading). Zero is not known, as after a restart: then no more
	// than the safety intervals count as passed.
	Elapsed time.Duration
	// Events is what the operator wants done.
	Events []Event
}

// AvailableKey is a key that is there.
type AvailableKey struct {
	// Public is its DNSKEY; keys that differ in the REVOKE flag alone are the same one.
	Public dnssec.PublicKey
	// Role is what it is for, in the observer's judgement: Step takes it as it is.
	Role Role
	// Private is that the private half is there.
	Private bool
	// Served is what the key is seen to do in the zone as it is served: Publish when
	// it is in the DNSKEY set, SignKeys and SignZone when there are signatures of it.
	// It is how a zone is adopted whose state is not known.
	Served dnssec.Use
	// Since is when it was published, by the timing metadata of its file. Zero is
	// not known.
	Since time.Time
	// Retired is that its metadata says that it is inactive or deleted: such a key is
	// not taken into use.
	Retired bool
}

// DSAnswer is the DS set at one server of the parent.
type DSAnswer struct {
	// Server names the server.
	Server string
	// TTL is that of the set, 0 when it is empty.
	TTL time.Duration
	// Records is the RDATA of the DS records.
	Records [][]byte
	// Failed is that there was no answer that counts.
	Failed bool
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	// Roll starts a rollover of a role now.
	Roll EventKind = iota + 1
	// Emergency retires a key as fast as its TTLs allow, and replaces it.
	Emergency
	// DSPublished and DSWithdrawn take the operator's word for what all servers of
	// the parent have, when they cannot be asked.
	DSPublished
	DSWithdrawn
	// ClockRight takes the clock as true.
	ClockRight
)

// Event is what the operator wants done. It is given to one Step, which keeps it in
// the state.
type Event struct {
	Kind EventKind // says whether Role or Key counts; ClockRight needs neither
	Role Role      // of Roll
	Key  KeyID     // of the others
}
