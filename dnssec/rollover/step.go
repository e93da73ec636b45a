package rollover

import (
	"slices"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// lookAgain is when to look again at a zone where nothing is to be done.
const lookAgain = day

// engine is what decides, so that tests can show that a wrong rule is found.
type engine struct {
	rules   []rule
	methods []method
	waits   *waits
	// terse leaves out the reasons for what is not done.
	terse bool
}

var standard = engine{rules: rules, methods: methods, waits: &rfc7583}

// Step decides what to do at now: it takes in the observations, moves on each
// record that may move, and says why. It changes nothing that it is given. Call it
// again when anything is observed that is new, in particular right after what it
// asked for was done.
func Step(state State, policy Policy, observed Observations, now time.Time) Result {
	result := standard.step(state, policy, observed, now)
	result.forecast(policy, observed, now)
	return result
}

// step is one Step at work.
type step struct {
	engine
	State
	policy   Policy
	observed Observations
	now      time.Time
	complete bool // each role has its key
	keyless  bool // no resolver had a key of the zone when the Step began
	result   Result
}

func (e engine) step(state State, policy Policy, observed Observations, now time.Time) Result {
	s := &step{engine: e, State: state.clone(), policy: policy.withDefaults(), observed: observed, now: now}
	before := s.published()
	s.tellTime()
	s.observeZone()
	s.observeKeys()
	s.observeParent()
	s.takeEvents()
	s.chooseKeys()
	s.keyless = s.all(DNSKEY, Hidden)
	s.advance()
	if s.retireAll() {
		s.advance()
	}
	s.explainRefusals()
	s.finish(before)
	s.result.State = s.State
	return s.result
}

func (s State) clone() State {
	s.Keys = slices.Clone(s.Keys)
	s.Gone = slices.Clone(s.Gone)
	return s
}

// published is what a generation is the number of.
type published struct {
	uses      []dnssec.Key
	key, zone time.Duration
	deleteDS  bool
}

func (s *step) published() published {
	return published{s.Uses(), s.TTLs.Key.Value, s.TTLs.Zone.Value, s.DeleteDS}
}

func (p published) equal(o published) bool {
	same := func(a, b dnssec.Key) bool { return a.Use == b.Use && a.PublicKey.Equal(b.PublicKey) }
	return p.key == o.key && p.zone == o.zone && p.deleteDS == o.deleteDS && slices.EqualFunc(p.uses, o.uses, same)
}

// observeZone takes in what the servers of the zone serve, and the TTLs.
func (s *step) observeZone() {
	if s.observed.Served == s.Generation {
		s.Served = s.Generation
		since := s.observed.ServedSince
		if since.IsZero() || since.After(s.now) {
			since = s.now
		}
		for i := range s.Keys {
			for _, record := range []Record{DNSKEY, ZRRSIG, KRRSIG} {
				if status := &s.Keys[i].Records[record]; status.Seen.IsZero() {
					status.Seen = later(since, status.Since)
				}
			}
		}
		s.TTLs.Key.served(s.now, s.policy.ZonePropagation+s.policy.RetireSafety)
		s.TTLs.Zone.served(s.now, s.policy.ZonePropagation+s.policy.SignDelay+s.policy.RetireSafety)
	}
	s.TTLs.Key.Value = max(s.TTLs.Key.Value, s.observed.KeyTTL)
	s.TTLs.Key.set(s.policy.KeyTTL)
	zone := max(s.policy.ZoneTTL, s.observed.ZoneTTL)
	if zone == 0 {
		zone = s.TTLs.Zone.Value
	}
	if zone == 0 {
		zone = day
	}
	s.TTLs.Zone.set(zone)
}

// takeEvents keeps in the state what the operator wants.
func (s *step) takeEvents() {
	for _, event := range s.observed.Events {
		key := s.Key(event.Key)
		switch {
		case event.Kind == ClockRight:
			s.Clock.Behind = 0
		case event.Kind == Roll:
			if key := s.active(event.Role, 0); key != nil {
				key.Roll = true
			}
		case key == nil, (event.Kind == DSPublished || event.Kind == DSWithdrawn) && !key.Role.Has(DS):
		case event.Kind == Emergency:
			key.Roll, key.Emergency = true, true
		case event.Kind == DSPublished:
			s.sawDS(key, true, true)
		case event.Kind == DSWithdrawn:
			s.sawDS(key, false, false)
		}
	}
}

// advance moves records on until no more may: what has waited for long enough
// first, then what comes, then what goes.
func (s *step) advance() {
	phases := [][]RecordState{{Omnipresent, Hidden}, {Rumoured}, {Unretentive}}
	for phase := 0; phase < len(phases); {
		if s.pass(phases[phase]) {
			phase = 0
			continue
		}
		phase++
	}
}

// each calls do for each record that wants to go on.
func (s *step) each(do func(key *Key, record Record, to RecordState)) {
	for i := range s.Keys {
		key := &s.Keys[i]
		for record := range Records {
			if to := s.desired(key, record); key.Role.Has(record) && to != key.Records[record].State {
				do(key, record, to)
			}
		}
	}
}

// pass moves on each record that may move to one of the states.
func (s *step) pass(states []RecordState) (moved bool) {
	s.each(func(key *Key, record Record, to RecordState) {
		if !slices.Contains(states, to) || s.refusal(key, record, to) != nil {
			return
		}
		s.move(key, record, to)
		moved = true
	})
	return moved
}

// desired returns the state that a record makes for next.
func (s *step) desired(key *Key, record Record) RecordState {
	leaves := key.Retiring || !s.Signed && record == DS
	switch state := key.Records[record].State; {
	case state == Hidden && (leaves || !s.Signed):
		return Hidden
	case state == Hidden:
		return Rumoured
	case state == Unretentive && record == DS && !leaves:
		return Rumoured
	case state == Unretentive:
		return Hidden
	case leaves && (state == Omnipresent || s.tooEarly(key, record, Omnipresent) != nil):
		return Unretentive
	}
	return Omnipresent
}

// move changes the state of a record.
func (s *step) move(key *Key, record Record, to RecordState) {
	from := key.Records[record].State
	key.Records[record].enter(to, s.now)
	activates := to == Rumoured && (record == ZRRSIG || record == DS && key.Role == KSK)
	if activates && key.Activated.IsZero() {
		key.Activated = s.now
	}
	s.explain(s.moved(key, record, from, to))
}

// refusal says why a record may not go on yet, nil when it may.
func (s *step) refusal(key *Key, record Record, to RecordState) *Reason {
	if to == Omnipresent || to == Hidden {
		return s.tooEarly(key, record, to)
	}
	if refusal := s.missingHalf(key, record, to); refusal != nil {
		return refusal
	}
	for i := range s.methods {
		if m := &s.methods[i]; m.record == record && m.to == to && !m.allows(s, key) {
			return s.refused(key, record, to, m.name, m.section, m.text)
		}
	}
	if broken, was := s.breaks(key, record, to); broken != nil {
		text := broken.text
		if was {
			text = "nothing is withdrawn while this is not met: " + text
		}
		return s.refused(key, record, to, broken.name, broken.section, text)
	}
	return nil
}

// breaks returns the rule that forbids a step, and whether it was broken before.
// What is broken, for an algorithm, may be mended but not made worse, and nothing
// is withdrawn. The first rule is another case: without a DS record nobody
// validates.
func (s *step) breaks(key *Key, record Record, to RecordState) (broken *rule, was bool) {
	status := &key.Records[record]
	for i := range s.rules {
		rule := &s.rules[i]
		for _, algorithm := range s.algorithms(rule) {
			before := s.failures(rule, algorithm)
			if before > 0 && rule.have == Records {
				continue
			}
			saved := *status
			status.enter(to, s.now)
			after := s.failures(rule, algorithm)
			*status = saved
			lodges := record == DS && rule.have != DS // which mends nothing
			mends := to == Rumoured && !lodges && (slices.Contains(rule.need, record) || after <= before)
			if after > 0 && !mends {
				return rule, before > 0
			}
		}
	}
	return nil, false
}

// enter changes the state of a record.
func (r *RecordStatus) enter(to RecordState, now time.Time) {
	from := *r
	*r = RecordStatus{State: to, Since: now}
	switch {
	case to == Unretentive && from.State == Rumoured:
		r.Entered = from.Since
	case to == Omnipresent || to == Hidden:
		r.Seen = now
	}
}

// tooEarly says that a change is not yet known everywhere.
func (s *step) tooEarly(key *Key, record Record, to RecordState) *Reason {
	wait := s.waits.of(record, to)
	seen := key.Records[record].Seen
	if seen.IsZero() || record == DS && len(s.observed.DS) > 0 && !s.answered() {
		return s.unseen(key, record, to, wait)
	}
	end := wait.end(seen, &s.policy, &s.TTLs, s.emergency())
	if !s.now.Before(end) {
		return nil
	}
	s.lookAt(end)
	refusal := s.refused(key, record, to, wait.name, wait.section, wait.formula)
	refusal.Earliest = end
	return refusal
}

func (s *step) lookAt(t time.Time) { s.result.Next = sooner(s.result.Next, t) }
func (s *step) explain(r Reason)   { s.result.Reasons = append(s.result.Reasons, r) }

func (s *step) act(a Action) { s.result.Actions = append(s.result.Actions, a) }

// finish forgets keys, counts the generation and says what is to be done.
func (s *step) finish(before published) {
	s.calm()
	s.purge()
	s.DeleteDS = !s.Signed && !s.all(DS, Hidden)
	if !before.equal(s.published()) {
		s.Generation++
	}
	if s.Served != s.Generation || s.observed.Served != s.Generation {
		s.act(Action{Kind: Publish})
	}
	s.askParent()
	s.explainDoubts()
	s.explainClock()
	s.result.ValidFrom = s.now.Add(-s.Clock.Behind)
	s.lookAt(s.now.Add(lookAgain))
	if !s.result.Next.After(s.now) {
		s.result.Next = s.now.Add(time.Second)
	}
}

// calm ends the emergency of a successor that is all there.
func (s *step) calm() {
	for i := range s.Keys {
		if key := &s.Keys[i]; !key.Retiring && !key.Roll && key.established() {
			key.Emergency = false
		}
	}
}

// purge has keys put away that are hidden for long enough, and forgets those that
// are away.
func (s *step) purge() {
	kept := s.Keys[:0]
	for _, key := range s.Keys {
		switch away := s.purgeAt(&key); {
		case away.IsZero(), s.now.Before(away):
			s.lookAt(away)
		case s.available(key.ID) == nil:
			s.Gone = append(s.Gone, key.ID)
			continue
		default:
			s.act(Action{Kind: Purge, Key: key.ID, Public: key.Public})
		}
		kept = append(kept, key)
	}
	s.Keys = kept
}

// purgeAt returns when the key may be put away, zero when it is in use.
func (s *step) purgeAt(key *Key) time.Time {
	if !key.Retiring || !key.hidden() {
		return time.Time{}
	}
	since := key.Created
	for _, r := range key.Records {
		since = later(since, r.Since)
	}
	return since.Add(s.policy.Purge)
}
