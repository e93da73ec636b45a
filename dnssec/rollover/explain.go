package rollover

import (
	"fmt"
	"time"
)

// minute is a time for people, in UTC and to the minute.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// doing is what a record's move to a state is, in words.
func doing(record Record, to RecordState) string {
	switch record {
	case DNSKEY:
		return [...]string{"no resolver has the key any more", "the key is published", "every resolver has the key", "the key is withdrawn"}[to]
	case DS:
		return [...]string{"no resolver has the DS record any more", "the DS record is to be lodged", "every resolver has the DS record", "the DS record is to be withdrawn"}[to]
	case KRRSIG:
		return [...]string{"no resolver has its signatures of the keys any more", "it signs the keys", "every resolver has its signatures of the keys", "it signs the keys no more"}[to]
	}
	return [...]string{"no resolver has its signatures any more", "it signs the zone", "every resolver has its signatures", "it signs the zone no more"}[to]
}

// moved is the reason for what was done.
func (s *step) moved(key *Key, record Record, from, to RecordState) Reason {
	reason := Reason{Key: key.ID, Record: record, From: from, To: to, Done: true, Earliest: s.now}
	reason.Text = fmt.Sprintf("%s: %s", key, doing(record, to))
	switch {
	case to == Omnipresent || to == Hidden:
		wait := s.waits.of(record, to)
		reason.Rule, reason.Section = wait.name, wait.section
	case record == DS && from == Omnipresent && to == Rumoured:
		reason.Person = true
		reason.Rule, reason.Section = "DS", "RFC 4035 section 5.2"
		reason.Text = fmt.Sprintf("%s: the parent has not got its DS record any more, at all servers at least: lodge it again, or disable the zone; until then resolvers take the zone as unsigned", key)
	case record == ZRRSIG || key.Role == ZSK:
		reason.Rule, reason.Section = "pre-publication", "RFC 7583 section 3.2.1"
	default:
		reason.Rule, reason.Section = "Double-KSK", "RFC 7583 section 3.3.1"
	}
	return reason
}

// ready reports whether a chain of trust may begin at the DS record of the key.
func (k *Key) ready() bool {
	return k.Records[DNSKEY].State == Omnipresent && k.Records[KRRSIG].State == Omnipresent
}

// refused is the reason for what is not done yet, and text why.
func (s *step) refused(key *Key, record Record, to RecordState, rule, section, text string) *Reason {
	return &Reason{Key: key.ID, Record: record, From: key.Records[record].State, To: to, Rule: rule, Section: section, Text: text}
}

// explainRefusals says of each record that wants to go on why it does not.
func (s *step) explainRefusals() {
	s.each(func(key *Key, record Record, to RecordState) {
		if reason := s.refusal(key, record, to); reason != nil && !s.terse {
			reason.Text = fmt.Sprintf("%s: not yet: %s; %s", key, doing(record, to), reason.Text)
			s.explain(*reason)
		}
	})
}

// unseen is the reason for what waits to be seen.
func (s *step) unseen(key *Key, record Record, to RecordState, wait *wait) *Reason {
	text := "the zone that says so has to be served first"
	switch {
	case record == DS && to == Omnipresent:
		text = "it has to be seen at all servers of the parent first; " + lodging[s.policy.Parent]
	case record == DS:
		text = "it has to be gone from all servers of the parent first"
	}
	reason := s.refused(key, record, to, wait.name, wait.section, text)
	reason.Person = record == DS && s.policy.Parent == ByPerson
	return reason
}

// lodging is how a DS record gets into the parent, for people.
var lodging = map[Parent]string{
	ByPerson:    "lodge it",
	ByRegistrar: "the registrar is told to lodge it",
	ByCDS:       "the parent is to follow the CDS records, but one that has no DS record of the zone may have to be told (RFC 8078 section 3)",
}

// explainDoubts says when a resolver may not be able to validate, and why.
func (s *step) explainDoubts() {
	if s.terse {
		return
	}
	for i := range s.Keys {
		key := &s.Keys[i]
		if key.Records[DS].State == Rumoured && !key.ready() {
			s.explain(Reason{Key: key.ID, Record: DS, Person: true, Rule: "DS", Section: "RFC 7583 section 3.3.1", Text: fmt.Sprintf(
				"%s: its DS record is in the parent before it is certain that every resolver knows the key: if the zone was not signed with it before, have it withdrawn until it may be lodged", key)})
		}
	}
	if rule := s.broken(); rule != nil {
		s.explain(Reason{Rule: rule.name, Section: rule.section, Text: "it is not certain that every resolver can validate the zone, and nothing is withdrawn until it is: " + rule.text})
	}
}
