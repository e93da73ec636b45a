package rollover

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// ParentModel is what a Future supposes of the parent.
type ParentModel struct {
	// Delay is how long after it may the parent follows (Dreg), 1 hour when zero,
	// never when negative.
	Delay time.Duration
}

// Future is a world with a virtual clock in which all that Step asks for is done:
// keys are made and zones served at once, and DS records come and go as the model
// says. Its State and Policy, and Now, may be changed at any time.
type Future struct {
	State  State
	Policy Policy
	Now    time.Time
	// Keys is the key store, and Made the public keys that were made up.
	Keys []AvailableKey
	Made []dnssec.PublicKey

	engine
	model   ParentModel
	lodged  map[KeyID]dnssec.PublicKey
	changes []parentChange
}

// parentChange is what the parent will have done.
type parentChange struct {
	at  time.Time
	key dnssec.PublicKey
	in  bool
}

// NewFuture returns the future of a zone that is as the arguments say at now.
func NewFuture(state State, policy Policy, observed Observations, parent ParentModel, now time.Time) *Future {
	return standard.future(state, policy, observed, parent, now)
}

func (e engine) future(state State, policy Policy, observed Observations, model ParentModel, now time.Time) *Future {
	if model.Delay == 0 {
		model.Delay = time.Hour
	}
	f := &Future{State: state.clone(), Policy: policy, Now: now, engine: e, model: model, lodged: map[KeyID]dnssec.PublicKey{}}
	f.Keys = append(f.Keys, observed.Keys...)
	for i := range f.State.Keys {
		key := &f.State.Keys[i]
		status := key.Records[DS]
		if status.State == Omnipresent || status.State == Rumoured && !status.Seen.IsZero() || status.State == Unretentive && status.Seen.IsZero() {
			f.lodged[key.ID] = key.Public
		}
	}
	return f
}

// Next makes one Step, and does what it asks for. It returns whether the world
// changed at once, so that the next Step is due at once.
func (f *Future) Next(events ...Event) (result Result, again bool) {
	observed := Observations{Keys: f.Keys, Elapsed: max(f.Now.Sub(f.State.Clock.Last), 1), DS: f.answers(), ZoneTTL: f.State.TTLs.Zone.Value, Events: events}
	observed.Served, observed.ServedSince = f.State.Generation, f.Now
	result = f.step(f.State, f.Policy, observed, f.Now)
	f.State = result.State
	for _, action := range result.Actions {
		again = f.do(action) || again
	}
	return result, again
}

// do does what an action asks for.
func (f *Future) do(action Action) (changed bool) {
	switch action.Kind {
	case Generate:
		f.Keys = append(f.Keys, f.generate(action))
		return true
	case Publish:
		return true
	case Purge:
		for i := range f.Keys {
			if IDOf(f.Keys[i].Public) == action.Key {
				f.Keys = append(f.Keys[:i:i], f.Keys[i+1:]...)
				return true
			}
		}
	case SubmitDS:
		f.expect(action.Public, true)
		for i := range f.State.Keys { // the whole DS set takes the place of the earlier one
			if key := &f.State.Keys[i]; key.Records[DS].State == Unretentive {
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
func (f *Future) expect(key dnssec.PublicKey, in bool) {
	_, is := f.lodged[IDOf(key)]
	if is == in || f.model.Delay < 0 {
		return
	}
	for _, change := range f.changes {
		if change.in == in && change.key.Equal(key) {
			return
		}
	}
	f.changes = append(f.changes, parentChange{f.Now.Add(f.model.Delay), key, in})
}

// Forward moves the clock to a time, or to the next change of the parent before.
func (f *Future) Forward(to time.Time) {
	for _, change := range f.changes {
		to = sooner(to, later(change.at, f.Now))
	}
	f.Now = to
	waiting := f.changes[:0]
	for _, change := range f.changes {
		switch {
		case change.at.After(f.Now):
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
func (f *Future) answers() []DSAnswer {
	owner, err := wire.ParseName(f.State.Zone)
	if err != nil {
		return nil
	}
	answer := DSAnswer{Server: "the parent"}
	for _, key := range f.lodged {
		answer.TTL = f.State.TTLs.DS.Value
		answer.Records = append(answer.Records, key.DS(owner, dnssec.SHA256))
	}
	return []DSAnswer{answer}
}

// generate makes up a key.
func (f *Future) generate(action Action) AvailableKey {
	first := sha256.Sum256(binary.BigEndian.AppendUint32([]byte(f.State.Zone), uint32(len(f.Made))))
	second := sha256.Sum256(first[:])
	key := dnssec.PublicKey{Flags: dnssec.FlagZone, Algorithm: action.Algorithm, Key: append(first[:], second[:]...)}
	if action.Role != ZSK {
		key.Flags |= dnssec.FlagSEP
	}
	f.Made = append(f.Made, key)
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
	f := ahead.future(r.State, policy, observed, ParentModel{Delay: time.Nanosecond}, now)
	if lodging != nil && lodging.Records[DS].State == Rumoured {
		r.LodgeAt, lodging = lodging.Records[DS].Since, nil
	}
	for range foresight {
		result, again := f.Next()
		for _, done := range result.Reasons {
			if !done.Done || done.From == done.To {
				continue
			}
			open -= r.fill(&done, f.Now)
			if lodging != nil && done.Key == lodging.ID && done.Record == DS && done.To == Rumoured {
				r.LodgeAt, lodging = f.Now, nil
			}
		}
		if open <= 0 && lodging == nil {
			return
		}
		if !again {
			f.Forward(result.Next)
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
		if key.Role.Has(DS) && !key.Retiring && r.State.Signed && (status.State == Hidden || status.State == Rumoured && status.Seen.IsZero() && key.ready()) {
			return key
		}
	}
	return nil
}
