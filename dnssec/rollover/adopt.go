package rollover

import (
	"fmt"
	"slices"
	"time"
)

// available returns a key that is there, nil when it is not.
func (s *step) available(id KeyID) *AvailableKey {
	for i := range s.observed.Keys {
		if IDOf(s.observed.Keys[i].Public) == id {
			return &s.observed.Keys[i]
		}
	}
	return nil
}

// observeKeys takes in which keys are there: which private halves are missing, and
// which keys the zone has that the state knows nothing of.
func (s *step) observeKeys() {
	for i := range s.Keys {
		s.Keys[i].Missing = true
	}
	for i := range s.observed.Keys {
		available := &s.observed.Keys[i]
		id := IDOf(available.Public)
		key := s.Key(id)
		if key == nil {
			if slices.Contains(s.Gone, id) || len(s.Keys) == maxKeys || available.Served == 0 && !s.inParent(available) {
				continue
			}
			key = s.adopt(id, available)
		}
		key.Missing = !available.Private
		s.correct(key, available, Hidden)
	}
}

// adopt takes over a key of a zone that was signed by others, or whose state was
// lost.
func (s *step) adopt(id KeyID, available *AvailableKey) *Key {
	created := s.now
	if !available.Since.IsZero() && available.Since.Before(s.now) {
		created = available.Since
	}
	key := Key{ID: id, Public: available.Public, Role: available.Role, Created: created, Activated: created}
	for record := range Records {
		// What is not seen may have been there a moment ago.
		if key.Role.Has(record) && available.Served != 0 {
			key.Records[record] = RecordStatus{State: Unretentive, Since: s.now, Entered: s.now.Add(-time.Second), Seen: s.now}
		}
	}
	key.Records[DS].Seen = time.Time{}
	s.Keys = append(s.Keys, key)
	s.correct(s.Key(id), available, Unretentive)
	s.explain(Reason{Key: id, Done: true, Rule: "adoption", Section: "RFC 7583 section 3.1", Text: fmt.Sprintf(
		"%s is taken over: what is seen of it counts from now on", &key)})
	return s.Key(id)
}

// correct has what is seen in the zone known as rumoured, if it was thought not to
// be there. That it is known everywhere is found by waiting.
func (s *step) correct(key *Key, available *AvailableKey, thought RecordState) {
	for record, use := range uses {
		status := &key.Records[record]
		if available.Served&use == 0 || !key.Role.Has(Record(record)) || status.State != thought {
			continue
		}
		*status = RecordStatus{State: Rumoured, Since: s.now, Seen: s.now}
		s.explain(s.moved(key, Record(record), thought, Rumoured))
	}
}

// inParent reports whether a server of the parent has a DS record of a key.
func (s *step) inParent(available *AvailableKey) bool {
	if available.Role == ZSK {
		return false
	}
	_, some := s.findDS(available.Public)
	return some
}
