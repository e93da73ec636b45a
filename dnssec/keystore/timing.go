package keystore

import (
	"bytes"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// Timing is the times of BIND's files, zero where they are not set. [Key.At] acts
// on them, but on Created.
type Timing struct {
	Created, Publish, Activate, Revoke, Inactive, Delete, SyncPublish, SyncDelete time.Time
}

type namedTime struct {
	name string
	time *time.Time
}

func (t *Timing) list() []namedTime {
	return []namedTime{
		{"Created", &t.Created}, {"Publish", &t.Publish}, {"Activate", &t.Activate}, {"Revoke", &t.Revoke},
		{"Inactive", &t.Inactive}, {"Delete", &t.Delete}, {"SyncPublish", &t.SyncPublish}, {"SyncDelete", &t.SyncDelete},
	}
}

// readComments takes the times from the comments of a .key file, which is where a
// key without a private file has them.
func (t *Timing) readComments(text []byte) {
	for line := range bytes.Lines(text) {
		for _, at := range t.list() {
			value, ok := bytes.CutPrefix(line, []byte("; "+at.name+": "))
			if !ok || len(value) < len(timeLayout) {
				continue
			}
			if when, err := time.Parse(timeLayout, string(value[:len(timeLayout)])); err == nil {
				*at.time = when
			}
		}
	}
}

// At returns the key as its times have it at now, with what it does then, as
// dnssec-signzone -S does. It is published from Publish on, or, where that is not
// set, when Activate is; it signs from Activate to Inactive; it is revoked (RFC
// 5011) from Revoke on, and does nothing from Delete on. CDS and CDNSKEY records
// ask for it from SyncPublish to SyncDelete. A key with none of these times does
// what Use says.
func (k *Key) At(now time.Time) dnssec.Key {
	key, t := k.Key, &k.Timing
	past := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	untimed := t.Publish.IsZero() && t.Activate.IsZero() && t.Revoke.IsZero() && t.Inactive.IsZero() && t.Delete.IsZero()
	signs := untimed || past(t.Activate) && !past(t.Inactive)
	published := untimed || past(t.Publish) || past(t.Activate) || t.Publish.IsZero() && !t.Activate.IsZero()
	switch {
	case !published || past(t.Delete):
		key.Use = 0
		return key
	case key.Flags&dnssec.FlagRevoke != 0 || past(t.Revoke):
		key.Flags |= dnssec.FlagRevoke
		key.Use = dnssec.KSK // a revoked key signs for its own revocation alone (RFC 5011 section 2.1)
		return key
	case !signs:
		key.Use &^= dnssec.SignKeys | dnssec.SignZone
	}
	if k.Use&dnssec.SignKeys != 0 && past(t.SyncPublish) && !past(t.SyncDelete) {
		key.Use |= dnssec.InParent
	}
	return key
}
