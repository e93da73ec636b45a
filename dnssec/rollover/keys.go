package rollover

import (
	"fmt"
	"slices"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// chooseKeys sees to it that there is one key for each role, begins rollovers and
// retires what is too many.
func (s *step) chooseKeys() {
	if !s.Signed {
		return
	}
	s.complete = true
	for _, role := range s.policy.roles() {
		s.complete = s.chooseKey(role) && s.complete
	}
	if s.complete {
		s.retireOthers()
	}
}

// retireAll retires the keys of a zone that is to be unsigned, once no resolver
// has a DS record of it (RFC 8078 section 4). It reports whether it did.
func (s *step) retireAll() (retired bool) {
	if s.Signed || !s.all(DS, Hidden) {
		return false
	}
	if s.now.Before(s.StrayUntil) {
		s.lookAt(s.StrayUntil)
		s.explain(Reason{Record: DS, Rule: "delete", Section: "RFC 8078 section 4", Earliest: s.StrayUntil,
			Text: "the zone stays signed while resolvers may have a DS record, of whatever key"})
		return false
	}
	for i := range s.Keys {
		retired = retired || !s.Keys[i].Retiring
		s.Keys[i].Retiring = true
	}
	return retired
}

// chooseKey reports whether the role has a key, and finds it a new one when it has
// none or when that one is due.
func (s *step) chooseKey(role Role) bool {
	key := s.active(role, s.policy.Algorithm)
	if key == nil {
		return s.introduce(role, s.predecessor(role)) != nil
	}
	if !s.due(key) {
		return true
	}
	old := key.ID
	successor := s.introduce(role, key)
	if successor == nil {
		return true
	}
	key = s.Key(old) // introduce may have moved it
	key.Retiring = true
	s.explain(Reason{Key: old, Done: true, Rule: "lifetime", Section: "RFC 6781 section 3.3",
		Text: fmt.Sprintf("%s is replaced by %s", key, successor)})
	return true
}

// active returns the key of a role that stays, of any algorithm when that is 0;
// nil when there is none. Of several it is the one that is furthest.
func (s *step) active(role Role, algorithm dnssec.Algorithm) *Key {
	var best *Key
	for i := range s.Keys {
		key := &s.Keys[i]
		if key.Retiring || key.Role != role || algorithm != 0 && key.Public.Algorithm != algorithm {
			continue
		}
		if best == nil || key.rank() > best.rank() {
			best = key
		}
	}
	return best
}

// rank orders keys by how much would be lost without them.
func (k *Key) rank() int {
	rank := 0
	for record, weight := range [Records]int{DNSKEY: 1, KRRSIG: 2, ZRRSIG: 4, DS: 8} {
		if state := k.Records[record].State; state.in() {
			rank += 2 * weight * int(state)
		}
	}
	if !k.Missing {
		rank++
	}
	return rank
}

// predecessor returns the key that signs in the place of a role that has no key of
// the policy's algorithm, nil when there is none.
func (s *step) predecessor(role Role) *Key {
	if key := s.active(role, 0); key != nil {
		return key
	}
	if role != CSK {
		return s.active(CSK, 0)
	}
	return s.active(KSK, 0)
}

// due reports whether the key is to be replaced now.
func (s *step) due(key *Key) bool {
	switch {
	case key.Missing:
		return s.dueMissing(key)
	case key.Roll:
		return true
	}
	lifetime := s.policy.lifetime(key.Role)
	if lifetime < 0 || key.Activated.IsZero() {
		return false
	}
	end := key.Activated.Add(lifetime)
	begin := s.beginOf(end)
	text := fmt.Sprintf("%s signs until %s; its successor is published before", key, minute(end))
	person := key.Role != ZSK && s.policy.Parent == ByPerson
	if person {
		text = fmt.Sprintf("the lifetime of %s ends at %s; it rolls over when a person says so, since nobody else lodges DS records", key, minute(end))
	}
	if s.now.Before(begin) {
		s.lookAt(begin)
		s.explain(Reason{Key: key.ID, Rule: "lifetime", Section: "RFC 6781 section 3.3", Earliest: begin, Text: text})
		return false
	}
	if person {
		s.explain(Reason{Key: key.ID, Person: true, Rule: "lifetime", Section: "RFC 6781 section 3.3", Text: text})
		return false
	}
	return !s.rolling(key)
}

// beginOf returns when a rollover begins that is to be over at end.
func (s *step) beginOf(end time.Time) time.Time {
	wait := s.waits.of(DNSKEY, Omnipresent)
	return end.Add(end.Sub(wait.end(end, &s.policy, &s.TTLs, false)))
}

// rolling reports whether an earlier rollover of the key's role is not over, so
// that the next one waits whatever the lifetime is.
func (s *step) rolling(key *Key) bool {
	for i := range s.Keys {
		other := &s.Keys[i]
		if other.Role == key.Role && other.Retiring && !other.hidden() && (other.Records[DS].State == Hidden || other.Records[DNSKEY].State != Hidden) {
			return true
		}
	}
	return !key.established()
}

// established reports whether all records of the key are omnipresent.
func (k *Key) established() bool {
	for record := range Records {
		if k.Role.Has(record) && k.Records[record].State != Omnipresent {
			return false
		}
	}
	return true
}

// introduce takes a key into use, one that is there or one that it asks for. It
// returns nil as long as there is none.
func (s *step) introduce(role Role, predecessor *Key) *Key {
	if len(s.Keys) >= maxKeys-1 {
		s.explain(Reason{Person: true, Rule: "keys", Text: fmt.Sprintf("no %s is made: the zone has %d keys; wait until earlier ones are put away", role, len(s.Keys))})
		return nil
	}
	for _, available := range s.observed.Keys {
		id := IDOf(available.Public)
		if available.Role != role || available.Public.Algorithm != s.policy.Algorithm || !available.Private || available.Retired ||
			s.Key(id) != nil || slices.Contains(s.Gone, id) {
			continue
		}
		key := Key{ID: id, Public: available.Public, Role: role, Created: s.now}
		if predecessor != nil {
			before := predecessor.ID
			key.Predecessor, key.Emergency = &before, predecessor.Emergency
			predecessor.Successor = &id
		}
		s.Keys = append(s.Keys, key)
		s.explain(Reason{Key: id, Done: true, Rule: "key", Section: "RFC 6781 section 4.1", Text: fmt.Sprintf("%s is taken into use", &key)})
		return s.Key(id)
	}
	s.act(Action{Kind: Generate, Role: role, Algorithm: s.policy.Algorithm})
	s.explain(Reason{Rule: "key", Section: "RFC 6781 section 4.1", Text: fmt.Sprintf("a %s with %s is needed", role, s.policy.Algorithm)})
	return nil
}

// retireOthers retires the keys that the policy has no place for, now that each
// role has its key.
func (s *step) retireOthers() {
	roles := s.policy.roles()
	for i := range s.Keys {
		key := &s.Keys[i]
		if key.Retiring || slices.Contains(roles, key.Role) && key == s.active(key.Role, s.policy.Algorithm) {
			continue
		}
		key.Retiring = true
		s.explain(Reason{Key: key.ID, Done: true, Rule: "policy", Section: "RFC 6781 section 4.1.4",
			Text: fmt.Sprintf("%s retires: the policy is %s with %s", key, roleList(roles), s.policy.Algorithm)})
	}
}

func roleList(roles []Role) string {
	if len(roles) == 1 {
		return roles[0].String()
	}
	return roles[0].String() + " and " + roles[1].String()
}
