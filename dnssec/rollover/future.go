package rollover

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// future is a world in which all that Step asks for is done: keys are made and
// zones served at once, and DS records come and go as the model says.
type future struct {
	engine
	state   State
	policy  Policy
	model   ParentModel
	keys    []AvailableKey
	lodged  map[KeyID]dnssec.PublicKey
	changes []parentChange
	now     time.Time
	made    []dnssec.PublicKey
}

// parentChange is what the parent will have done.
type parentChange struct {
	at  time.Time
	key dnssec.PublicKey
	in  bool
}

func newFuture(e engine, state State, policy Policy, observed Observations, model ParentModel, now time.Time) *future {
	f := &future{engine: e, state: state.clone(), policy: policy, model: model, now: now, lodged: map[KeyID]dnssec.PublicKey{}}
	f.keys = append(f.keys, observed.Keys...)
	for i := range f.state.Keys {
		key := &f.state.Keys[i]
		status := key.Records[DS]
		if status.State == Omnipresent || status.State == Rumoured && !status.Seen.IsZero() || status.State == Unretentive && status.Seen.IsZero() {
			f.lodged[key.ID] = key.Public
		}
	}
	return f
}

// next makes one Step, and has done what it asks for. It returns whether the world
// changed at once, so that the next Step is due at once.
func (f *future) next(events []Event) (result Result, again bool) {
	observed := Observations{Keys: f.keys, Elapsed: max(f.now.Sub(f.state.Clock.Last), 1), DS: f.answers(), ZoneTTL: f.state.TTLs.Zone.Value, Events: events}
	observed.Served, observed.ServedSince = f.state.Generation, f.now
	result = f.step(f.state, f.policy, observed, f.now)
	f.state = result.State
	for _, action := range result.Actions {
		again = f.do(action) || again
	}
	return result, again
}

// do does what an action asks for.
func (f *future) do(action Action) (changed bool) {
	switch action.Kind {
	case Generate:
		f.keys = append(f.keys, f.generate(action))
		return true
	case Publish:
		return true
	case Purge:
		for i := range f.keys {
			if IDOf(f.keys[i].Public) == action.Key {
				f.keys = append(f.keys[:i:i], f.keys[i+1:]...)
				return true
			}
		}
	case SubmitDS:
		f.expect(action.Public, true)
		for i := range f.state.Keys { // the whole DS set takes the place of the earlier one
			if key := &f.state.Keys[i]; key.Records[DS].State == Unretentive {
				f.expect(key.Public, false)
			}
		}
	case WithdrawDS:
		f.expect(action.Public, false)
	case DeleteDS:
		for _, key := range f.lodged {
			f.expect(key, false)
		}
	}
	return false
}

// expect has the parent change its DS set after the delay of the model.
func (f *future) expect(key dnssec.PublicKey, in bool) {
	_, is := f.lodged[IDOf(key)]
	if is == in || f.model.Delay < 0 {
		return
	}
	for _, change := range f.changes {
		if change.in == in && change.key.Equal(key) {
			return
		}
	}
	f.changes = append(f.changes, parentChange{f.now.Add(f.model.Delay), key, in})
}

// forward moves the clock to a time, or to the next change of the parent before.
func (f *future) forward(to time.Time) {
	for _, change := range f.changes {
		to = sooner(to, later(change.at, f.now))
	}
	f.now = to
	waiting := f.changes[:0]
	for _, change := range f.changes {
		switch {
		case change.at.After(f.now):
			waiting = append(waiting, change)
		case change.in:
			f.lodged[IDOf(change.key)] = change.key
		default:
			delete(f.lodged, IDOf(change.key))
		}
	}
	f.changes = waiting
}

// answers is what the parent's server says.
func (f *future) answers() []DSAnswer {
	owner, err := wire.ParseName(f.state.Zone)
	if err != nil {
		return nil
	}
	answer := DSAnswer{Server: "the parent"}
	for _, key := range f.lodged {
		answer.TTL = f.state.TTLs.DS.Value
		answer.Records = append(answer.Records, key.DS(owner, dnssec.SHA256))
	}
	return []DSAnswer{answer}
}

// generate makes up a key.
func (f *future) generate(action Action) AvailableKey {
	first := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(f.state.Zone), uint32(len(f.made))))
	second := sha256.Sum256(first[:])
	key := dnssec.PublicKey{Flags: dnssec.FlagZone, Algorithm: action.Algorithm, Key: append(first[:], second[:]...)}
	if action.Role != ZSK {
		key.Flags |= dnssec.FlagSEP
	}
	f.made = append(f.made, key)
	return AvailableKey{Public: key, Role: action.Role, Private: true}
}

// foresight is how many steps a forecast looks ahead.
const foresight = 40

// forecast fills in when that which waits for a rule may be done, and when the
// next DS record may be lodged: by going on as if everybody did their part at once.
func (r *Result) forecast(policy Policy, observed Observations, now time.Time) {
	open := 0
	for i := range r.Reasons {
		if reason := &r.Reasons[i]; !reason.Done && reason.From != reason.To && reason.Earliest.IsZero() {
			open++
		}
	}
	lodging := r.toLodge()
	if open == 0 && lodging == nil {
		return
	}
	ahead := standard
	ahead.terse = true
	f := newFuture(ahead, r.State, policy, observed, ParentModel{Delay: time.Nanosecond}, now)
	if lodging != nil && lodging.Records[DS].State == Rumoured {
		r.LodgeAt, lodging = lodging.Records[DS].Since, nil
	}
	for range foresight {
		result, again := f.next(nil)
		for _, done := range result.Reasons {
			if !done.Done || done.From == done.To {
				continue
			}
			open -= r.fill(&done, f.now)
			if lodging != nil && done.Key == lodging.ID && done.Record == DS && done.To == Rumoured {
				r.LodgeAt, lodging = f.now, nil
			}
		}
		if open <= 0 && lodging == nil {
			return
		}
		if !again {
			f.forward(result.Next)
		}
	}
}

// fill sets the earliest time of what has none yet.
func (r *Result) fill(done *Reason, at time.Time) (filled int) {
	for i := range r.Reasons {
		reason := &r.Reasons[i]
		if !reason.Done && reason.Earliest.IsZero() && reason.Key == done.Key && reason.Record == done.Record && reason.From == done.From && reason.To == done.To {
			reason.Earliest = at
			filled++
		}
	}
	return filled
}

// toLodge returns the key whose DS record is to be lodged next, nil when none is.
func (r *Result) toLodge() *Key {
	for i := range r.State.Keys {
		key := &r.State.Keys[i]
		status := key.Records[DS]
		if key.Role.has(DS) && !key.Retiring && r.State.Signed && (status.State == Hidden || status.State == Rumoured && status.Seen.IsZero()) {
			return key
		}
	}
	return nil
}
