package manager

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// Status is what is to be known of a zone.
type Status struct {
	// Zone is its origin. JSON leaves it out: the directory of the report says it.
	Zone wire.Name `json:"-"`
	// At is when this was so.
	At time.Time
	// State is the state of its keys.
	State rollover.State
	// Served is whether a server answers from it, Serial that of the zone.
	Served bool
	Serial uint32
	// Expires is when the first signature ends, Resign when some are made again; zero
	// when the zone is not signed.
	Expires, Resign time.Time `json:",omitzero"`
	// Next is when the zone is looked at again.
	Next time.Time
	// LodgeAt is the earliest time at which the DS records of DS may be lodged, zero
	// when that is not known, or there is nothing to lodge.
	LodgeAt time.Time `json:",omitzero"`
	// Lodge is that the DS set in the parent is to be made what DS is, now.
	Lodge bool
	// DS is the keys whose DS records are, or are to be, in the parent.
	DS []dnssec.PublicKey
	// Reasons is why things were done and are not done; Actions what is to be done.
	Reasons []rollover.Reason
	Actions []rollover.Action
	// Secondaries is what each of them was last seen to have.
	Secondaries []Secondary
	// Problems is what went wrong when the zone was last looked at.
	Problems []string
}

// Secondary is a secondary server of a zone.
type Secondary struct {
	// Address is host:port, as in Zone.Secondaries.
	Address string
	// Serial is that of its SOA record. Zero is not known: Problem says why, or it was
	// not asked yet.
	Serial uint32 `json:",omitempty"`
	// Problem is why its serial is not known.
	Problem string `json:",omitempty"`
}

// report writes the status of the zone for Status, also of other processes.
func (u *unit) report(next time.Time) {
	status := u.status(next)
	text, err := json.Marshal(status)
	if err == nil {
		err = u.manager.store().replace(u.manager.store().path(u.origin, reportFile), text, false)
	}
	if err != nil {
		u.manager.logger().Error("zone", "zone", u.origin, "error", err)
	}
}

func (u *unit) status(next time.Time) *Status {
	s := &Status{
		Zone: u.origin, At: u.manager.now(), State: u.record.State, Next: next, Served: u.manager.Server != nil,
		LodgeAt: u.results.LodgeAt, Reasons: u.results.Reasons, Actions: u.results.Actions, Problems: u.trouble,
	}
	if u.signed.zone != nil {
		s.Serial = u.signed.zone.SOA().Serial
	}
	if u.signed.result != nil {
		s.Expires, s.Resign = u.signed.result.Expiry, u.signed.result.Due
	}
	for _, a := range u.results.Actions {
		s.Lodge = s.Lodge || a.Kind == rollover.SubmitDS || a.Kind == rollover.WithdrawDS || a.Kind == rollover.DeleteDS
	}
	s.DS = wantedDS(&u.record.State)
	for _, address := range u.zone.Secondaries {
		s.Secondaries = append(s.Secondaries, Secondary{Address: address, Serial: u.seen.serials[address], Problem: u.seen.problems[address]})
	}
	return s
}

// wantedDS returns the keys whose DS records are to be in the parent, now or once
// they may: those that stay.
func wantedDS(state *rollover.State) (keys []dnssec.PublicKey) {
	for i := range state.Keys {
		if k := &state.Keys[i]; k.Role != rollover.ZSK && !k.Retiring && !state.DeleteDS {
			keys = append(keys, k.Public)
		}
	}
	return keys
}

// lodgedDS returns the keys whose DS records are to be in the parent now.
func lodgedDS(state *rollover.State) (keys []dnssec.PublicKey) {
	for _, key := range state.Uses() {
		if key.Use&dnssec.InParent != 0 && !state.DeleteDS {
			keys = append(keys, key.PublicKey)
		}
	}
	return keys
}

// Status returns what is known of a zone, also when another process looks after it.
// The zero time in At is that it was not looked at yet.
func (m *Manager) Status(origin wire.Name) (*Status, error) {
	path := m.store().path(origin, reportFile)
	text, err := os.ReadFile(path)
	if isMissing(err) {
		return &Status{Zone: origin, State: rollover.State{Zone: origin.String()}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	s := &Status{Zone: origin}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("manager: %s: %w", path, err)
	}
	return s, nil
}

// EarliestExpiry returns when the first signature of all zones ends; ok is false
// when none is signed.
func (m *Manager) EarliestExpiry() (at time.Time, ok bool) {
	for _, u := range m.all() {
		if seconds := u.expiry.Load(); seconds != 0 && (!ok || seconds < at.Unix()) {
			at, ok = time.Unix(seconds, 0).UTC(), true
		}
	}
	return at, ok
}

// Foresee returns what is known of a zone for rollover.Plan: its state, its policy
// with what was ordered, and what is observed. It changes nothing.
func (m *Manager) Foresee(origin wire.Name) (rollover.State, rollover.Policy, rollover.Observations, error) {
	m.init()
	u := m.unit(origin)
	if u == nil {
		return rollover.State{}, rollover.Policy{}, rollover.Observations{}, fmt.Errorf("manager: zone %s is not configured", origin)
	}
	store := m.store()
	record, err := store.Load(origin)
	if err != nil {
		return rollover.State{}, rollover.Policy{}, rollover.Observations{}, err
	}
	keys, err := u.keystore().Keys(origin)
	if err != nil {
		return rollover.State{}, rollover.Policy{}, rollover.Observations{}, err
	}
	served, err := store.loadZone(origin, signedFile)
	if err != nil {
		return rollover.State{}, rollover.Policy{}, rollover.Observations{}, err
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.record.Algorithm = record.Algorithm
	observed := rollover.Observations{Keys: available(keys, served, m.now()), ZoneTTL: highestTTL(served)}
	if len(record.State.Keys) > 0 { // what they do is in the state, and will change
		for i := range observed.Keys {
			observed.Keys[i].Served = 0
		}
	}
	return record.State, u.policy(), observed, nil
}
