package rollover

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// observeParent takes in the DS sets of the parent's servers.
func (s *step) observeParent() {
	s.observeDSTTL()
	if len(s.observed.DS) == 0 {
		return
	}
	for i := range s.Keys {
		if key := &s.Keys[i]; key.Role.Has(DS) {
			all, some := s.findDS(key.Public)
			s.sawDS(key, all, some)
		}
	}
	s.findStrays()
}

// observeDSTTL takes over the TTL of the DS set, the policy's until one is seen.
func (s *step) observeDSTTL() {
	ttl := time.Duration(0)
	for _, answer := range s.observed.DS {
		if !answer.Failed && len(answer.Records) > 0 {
			ttl = max(ttl, answer.TTL)
		}
	}
	s.TTLs.DS.served(s.now, s.policy.ParentPropagation+s.policy.RetireSafety)
	switch {
	case ttl > 0:
		s.TTLs.DS.set(ttl)
		s.TTLs.DSSeen = true
	case !s.TTLs.DSSeen:
		s.TTLs.DS.set(s.policy.DSTTL)
	}
}

// answered reports whether all servers of the parent answered.
func (s *step) answered() bool {
	for _, answer := range s.observed.DS {
		if answer.Failed {
			return false
		}
	}
	return len(s.observed.DS) > 0
}

// findDS reports whether all servers have a DS record of the key, and whether any
// has.
func (s *step) findDS(key dnssec.PublicKey) (all, some bool) {
	all = s.answered()
	owner, err := wire.ParseName(s.Zone)
	if err != nil {
		return false, false
	}
	tag := key.Tag()
	var digests [2][]byte
	for _, answer := range s.observed.DS {
		found := false
		for _, record := range answer.Records {
			if len(record) < 4 || binary.BigEndian.Uint16(record) != tag || record[2] != byte(key.Algorithm) {
				continue
			}
			if digests[0] == nil {
				digests = [2][]byte{key.DS(owner, dnssec.SHA256), key.DS(owner, dnssec.SHA384)}
			}
			known := record[3] == byte(dnssec.SHA256) || record[3] == byte(dnssec.SHA384)
			found = found || !known || bytes.Equal(record, digests[0]) || bytes.Equal(record, digests[1])
		}
		all, some = all && found, some || found
	}
	return all, some
}

// sawDS takes in where the DS record of a key is: at all servers of the parent, or
// at some.
func (s *step) sawDS(key *Key, all, some bool) {
	status := &key.Records[DS]
	complete := s.answered() || len(s.observed.DS) == 0 // or on the operator's word
	switch status.State {
	case Hidden:
		if some {
			s.unexpectedDS(key, all)
		}
	case Rumoured:
		s.stampDS(status, all)
	case Omnipresent:
		if complete && !all {
			*status = RecordStatus{State: Rumoured, Since: s.now}
			s.explain(s.moved(key, DS, Omnipresent, Rumoured))
		}
	case Unretentive:
		if some && s.Signed && !key.Retiring {
			*status = RecordStatus{State: Rumoured, Since: s.now}
			s.stampDS(status, all)
			s.explain(s.moved(key, DS, Unretentive, Rumoured))
			return
		}
		// While CDS records still ask for it, it may come back.
		s.stampDS(status, complete && !some && s.Served == s.Generation)
	}
}

// stampDS keeps when the record was first seen to be as it is to be, without a gap
// since.
func (s *step) stampDS(status *RecordStatus, is bool) {
	switch {
	case !is && len(s.observed.DS) > 0 && !s.answered():
	case !is:
		status.Seen = time.Time{}
	case status.Seen.IsZero():
		status.Seen = s.now
	}
}

// unexpectedDS takes in a DS record that nobody asked for.
func (s *step) unexpectedDS(key *Key, all bool) {
	status := &key.Records[DS]
	*status = RecordStatus{State: Rumoured, Since: s.now}
	if key.Retiring && !key.Records[DNSKEY].State.in() {
		*status = RecordStatus{State: Unretentive, Since: s.now, Entered: s.now.Add(-time.Second)}
	}
	if key.Activated.IsZero() {
		key.Activated = s.now
	}
	s.explain(s.moved(key, DS, Hidden, status.State))
	if status.State == Rumoured {
		s.stampDS(status, all)
	}
}

// findStrays looks for DS records that belong to no key.
func (s *step) findStrays() {
	known := func(record []byte) bool {
		for i := range s.Keys {
			key := &s.Keys[i]
			if key.Role.Has(DS) && binary.BigEndian.Uint16(record) == key.Public.Tag() && record[2] == byte(key.Public.Algorithm) {
				return true
			}
		}
		return false
	}
	for _, answer := range s.observed.DS {
		for _, record := range answer.Records {
			if len(record) < 4 || known(record) {
				continue
			}
			s.StrayUntil = s.waits.of(DS, Hidden).end(s.now, &s.policy, &s.TTLs, false)
			s.explain(s.stray(answer.Server, record))
			return
		}
	}
}

func (s *step) stray(server string, record []byte) Reason {
	text := fmt.Sprintf("%s has a DS record (tag %d, algorithm %d) that belongs to no key of the zone: have it removed; ",
		server, binary.BigEndian.Uint16(record), record[2])
	for i := range s.Keys {
		if s.Keys[i].Records[DS].State.in() && s.Keys[i].Public.Algorithm == dnssec.Algorithm(record[2]) {
			return Reason{Record: DS, Person: true, Rule: "stray DS", Section: "RFC 6840 section 5.11",
				Text: text + "it does no harm beside that of " + s.Keys[i].String() + ", and holds up nothing"}
		}
	}
	return Reason{Record: DS, Person: true, Rule: "stray DS", Section: "RFC 6840 section 5.11",
		Text: text + "resolvers that ask for every algorithm of the DS set may find the zone bogus"}
}

// askParent asks for the DS records that are to come and to go, and says when the
// next one may be lodged.
func (s *step) askParent() {
	waiting, submitted := false, false
	for i := range s.Keys {
		key := &s.Keys[i]
		status := key.Records[DS]
		switch {
		case status.State == Rumoured && status.Seen.IsZero():
			s.act(Action{Kind: SubmitDS, Key: key.ID, Public: key.Public})
			waiting, submitted = true, true
		case status.State == Unretentive && status.Seen.IsZero():
			waiting = true
		}
	}
	for i := range s.Keys {
		key := &s.Keys[i]
		if status := key.Records[DS]; status.State == Unretentive && status.Seen.IsZero() && key.Retiring && !submitted && !s.DeleteDS {
			s.act(Action{Kind: WithdrawDS, Key: key.ID, Public: key.Public})
		}
	}
	if waiting && s.DeleteDS {
		s.act(Action{Kind: DeleteDS})
	}
	if waiting {
		s.lookAt(s.now.Add(min(max(s.policy.DSTTL/24, time.Second), time.Hour)))
	}
}
