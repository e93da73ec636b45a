package rollover

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// world is a zone with its servers, its parent, a manager that crashes, people who
// meddle, and resolvers that have cached whatever they could. It judges for itself
// whether a resolver may find the zone bogus, and uses none of the rules for it.
type world struct {
	rng    *rand.Rand
	engine engine
	now    time.Time

	// the manager's disk
	stored     State
	store      []AvailableKey
	lost       map[KeyID]bool // private halves that were deleted
	generation uint64         // of the zone that is served
	policy     Policy
	signed     bool

	// the manager's memory, lost in a crash
	offset      time.Duration // of its clock
	lastStep    time.Time     // by the true clock; zero after a crash
	servedSince time.Time
	next        time.Time // by the true clock
	events      []Event

	zoneTTL, dsTTL   time.Duration // as configured now
	lag, parentLag   time.Duration // at most
	parentDelay      time.Duration
	zone             []version // what servers of the zone served, the last one still
	ds               []version // what servers of the parent served
	strays           [][]byte
	scanned          int // the version of the zone that the parent followed last
	writes, crashAt  int
	refused          error // by the signer
	calm             bool
	believesItsClock bool // the mutant that takes all time for passed
	log              []func() string
}

// version is a set that is served from a time until the slowest server has the
// next one.
type version struct {
	until           time.Time // zero is still served
	keyTTL, zoneTTL time.Duration
	keys            map[KeyID]dnssec.Use
	wanted          []dnssec.PublicKey // CDS
	deleteDS        bool
	algorithms      map[KeyID]dnssec.Algorithm
	ds              map[KeyID]dnssec.PublicKey
	dsTTL           time.Duration
	number          int
}

var testDurations = []time.Duration{time.Minute, 5 * time.Minute, time.Hour, 3 * time.Hour, 12 * time.Hour, day, 2 * day}

func (w *world) pick(durations ...time.Duration) time.Duration {
	return durations[w.rng.IntN(len(durations))]
}

func newWorld(seed uint64, e engine) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), engine: e, now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), lost: map[KeyID]bool{}, signed: true}
	w.lag, w.parentLag = w.pick(0, time.Second, 5*time.Minute, time.Hour), w.pick(0, time.Minute, time.Hour)
	w.parentDelay = w.pick(0, time.Minute, time.Hour, day)
	w.zoneTTL, w.dsTTL = w.pick(testDurations...), w.pick(testDurations...)
	w.policy = w.anyPolicy()
	w.stored = State{Zone: "example.org.", Signed: true}
	w.zone = []version{{keyTTL: w.zoneTTL, zoneTTL: w.zoneTTL}}
	w.ds = []version{{dsTTL: w.dsTTL}}
	w.next = w.now
	w.note("lags %v, %v; TTLs %v, %v; policy %+v", w.lag, w.parentLag, w.zoneTTL, w.dsTTL, w.policy)
	return w
}

func (w *world) anyPolicy() Policy {
	lifetime := func() time.Duration {
		return w.pick(Unlimited, time.Minute, day, 5*day, 20*day)
	}
	atLeast := func(least time.Duration) time.Duration {
		return max(least, w.pick(0, time.Second, time.Hour), time.Nanosecond)
	}
	return Policy{
		Algorithm: []dnssec.Algorithm{8, 13, 13, 13, 15}[w.rng.IntN(5)], CSK: w.rng.IntN(3) == 0, Parent: Parent(w.rng.IntN(3)),
		KSKLifetime: lifetime(), ZSKLifetime: lifetime(), KeyTTL: w.pick(testDurations...), DSTTL: w.dsTTL,
		ZonePropagation: atLeast(w.lag), ParentPropagation: atLeast(w.parentLag),
		PublishSafety: w.pick(-1, time.Second, time.Hour), RetireSafety: w.pick(-1, time.Second, time.Hour), Purge: w.pick(-1, day),
	}
}

func (w *world) note(format string, args ...any) {
	at := w.now
	w.log = append(w.log, func() string { return at.Format("01-02 15:04:05 ") + fmt.Sprintf(format, args...) })
}

