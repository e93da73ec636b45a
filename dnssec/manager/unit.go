package manager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// maxSteps is how often rollover.Step is called in one turn: keys are made, the
// zone is published, and each leads to a next step.
const maxSteps = 8

// unit is a zone at work. What happens to it happens in turns, one at a time; in
// between, updates may come.
type unit struct {
	manager *Manager
	origin  wire.Name
	config  atomic.Pointer[Zone] // what is configured, for the next turn
	changed atomic.Bool          // at the primary, as that says
	index   int                  // in the queue, -1 when it is not there
	next    time.Time            // turn, guarded by the manager's mutex
	busy    bool
	again   bool // was woken while busy
	removed atomic.Bool

	mutex   sync.Mutex // guards all below
	zone    Zone       // as configured when the turn or update began
	loaded  bool
	lost    bool // there are keys, but neither state nor signed zone
	record  Record
	saved   rollover.State // as it is on disk
	source  source
	keys    []keystore.Key
	signed  signed
	seen    seen
	results rollover.Result
	stepped time.Duration // by the manager's monotonic clock; zero is never
	lodged  map[string]time.Time
	trouble []string // what went wrong in this turn

	expiry atomic.Int64 // of the first signature to end, seconds since 1970; 0 is none
}

// signed is the zone as it is served.
type signed struct {
	zone   *zone.Zone
	result *dnssec.Result // nil when it is not signed, or not by this process
	// What it was made of:
	source     *zone.Zone
	generation uint64
	policy     Policy
	keys       int // how many keys had their private half
	since      time.Time
}

// seen is what others were seen to have.
type seen struct {
	ds       []rollover.DSAnswer // not yet told to Step
	dsAt     time.Time           // when the parent was last asked
	serials  map[string]uint32   // of secondaries
	serialAt time.Time
	problems map[string]string // of those asked
	ttl      time.Duration     // highest TTL, before and after signing
	// generation is the latest that all secondaries were seen to have, at that time.
	generation   uint64
	generationAt time.Time
}

