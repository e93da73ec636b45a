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
	fresh := len(s.Keys) == 0
	for i := range s.Keys {
		s.Keys[i].Missing = true
	}
	var others []KeyID
	for i := range s.observed.Keys {
		available := &s.observed.Keys[i]
		id := IDOf(available.Public)
		key := s.Key(id)
		switch {
		case key != nil:
		case slices.Contains(s.Gone, id) || len(s.Keys) == maxKeys:
			continue
		case available.Served == 0 && !s.inParent(available):
			others = append(others, id)
			continue
		default:
			key = s.adopt(id, available)
		}
		key.Missing = key.Missing && !available.Private
	}
	if fresh && len(s.Keys) > 0 {
		s.Gone = append(s.Gone, others...) // they had their time, or were compromised
	}
}

// adopt takes over a key of a zone that was signed by others, or whose state was
// lost.
func (s *step) adopt(id KeyID, available *AvailableKey) *Key {
	created := s.now
	if !available.Since.IsZero() && available.Since.Before(s.now) {
		created = available.Since
	}
	key := Key{ID: id, Public: available.Public, Role: available.Role, Created: created, Activated: created, Missing: true}
	for record := range Records {
		if !key.Role.Has(record) || available.Served == 0 {
			continue
		}
		// What is seen may not be known everywhere, and what is not seen may have been
		// there a moment ago: waiting tells.
		key.Records[record] = RecordStatus{State: Unretentive, Since: s.now, Entered: s.now.Add(-time.Second), Seen: s.now}
		if record != DS && available.Served&uses[record] != 0 {
			key.Records[record] = RecordStatus{State: Rumoured, Since: s.now, Seen: s.now}
		}
	}
	key.Records[DS].Seen = time.Time{}
	s.Keys = append(s.Keys, key)
	s.explain(Reason{Key: id, Done: true, Rule: "adoption", Section: "RFC 7583 section 3.1", Text: fmt.Sprintf(
		"%s is taken over: what is seen of it counts from now on", &key)})
	return s.Key(id)
}

// inParent reports whether a server of the parent has a DS record of a key.
func (s *step) inParent(available *AvailableKey) bool {
	if available.Role == ZSK {
		return false
	}
	_, some := s.findDS(available.Public)
	return some
}