// run lets the world go on for some wakes, and returns what was wrong.
func (w *world) run(wakes int) error {
	for range wakes {
		if err := w.wake(); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) wake() error {
	w.now = w.next
	w.parentScans()
	if !w.calm {
		w.meddle()
	}
	if err := w.check(); err != nil {
		return err
	}
	again := 0
	for w.manage() && again < 6 {
		again++
		if err := w.check(); err != nil {
			return err
		}
	}
	if err := w.check(); err != nil {
		return err
	}
	if !w.calm && w.rng.IntN(3) == 0 { // looks sooner than asked to
		w.next = w.now.Add(max(time.Second, time.Duration(w.rng.Int64N(int64(w.next.Sub(w.now))+1))))
	}
	return nil
}

// crash reports whether the manager crashes now, at one of its writes.
func (w *world) crash() bool {
	w.writes++
	if w.writes != w.crashAt && (w.calm || w.rng.IntN(12) != 0) {
		return false
	}
	w.note("CRASH")
	w.lastStep, w.servedSince = time.Time{}, time.Time{}
	w.next = w.now.Add(w.pick(0, time.Second, time.Hour, day))
	if w.next == w.now {
		w.next = w.now.Add(time.Second)
	}
	return true
}

// manage is one round of a manager: look, step, store, act. It reports whether to
// step again at once.
func (w *world) manage() bool {
	clock := w.now.Add(w.offset)
	observed := w.look(clock)
	result := w.engine.step(w.stored, w.policy, observed, clock)
	if w.crash() {
		return false
	}
	w.stored = roundTrip(w, result.State)
	w.events = nil
	w.lastStep = w.now
	for _, reason := range result.Reasons {
		if reason.Done {
			w.note("%s", reason)
		}
	}
	if w.crash() {
		return false
	}
	w.next = w.now.Add(max(result.Next.Sub(clock), time.Second))
	again := false
	for _, action := range result.Actions {
		changed, crashed := w.carryOut(action)
		if crashed {
			return false
		}
		again = again || changed
	}
	return again
}

func roundTrip(w *world, state State) State {
	if w.rng.IntN(40) != 0 {
		return state
	}
	text, err := json.Marshal(state)
	if err != nil {
		panic(err)
	}
	var back State
	if err := json.Unmarshal(text, &back); err != nil {
		panic(err)
	}
	return back
}

// look is what the manager observes.
func (w *world) look(clock time.Time) Observations {
	observed := Observations{Served: w.generation, ZoneTTL: w.zoneTTL, Events: w.events}
	if !w.servedSince.IsZero() {
		observed.ServedSince = w.servedSince.Add(w.offset)
	}
	if !w.lastStep.IsZero() {
		observed.Elapsed = max(w.now.Sub(w.lastStep), 1)
	}
	if w.believesItsClock {
		observed.Elapsed = max(clock.Sub(w.stored.Clock.Last), 1)
	}
	served := w.zone[len(w.zone)-1]
	if len(served.keys) > 0 {
		observed.KeyTTL = served.keyTTL
	}
	for _, key := range w.store {
		id := IDOf(key.Public)
		key.Private = !w.lost[id]
		key.Served = served.keys[id] &^ dnssec.InParent
		observed.Keys = append(observed.Keys, key)
	}
	observed.DS = w.answers()
	return observed
}

// answers is that of the fastest and of the slowest server of the parent.
func (w *world) answers() []DSAnswer {
	owner, _ := wire.ParseName("example.org.")
	versions := []version{w.ds[len(w.ds)-1]}
	if len(w.ds) > 1 && w.ds[len(w.ds)-2].until.After(w.now) {
		versions = append(versions, w.ds[len(w.ds)-2])
	}
	var answers []DSAnswer
	for i, v := range versions {
		answer := DSAnswer{Server: fmt.Sprint("server ", i), TTL: v.dsTTL, Failed: w.rng.IntN(20) == 0}
		for _, key := range v.ds {
			answer.Records = append(answer.Records, key.DS(owner, dnssec.SHA256))
		}
		answer.Records = append(answer.Records, w.strays...)
		if answer.Failed {
			answer.Records = nil
		}
		answers = append(answers, answer)
	}
	return answers
}

func (w *world) carryOut(action Action) (changed, crashed bool) {
	switch action.Kind {
	case Generate:
		w.store = append(w.store, w.newKey(action))
		return true, w.crash()
	case Publish:
		return w.publish(), w.crash()
	case SubmitDS, WithdrawDS, DeleteDS:
		if w.stored.Key(action.Key) == nil && action.Kind != DeleteDS || w.policy.Parent == ByCDS || w.rng.IntN(3) == 0 {
			return false, false
		}
		w.lodge()
		return false, w.crash()
	case Purge:
		w.store = slices.DeleteFunc(w.store, func(k AvailableKey) bool { return IDOf(k.Public) == action.Key })
		return true, w.crash()
	}
	return false, false
}

func (w *world) newKey(action Action) AvailableKey {
	key := dnssec.PublicKey{Flags: dnssec.FlagZone, Algorithm: action.Algorithm, Key: binary.BigEndian.AppendUint64(nil, w.rng.Uint64())}
	if action.Role != ZSK {
		key.Flags |= dnssec.FlagSEP
	}
	return AvailableKey{Public: key, Role: action.Role}
}

// publish signs the zone and gives it to its servers, the slowest of which has it
// after the lag. It fails when a private half is missing that has to sign.
func (w *world) publish() bool {
	if !w.calm && w.rng.IntN(6) == 0 {
		return false
	}
	v := version{keys: map[KeyID]dnssec.Use{}, algorithms: map[KeyID]dnssec.Algorithm{}, deleteDS: w.stored.DeleteDS,
		keyTTL: w.stored.TTLs.Key.Value, zoneTTL: w.stored.TTLs.Zone.Value}
	for _, key := range w.stored.Uses() {
		id := IDOf(key.PublicKey)
		if w.lost[id] && key.Use&(dnssec.SignKeys|dnssec.SignZone) != 0 {
			w.note("cannot sign with %s", key)
			return false
		}
		v.keys[id], v.algorithms[id] = key.Use, key.Algorithm
		if key.Use&dnssec.InParent != 0 {
			v.wanted = append(v.wanted, key.PublicKey)
		}
	}
	if len(v.keys) == 0 {
		v.keyTTL = v.zoneTTL // a negative answer's
	}
	w.refused = v.refused()
	w.note("serves generation %d: %d keys", w.stored.Generation, len(v.keys))
	w.zone[len(w.zone)-1].until = w.now.Add(w.anyLag(w.lag))
	v.number = w.zone[len(w.zone)-1].number + 1
	w.zone = append(w.zone, v)
	w.generation, w.servedSince = w.stored.Generation, w.now
	return true
}

// refused is why a signer would not sign: each algorithm that is published signs
// keys and zone (RFC 4035 section 2.2).
func (v *version) refused() error {
	uses := map[dnssec.Algorithm]dnssec.Use{}
	for id, use := range v.keys {
		uses[v.algorithms[id]] |= use
	}
	for algorithm, use := range uses {
		if use&dnssec.Publish != 0 && use&dnssec.CSK != dnssec.CSK {
			return fmt.Errorf("REFUSED: algorithm %d is published, and does not sign all", algorithm)
		}
	}
	return nil
}

func (w *world) anyLag(most time.Duration) time.Duration {
	if most == 0 || w.rng.IntN(2) == 0 {
		return most
	}
	return time.Duration(w.rng.Int64N(int64(most)))
}

// lodge has a registrar, or a person, make the DS set what the state wants.
func (w *world) lodge() {
	ds := map[KeyID]dnssec.PublicKey{}
	for i := range w.stored.Keys {
		if key := &w.stored.Keys[i]; key.Records[DS].State.in() && !w.stored.DeleteDS {
			ds[key.ID] = key.Public
		}
	}
	w.setDS(ds)
}

// parentScans has the parent follow the CDS set of some server of the zone.
func (w *world) parentScans() {
	if w.policy.Parent != ByCDS || !w.calm && w.rng.IntN(4) == 0 {
		return
	}
	v := w.zone[len(w.zone)-1]
	if len(w.zone) > 1 && w.zone[len(w.zone)-2].until.After(w.now) && w.rng.IntN(2) == 0 {
		v = w.zone[len(w.zone)-2]
	}
	if v.number < w.scanned {
		return // an earlier version never undoes a later one (RFC 7344 section 6.2)
	}
	w.scanned = v.number
	switch {
	case v.deleteDS:
		w.setDS(map[KeyID]dnssec.PublicKey{})
	case len(v.wanted) > 0:
		ds := map[KeyID]dnssec.PublicKey{}
		for _, key := range v.wanted {
			ds[IDOf(key)] = key
		}
		w.setDS(ds)
	}
}

func (w *world) setDS(ds map[KeyID]dnssec.PublicKey) {
	last := &w.ds[len(w.ds)-1]
	if maps.EqualFunc(last.ds, ds, dnssec.PublicKey.Equal) {
		return
	}
	w.note("DS set of %d", len(ds))
	last.until = w.now.Add(w.anyLag(w.parentLag))
	w.ds = append(w.ds, version{ds: ds, dsTTL: w.dsTTL})
}

// meddle is what people, clocks and accidents do.
func (w *world) meddle() {
	switch w.rng.IntN(60) {
	case 0, 1:
		w.event(Event{Kind: Roll, Role: Role(1 + w.rng.IntN(3))})
	case 2:
		if n := len(w.stored.Keys); n > 0 {
			w.event(Event{Kind: Emergency, Key: w.stored.Keys[w.rng.IntN(n)].ID})
		}
	case 3, 4:
		w.policy = w.anyPolicy()
		w.note("policy %+v", w.policy)
	case 5:
		w.signed = !w.signed
		w.stored.Signed = w.signed
		w.note("signed %v", w.signed)
	case 6, 7:
		w.offset += w.pick(-5*day, -time.Hour, time.Hour, day, 400*day)
		w.note("clock leaps to %v", w.offset)
	case 8:
		if w.stored.TTLs.Zone.Value != w.zoneTTL {
			return // the manager has not seen the last change
		}
		w.zoneTTL = w.pick(testDurations...)
		w.note("zone TTL %v", w.zoneTTL)
	case 9:
		if n := len(w.store); n > 0 {
			w.lost[IDOf(w.store[w.rng.IntN(n)].Public)] = true
		}
	case 10, 11, 12, 13:
		clear(w.lost)
	case 14:
		w.crash()
	case 15:
		w.loseState()
	case 16:
		w.setDS(map[KeyID]dnssec.PublicKey{}) // the parent withdraws what it has
	case 17:
		w.addStray()
	case 18, 19:
		w.strays = nil
	case 20:
		w.event(Event{Kind: ClockRight})
	}
}

// addStray has the parent publish a DS record of a key that is in nobody's zone,
// of an algorithm that others vouch for.
func (w *world) addStray() {
	for i := range w.stored.Keys {
		if key := &w.stored.Keys[i]; key.Records[DS].State == Omnipresent {
			w.strays = append(w.strays, append([]byte{byte(w.rng.Uint32()), byte(w.rng.Uint32()), byte(key.Public.Algorithm), 2}, make([]byte, 32)...))
			return
		}
	}
}

func (w *world) event(e Event) {
	w.note("event %+v", e)
	w.events = append(w.events, e)
}

// loseState deletes the state file. TTLs that were higher cannot be known then, so
// it only happens to those who did not lower any lately.
func (w *world) loseState() {
	ttls := w.stored.TTLs
	if ttls.Key.Earlier != 0 || ttls.Zone.Earlier != 0 || ttls.DS.Earlier != 0 || ttls.Zone.Value != w.zoneTTL || ttls.Key.Value != w.policy.KeyTTL {
		return
	}
	w.note("STATE LOST")
	w.stored = State{Zone: w.stored.Zone, Signed: w.signed}
	w.generation = 1 << 60 // of a state that is unknown
	w.lastStep = time.Time{}
}

// settle leaves the world alone, and returns what is wrong when it does not come to
// what the policy wants.
func (w *world) settle() error {
	w.note("CALM")
	w.calm, w.strays = true, nil
	clear(w.lost)
	w.policy.Parent, w.policy.KSKLifetime, w.policy.ZSKLifetime = ByCDS, Unlimited, Unlimited
	w.stored.Signed = true
	for range 600 {
		if err := w.wake(); err != nil {
			return err
		}
		if w.settled() {
			return nil
		}
		w.next = later(w.next, w.now.Add(time.Hour))
	}
	text, _ := json.MarshalIndent(w.stored, "", " ")
	result := w.engine.step(w.stored, w.policy, w.look(w.now.Add(w.offset)), w.now.Add(w.offset))
	for _, reason := range result.Reasons {
		w.note("%s", reason)
	}
	return fmt.Errorf("at %s: NOT SETTLED\n%s\n%s", w.now.Format("01-02 15:04:05"), text, w.history())
}

func (w *world) settled() bool {
	policy := w.policy.withDefaults()
	want := len(policy.roles())
	for i := range w.stored.Keys {
		key := &w.stored.Keys[i]
		switch {
		case key.Retiring && !key.hidden(), !key.Retiring && !key.established():
			return false
		case !key.Retiring && key.Public.Algorithm == policy.Algorithm && slices.Contains(policy.roles(), key.Role):
			want--
		}
	}
	return want == 0
}

// check looks at every combination of sets that a resolver may hold.
func (w *world) check() error {
	if w.refused != nil {
		return fmt.Errorf("at %s: %w\n%s", w.now.Format("01-02 15:04:05"), w.refused, w.history())
	}
	w.zone = slices.DeleteFunc(w.zone, func(v version) bool {
		return !v.mayBeCached(max(v.keyTTL, v.zoneTTL), w.now)
	})
	w.ds = slices.DeleteFunc(w.ds, func(v version) bool { return !v.mayBeCached(v.dsTTL, w.now) })
	for _, ds := range w.ds {
		for i := range w.zone {
			if keys := &w.zone[i]; keys.mayBeCached(keys.keyTTL, w.now) {
				for j := range w.zone {
					if data := &w.zone[j]; data.mayBeCached(data.zoneTTL, w.now) {
						if err := validate(ds.ds, keys, data); err != nil {
							return fmt.Errorf("at %s: %w\nDS %s\nDNSKEY %s\ndata %s\n%s", w.now.Format("01-02 15:04:05"), err, ds.String(), keys.String(), data.String(), w.history())
						}
					}
				}
			}
		}
	}
	return nil
}

func (w *world) history() string {
	var text strings.Builder
	for _, line := range w.log {
		text.WriteString(line() + "\n")
	}
	return text.String()
}

func (v version) String() string {
	return fmt.Sprintf("served until %s with TTLs %v, %v, %v: %v %v", v.until.Format("01-02 15:04:05"), v.keyTTL, v.zoneTTL, v.dsTTL, v.keys, v.ds)
}

func (v *version) mayBeCached(ttl time.Duration, now time.Time) bool {
	return v.until.IsZero() || v.until.Add(ttl).After(now)
}

// validate is what a resolver does that insists on every algorithm of the DS set
// (RFC 4035 section 2.2), with sets of different age.
func validate(ds map[KeyID]dnssec.PublicKey, keys, data *version) error {
	if len(ds) == 0 {
		return nil
	}
	for _, anchor := range ds {
		found := false
		for id, key := range ds {
			use := keys.keys[id]
			found = found || key.Algorithm == anchor.Algorithm && use&dnssec.Publish != 0 && use&dnssec.SignKeys != 0
		}
		if !found {
			return fmt.Errorf("BOGUS: no DNSKEY for the DS record of %s", anchor)
		}
	}
	for id, use := range keys.keys {
		if use&dnssec.Publish == 0 {
			continue
		}
		found := false
		for other, otherUse := range keys.keys {
			found = found || otherUse&dnssec.Publish != 0 && keys.algorithms[other] == keys.algorithms[id] && data.keys[other]&dnssec.SignZone != 0
		}
		if !found {
			return fmt.Errorf("BOGUS: no signature with algorithm %d by a key of the DNSKEY set", keys.algorithms[id])
		}
	}
	return nil
}
