package keystore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// Timing is the times of BIND's files, zero where they are not set: from Created on
// the key exists, from Publish to Delete its DNSKEY record is in the zone, from
// Activate to Inactive it signs, from Revoke on it has the REVOKE flag, and from
// SyncPublish to SyncDelete the zone has its CDS and CDNSKEY records. [Key.At] acts on
// them, but on Created.
type Timing struct {
	Created, Publish, Activate, Revoke, Inactive, Delete, SyncPublish, SyncDelete time.Time
}

// namedTime is a time by what private files call it, and .state files, whose own
// names for the last two BIND does not read.
type namedTime struct {
	name, state string
	time        *time.Time
}

func (t *Timing) list() []namedTime {
	return []namedTime{
		{"Created", "Generated", &t.Created}, {"Publish", "Published", &t.Publish}, {"Activate", "Active", &t.Activate}, {"Revoke", "Revoked", &t.Revoke},
		{"Inactive", "Retired", &t.Inactive}, {"Delete", "Removed", &t.Delete}, {"SyncPublish", "", &t.SyncPublish}, {"SyncDelete", "", &t.SyncDelete},
	}
}

// readState takes the times from a .state file, which go before those of other
// files, as with BIND.
func (t *Timing) readState(lines []StateLine) error {
	for _, line := range lines {
		for _, at := range t.list() {
			if line.Name != at.state {
				continue
			}
			when, err := time.Parse(timeLayout, line.Value[:min(len(line.Value), len(timeLayout))])
			if err != nil {
				return fmt.Errorf("%s is no time", line.Name)
			}
			*at.time = when
		}
	}
	return nil
}

// stateWith returns the lines of a .state file with the times as they are now.
func (t *Timing) stateWith(lines []StateLine) []StateLine {
	for _, at := range t.list() {
		i := slices.IndexFunc(lines, func(l StateLine) bool { return l.Name == at.state })
		switch {
		case at.state == "", i < 0 && at.time.IsZero():
		case at.time.IsZero():
			lines = slices.Delete(slices.Clone(lines), i, i+1)
		case i < 0:
			lines = append(slices.Clone(lines), StateLine{at.state, stateTime(*at.time)})
		case !strings.HasPrefix(lines[i].Value, at.time.UTC().Format(timeLayout)):
			lines = slices.Clone(lines)
			lines[i].Value = stateTime(*at.time)
		}
	}
	return lines
}

func stateTime(at time.Time) string {
	at = at.UTC()
	return at.Format(timeLayout) + " (" + at.Format(time.ANSIC) + ")"
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
// dnssec-signzone -S does. It is published from Publish or Activate on, whichever
// is sooner; it signs from Activate to Inactive; it is revoked (RFC 5011) from
// Revoke on, and does nothing from Delete on. CDS and CDNSKEY records ask for it
// from SyncPublish to SyncDelete. A key with none of these times does what Use
// says.
func (k *Key) At(now time.Time) dnssec.Key {
	key, t := k.Key, &k.Timing
	past := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	untimed := t.Publish.IsZero() && t.Activate.IsZero() && t.Revoke.IsZero() && t.Inactive.IsZero() && t.Delete.IsZero()
	signs := untimed || past(t.Activate) && !past(t.Inactive)
	published := untimed || past(t.Publish) || past(t.Activate)
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