// turn does all that is to be done for the zone now, and returns when the next turn
// is due. Others are asked, and the registrar is called, while updates may come.
func (u *unit) turn(ctx context.Context) time.Time {
	u.mutex.Lock()
	u.zone, u.trouble = *u.config.Load(), nil
	if !u.loaded {
		u.load()
	}
	u.mutex.Unlock()
	news := u.look(ctx)
	u.mutex.Lock()
	u.take(news)
	u.refresh()
	lodge, obeyed := u.advance(ctx)
	u.mutex.Unlock()
	if lodge && ctx.Err() == nil {
		u.lodge(ctx)
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	next := u.schedule()
	u.report(next)
	u.forget(obeyed) // who gave them reads the report
	return next
}

// problem notes what went wrong, for the log and the report.
func (u *unit) problem(err error) {
	if err == nil {
		return
	}
	u.manager.counters.Errors.Add(1)
	u.trouble = append(u.trouble, err.Error())
	u.manager.logger().Error("zone", "zone", u.origin, "error", err)
}

// load reads what an earlier run left, and serves it.
func (u *unit) load() {
	store := u.manager.store()
	record, err := store.Load(u.origin)
	if err != nil {
		u.problem(err)
	}
	previous, previousErr := store.loadZone(u.origin, signedFile)
	if previousErr != nil {
		u.problem(fmt.Errorf("%w: it is made anew", previousErr))
	}
	if previous != nil && u.signed.zone == nil {
		u.signed.zone = previous
		u.serve(previous)
	}
	if err != nil {
		return // serve what there is, and change nothing
	}
	u.record, u.saved, u.loaded = record, record.State, true
	if err := u.source.restore(store, u.origin, previous); err != nil {
		u.problem(err)
	}
	if record.Version == 0 && previous != nil && len(keysIn(previous)) > 0 {
		u.record.State.Signed = true // the state was lost: what is published says what was wanted
		u.manager.logger().Warn("the state of the keys is lost: they are taken over as they are published", "zone", u.origin)
	}
	keys, _ := u.keystore().Keys(u.origin) // refresh says what is wrong with them
	if u.lost = record.Version == 0 && previous == nil && len(keys) > 0; u.lost {
		u.record.State.Signed = true // unsigned, it would be bogus if it was signed
		u.manager.logger().Warn("state and signed zone are lost: the keys that the parent has DS records of are taken over", "zone", u.origin)
	}
}

// unsure reports whether it is not known which of the keys that are left the parent
// has DS records of, and nobody said what to do.
func (u *unit) unsure(orders []order) bool {
	if !u.lost || u.manager.Parent == nil || len(orders)+len(u.record.State.Keys)+len(u.source.found) > 0 {
		return false
	}
	failed := func(a rollover.DSAnswer) bool { return a.Failed }
	return len(u.seen.ds) == 0 || slices.ContainsFunc(u.seen.ds, failed)
}

// refresh reads the source and the keys again.
func (u *unit) refresh() {
	store := u.manager.store()
	if u.zone.File != u.source.path {
		u.source.path, u.source.file = u.zone.File, fileMark{}
	}
	if u.zone.File != "" {
		u.problem(u.source.readFile(store, u.zone.File, u.origin))
	}
	if u.source.zone == nil && u.signed.zone != nil { // better than none
		z, err := plain(u.signed.zone)
		u.problem(err)
		u.source.zone = z
	}
	if u.seen.ttl == 0 && u.source.zone != nil {
		u.seen.ttl = highestTTL(u.source.zone, u.signed.zone)
	}
	keys, err := u.keystore().Keys(u.origin)
	if err != nil {
		u.problem(err)
		return
	}
	u.keys = keys
}

func (u *unit) keystore() keystore.Dir { return u.manager.Keys(u.origin) }

// Keys returns the directory of a zone's keys.
func (m *Manager) Keys(origin wire.Name) keystore.Dir {
	return keystore.Dir{Path: m.store().path(origin, keysDir), Secret: m.Secret}
}

// policy is the zone's, with what was ordered in its place.
func (u *unit) policy() rollover.Policy {
	p := u.zone.Policy.Policy
	if u.record.Algorithm != 0 {
		p.Algorithm = u.record.Algorithm
	}
	return p
}

// observe tells what Step wants to know.
func (u *unit) observe(events []rollover.Event) rollover.Observations {
	o := rollover.Observations{ZoneTTL: u.seen.ttl, Events: events, DS: u.seen.ds}
	u.seen.ds = nil
	o.Served, o.ServedSince = u.served()
	if u.stepped > 0 {
		o.Elapsed = max(u.manager.monotonic()-u.stepped, 1)
	}
	if u.untouched() {
		return o // keys that are there are nobody's to withdraw
	}
	o.Keys = available(u.keys, u.signed.zone, u.manager.now())
	if len(u.record.State.Keys) == 0 {
		o.Keys = adopt(o.Keys, u.source.found)
		if u.signed.zone != nil {
			o.Keys = adopt(o.Keys, keysIn(u.signed.zone))
		}
	}
	if u.signed.result != nil {
		o.Expiry = u.signed.result.Expiry
	}
	return o
}

// untouched reports whether the zone was never to be signed here.
func (u *unit) untouched() bool {
	s := &u.record.State
	return !s.Signed && len(s.Keys) == 0 && len(s.Gone) == 0
}

// available lists the keys of the store.
func available(keys []keystore.Key, served *zone.Zone, now time.Time) (list []rollover.AvailableKey) {
	var published []rollover.AvailableKey
	if served != nil {
		published = keysIn(served)
	}
	for _, key := range keys {
		a := rollover.AvailableKey{Public: key.PublicKey, Role: roleOf(key.Use), Private: key.Signer != nil, Since: key.Timing.Publish}
		for _, end := range []time.Time{key.Timing.Inactive, key.Timing.Delete} {
			a.Retired = a.Retired || !end.IsZero() && !end.After(now)
		}
		for _, p := range published {
			if p.Public.Equal(key.PublicKey) {
				a.Served = p.Served
			}
		}
		list = append(list, a)
	}
	return list
}

func roleOf(use dnssec.Use) rollover.Role {
	switch {
	case use&dnssec.SignKeys == 0:
		return rollover.ZSK
	case use&dnssec.SignZone == 0:
		return rollover.KSK
	}
	return rollover.CSK
}

// adopt adds keys that are published by others.
func adopt(list, found []rollover.AvailableKey) []rollover.AvailableKey {
	for _, f := range found {
		known := false
		for i := range list {
			if list[i].Public.Equal(f.Public) {
				list[i].Served, known = list[i].Served|f.Served, true
			}
		}
		if !known {
			list = append(list, f)
		}
	}
	return list
}

// advance steps until there is nothing to do at once. It reports whether DS records
// are to be lodged, and which orders are in the state.
func (u *unit) advance(ctx context.Context) (lodge bool, obeyed []order) {
	if !u.loaded {
		return false, nil
	}
	orders, err := u.manager.store().orders(u.origin)
	u.problem(err)
	if u.unsure(orders) {
		u.problem(fmt.Errorf("manager: zone %s: state and signed zone are lost, and not all servers of the parent say which of its keys have DS records: nothing is published until they do, or the zone is enabled or disabled", u.origin))
		return false, nil
	}
	events := u.obey(orders)
	for range maxSteps {
		now := u.manager.now()
		u.results = rollover.Step(u.record.State, u.policy(), u.observe(events), now)
		u.stepped, events = u.manager.monotonic(), nil
		u.record.State = u.results.State
		if err := u.save(len(orders) > 0); err != nil { // intent before effect
			u.problem(err)
			return false, obeyed
		}
		obeyed = append(obeyed, orders...)
		orders = nil
		if u.carryOut() && ctx.Err() == nil {
			continue // with other keys
		}
		if !u.publish(ctx) || ctx.Err() != nil {
			break
		}
	}
	for _, a := range u.results.Actions {
		lodge = lodge || a.Kind == rollover.SubmitDS || a.Kind == rollover.WithdrawDS || a.Kind == rollover.DeleteDS
	}
	return lodge, obeyed
}

// obey takes orders into the state, and returns the events in them.
func (u *unit) obey(orders []order) (events []rollover.Event) {
	for _, o := range orders {
		if o.name <= u.record.LastOrder {
			continue // a crash came between saving and removing it
		}
		switch {
		case o.Signed:
			u.record.State.Signed = true
		case o.Unsigned:
			u.record.State.Signed = false
		}
		if o.Algorithm != 0 {
			u.record.Algorithm = o.Algorithm
		}
		events = append(events, o.Events...)
		u.record.LastOrder = o.name
		u.manager.logger().Info("order", "zone", u.origin, "order", o.Order)
	}
	return events
}

// forget removes orders that are in the saved state.
func (u *unit) forget(orders []order) {
	for _, o := range orders {
		if err := os.Remove(u.manager.store().path(u.origin, ordersDir, o.name)); err != nil && !isMissing(err) {
			u.problem(err)
		}
	}
}

// maxClockInterval is how often a state is saved in which only the clock went on; more
// often when the policy's safety intervals are short, which is what Step lets pass
// unobserved.
const maxClockInterval = time.Hour

func (u *unit) clockInterval() time.Duration {
	interval := maxClockInterval
	for _, safety := range []time.Duration{u.zone.Policy.PublishSafety, u.zone.Policy.RetireSafety} {
		if safety != 0 {
			interval = min(interval, max(0, safety))
		}
	}
	return interval / 4
}

// save saves the record, when there is something new in it.
func (u *unit) save(always bool) error {
	last := u.saved
	if elapsed := u.record.State.Clock.Last.Sub(last.Clock.Last); elapsed >= 0 && elapsed < u.clockInterval() {
		last.Clock.Last = u.record.State.Clock.Last
	}
	if !always && u.record.Version > 0 && sameState(last, u.record.State) {
		return nil
	}
	if err := u.manager.store().Save(u.origin, &u.record); err != nil {
		if errors.Is(err, ErrConflict) {
			u.loaded = false // begin with what is there
		}
		return err
	}
	u.saved = u.record.State
	return nil
}

func sameState(a, b rollover.State) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// carryOut makes and purges keys. It reports whether there are other keys now.
func (u *unit) carryOut() (changed bool) {
	for _, a := range u.results.Actions {
		var err error
		switch a.Kind {
		case rollover.Generate:
			u.manager.store().pass()
			_, err = u.keystore().Generate(keystore.Spec{Origin: u.origin, Algorithm: a.Algorithm, Use: useOf(a.Role)}, u.manager.now())
			u.manager.store().pass()
			if err == nil {
				u.manager.counters.KeysMade.Add(1)
			}
		case rollover.Purge:
			key := keystore.Key{Origin: u.origin}
			key.PublicKey = a.Public
			u.manager.store().pass()
			err = u.manager.store().purge(u.origin, key.Name())
		default:
			continue
		}
		if err != nil {
			u.problem(fmt.Errorf("manager: zone %s: %s: %w", u.origin, a, err))
			continue
		}
		changed = true
		u.manager.logger().Info("key", "zone", u.origin, "action", a.String())
	}
	if changed {
		keys, err := u.keystore().Keys(u.origin)
		u.problem(err)
		if err == nil {
			u.keys = keys
		}
	}
	return changed
}

func useOf(role rollover.Role) dnssec.Use {
	switch role {
	case rollover.KSK:
		return dnssec.KSK
	case rollover.ZSK:
		return dnssec.ZSK
	}
	return dnssec.CSK
}

// schedule returns when the next turn is due.
func (u *unit) schedule() time.Time {
	now := u.manager.now()
	next := now.Add(u.manager.watch())
	earlier := func(t time.Time) {
		if t.Before(next) {
			next = t
		}
	}
	if !u.results.Next.IsZero() {
		earlier(u.results.Next)
	}
	if u.signed.result != nil {
		earlier(u.signed.result.Due)
	}
	if len(u.trouble) > 0 || !u.loaded || u.waits() {
		earlier(now.Add(u.manager.poll()))
	}
	if u.zone.Primary != nil {
		earlier(u.source.due())
	}
	if soonest := now.Add(minInterval); next.Before(soonest) {
		next = soonest
	}
	return next
}

// minInterval keeps a zone from having turn after turn.
const minInterval = 100 * time.Millisecond

// due is when the primary is to be asked again (RFC 1035 section 3.3.13).
func (s *source) due() time.Time {
	if s.zone == nil {
		return s.tried.Add(time.Minute)
	}
	soa := s.zone.SOA()
	if s.fetched.Before(s.tried) {
		return s.tried.Add(max(time.Second, time.Duration(soa.Retry)*time.Second))
	}
	return s.fetched.Add(max(time.Second, time.Duration(soa.Refresh)*time.Second))
}
