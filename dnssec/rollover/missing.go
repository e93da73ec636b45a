package rollover

import "fmt"

// dueMissing deals with a key that stays and has no private half. Nothing is lost
// by replacing one that does not sign yet. One that signs is needed back: it is
// never a reason for a rollover, which could not be signed.
func (s *step) dueMissing(key *Key) bool {
	signs := key.Records[ZRRSIG].State != Hidden || key.Records[DS].State != Hidden
	if !signs && s.holdsWithout(key) {
		return true
	}
	s.explain(Reason{Key: key.ID, Person: true, Rule: "private key", Section: "RFC 4035 section 2.2", Text: fmt.Sprintf(
		"the private half of %s is missing: its signatures stay as long as they last, and nothing else changes; "+
			"put its file back, or, if it is lost, disable the zone%s, and enable it again", key, s.inTime())})
	return false
}

// inTime says by when the zone has to be disabled for no resolver to have a DS
// record when the signatures end.
func (s *step) inTime() string {
	if s.observed.Expiry.IsZero() {
		return " in time before the signatures end"
	}
	gone := s.waits.of(DS, Hidden).end(s.now, &s.policy, &s.TTLs, false)
	return fmt.Sprintf(" before %s: the signatures end at %s, and a DS record is known for %v once it is withdrawn",
		minute(s.observed.Expiry.Add(s.now.Sub(gone))), minute(s.observed.Expiry), gone.Sub(s.now))
}

// missingHalf refuses what would have to be signed by a key whose private half is
// missing. Such a key may go when nothing depends on it.
func (s *step) missingHalf(key *Key, record Record, to RecordState) *Reason {
	if record == DS && to == Unretentive && !s.Signed || !s.Signed && s.all(DS, Hidden) {
		return nil
	}
	if key.Missing && to == Rumoured {
		return s.lacks(key, record, to, key)
	}
	for i := range s.Keys {
		other := &s.Keys[i]
		signs := other.Records[KRRSIG].State.in() || other.Records[ZRRSIG].State.in()
		if other.Missing && signs && !s.holdsWithout(other) {
			return s.lacks(key, record, to, other)
		}
	}
	return nil
}

func (s *step) lacks(key *Key, record Record, to RecordState, missing *Key) *Reason {
	return s.refused(key, record, to, "private key", "RFC 4035 section 2.2", "the private half of a key that signs, "+missing.Public.String()+", is missing")
}

// holdsWithout reports whether the rules would hold if the key stopped signing.
func (s *step) holdsWithout(key *Key) bool {
	saved := key.Records
	defer func() { key.Records = saved }()
	for _, record := range []Record{DNSKEY, ZRRSIG, KRRSIG} {
		if status := &key.Records[record]; status.State.in() {
			status.enter(Unretentive, s.now)
		}
	}
	return s.broken() == nil
}
