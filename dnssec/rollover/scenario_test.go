package rollover

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/stretchr/testify/require"
)

// settled returns a world in which the zone is signed and its DS record lodged.
func settled(t *testing.T, policy Policy) *Future {
	f := NewFuture(State{Zone: "example.org.", Signed: true}, policy, Observations{}, ParentModel{Delay: time.Hour}, date(t, "2026-12-01 00:00:00"))
	f.untilQuiet(t)
	return f
}

// untilQuiet goes on until all keys are where they make for.
func (f *Future) untilQuiet(t *testing.T) (all []Reason) {
	t.Helper()
	for range 300 {
		result, again := f.Next()
		all = append(all, result.Reasons...)
		quiet := !again
		for i := range f.State.Keys {
			key := &f.State.Keys[i]
			quiet = quiet && (key.Retiring && key.hidden() || !key.Retiring && key.established())
		}
		if quiet {
			return all
		}
		if !again {
			f.Forward(result.Next)
		}
	}
	t.Fatalf("it never gets quiet: %v", all[len(all)-5:])
	return nil
}

func (f *Future) active(role Role) *Key {
	for i := range f.State.Keys {
		if key := &f.State.Keys[i]; key.Role == role && !key.Retiring {
			return key
		}
	}
	return nil
}

// observed is what the world looks like now.
func (f *Future) observed() Observations {
	return Observations{Keys: f.Keys, DS: f.answers(), Served: f.State.Generation, Elapsed: max(f.Now.Sub(f.State.Clock.Last), 1)}
}

// says fails unless some reason has the text.
func says(t *testing.T, reasons []Reason, person bool, text string) {
	t.Helper()
	found := slices.ContainsFunc(reasons, func(r Reason) bool { return strings.Contains(r.Text, text) && (r.Person || !person) })
	require.True(t, found, "no reason says %q: %v", text, reasons)
}

// uses is the keys by role, for those that do anything.
func (f *Future) uses() map[Role]dnssec.Use {
	found := map[Role]dnssec.Use{}
	for i := range f.State.Keys {
		if use := f.State.Keys[i].Use(); use != 0 {
			found[f.State.Keys[i].Role] |= use
		}
	}
	return found
}

func TestNewZone(t *testing.T) {
	f := settled(t, Policy{})
	require.Equal(t, map[Role]dnssec.Use{KSK: dnssec.KSK | dnssec.InParent, ZSK: dnssec.ZSK}, f.uses())
	require.Len(t, f.lodged, 1)

	f = settled(t, Policy{CSK: true, Algorithm: dnssec.ED25519})
	require.Equal(t, map[Role]dnssec.Use{CSK: dnssec.CSK | dnssec.InParent}, f.uses())
}

// TestLodgeAt: the time at which the DS record may be lodged is known from the
// start, and stays.
func TestLodgeAt(t *testing.T) {
	now := date(t, "2026-12-01 00:00:00")
	f := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{ZoneTTL: 6 * time.Hour}, Observations{}, ParentModel{Delay: -1}, now)
	f.Next() // asks for keys
	for range 30 {
		result := Step(f.State, f.Policy, f.observed(), f.Now)
		require.Equal(t, "2026-12-01 07:05", minute(result.LodgeAt)) // Dprp 0:05, TTLsig 6:00, 1:00
		next, again := f.Next()
		if !again {
			f.Forward(next.Next)
		}
	}
	require.Equal(t, Rumoured, f.active(KSK).Records[DS].State)
}

func TestDisable(t *testing.T) {
	f := settled(t, Policy{})
	f.State.Signed = false
	result, _ := f.Next()
	require.True(t, result.State.DeleteDS)
	require.True(t, slices.ContainsFunc(result.Actions, func(a Action) bool { return a.Kind == DeleteDS }))
	began := f.Now
	for len(f.uses()) > 0 {
		require.Len(t, f.uses(), 2, "signed as long as a resolver may have the DS record")
		result, again := f.Next()
		if !again {
			f.Forward(result.Next)
		}
	}
	require.False(t, f.State.DeleteDS)
	// The parent acts after an hour; DprpP 1:00, TTLds 24:00, 1:00.
	require.Equal(t, 27*time.Hour, f.Now.Sub(began))
	f.untilQuiet(t)
	f.State.Signed = true
	f.untilQuiet(t)
	require.Len(t, f.uses(), 2, "enabled again, with new keys")
}

func TestKSKsWaitForAPerson(t *testing.T) {
	f := settled(t, Policy{KSKLifetime: 30 * day})
	f.Now = f.Now.Add(40 * day)
	result, _ := f.Next()
	says(t, result.Reasons, true, "rolls over when a person says so")
	require.Equal(t, 1, count(f, KSK))

	f.Policy.Parent = ByCDS
	f.Next()
	f.untilQuiet(t)
	require.Equal(t, 2, count(f, KSK))
}

func count(f *Future, role Role) (n int) {
	for i := range f.State.Keys {
		if f.State.Keys[i].Role == role {
			n++
		}
	}
	return n
}

// TestMethods has every change of keys go through the states in the order of its
// method.
func TestMethods(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before Policy
		change func(f *Future) []Event
		want   string // the old keys' and the new keys' records, in order
	}{
		{"ZSK: pre-publication", Policy{}, roll(ZSK), `
			ZSK 2 DNSKEY rumoured
			ZSK 2 DNSKEY omnipresent + ZSK 2 ZRRSIG rumoured + ZSK 1 ZRRSIG unretentive
			ZSK 1 ZRRSIG hidden + ZSK 2 ZRRSIG omnipresent + ZSK 1 DNSKEY unretentive
			ZSK 1 DNSKEY hidden`},
		{"KSK: Double-KSK", Policy{}, roll(KSK), `
			KSK 2 DNSKEY rumoured + KSK 2 KRRSIG rumoured
			KSK 2 DNSKEY omnipresent + KSK 2 KRRSIG omnipresent + KSK 2 DS rumoured + KSK 1 DS unretentive
			KSK 1 DS hidden + KSK 2 DS omnipresent + KSK 1 DNSKEY unretentive + KSK 1 KRRSIG unretentive
			KSK 1 DNSKEY hidden + KSK 1 KRRSIG hidden`},
		{"CSK", Policy{CSK: true, ZoneTTL: time.Hour}, roll(CSK), `
			CSK 2 DNSKEY rumoured + CSK 2 KRRSIG rumoured
			CSK 2 DNSKEY omnipresent + CSK 2 KRRSIG omnipresent + CSK 2 ZRRSIG rumoured + CSK 2 DS rumoured + CSK 1 ZRRSIG unretentive + CSK 1 DS unretentive
			CSK 1 ZRRSIG hidden + CSK 2 ZRRSIG omnipresent
			CSK 1 DS hidden + CSK 2 DS omnipresent + CSK 1 DNSKEY unretentive + CSK 1 KRRSIG unretentive
			CSK 1 DNSKEY hidden + CSK 1 KRRSIG hidden`},
		{"algorithm, conservatively", Policy{}, func(f *Future) []Event { f.Policy.Algorithm = dnssec.ED25519; return nil }, `
			ZSK 2 ZRRSIG rumoured
			ZSK 2 ZRRSIG omnipresent + ZSK 2 DNSKEY rumoured + KSK 2 DNSKEY rumoured + KSK 2 KRRSIG rumoured
			KSK 2 DNSKEY omnipresent + KSK 2 KRRSIG omnipresent + ZSK 2 DNSKEY omnipresent + KSK 2 DS rumoured + KSK 1 DS unretentive
			KSK 1 DS hidden + KSK 2 DS omnipresent + KSK 1 DNSKEY unretentive + KSK 1 KRRSIG unretentive + ZSK 1 DNSKEY unretentive
			KSK 1 DNSKEY hidden + KSK 1 KRRSIG hidden + ZSK 1 DNSKEY hidden + ZSK 1 ZRRSIG unretentive
			ZSK 1 ZRRSIG hidden`},
		{"KSK and ZSK to CSK", Policy{ZoneTTL: time.Hour}, func(f *Future) []Event { f.Policy.CSK = true; return nil }, `
			CSK 1 DNSKEY rumoured + CSK 1 KRRSIG rumoured
			CSK 1 DNSKEY omnipresent + CSK 1 KRRSIG omnipresent + CSK 1 ZRRSIG rumoured + CSK 1 DS rumoured + KSK 1 DS unretentive + ZSK 1 ZRRSIG unretentive
			ZSK 1 ZRRSIG hidden + CSK 1 ZRRSIG omnipresent + ZSK 1 DNSKEY unretentive
			ZSK 1 DNSKEY hidden
			KSK 1 DS hidden + CSK 1 DS omnipresent + KSK 1 DNSKEY unretentive + KSK 1 KRRSIG unretentive
			KSK 1 DNSKEY hidden + KSK 1 KRRSIG hidden`},
		{"CSK to KSK and ZSK", Policy{CSK: true, ZoneTTL: time.Hour}, func(f *Future) []Event { f.Policy.CSK = false; return nil }, `
			KSK 1 DNSKEY rumoured + KSK 1 KRRSIG rumoured + ZSK 1 DNSKEY rumoured
			KSK 1 DNSKEY omnipresent + KSK 1 KRRSIG omnipresent + ZSK 1 DNSKEY omnipresent + KSK 1 DS rumoured + ZSK 1 ZRRSIG rumoured + CSK 1 ZRRSIG unretentive + CSK 1 DS unretentive
			CSK 1 ZRRSIG hidden + ZSK 1 ZRRSIG omnipresent
			CSK 1 DS hidden + KSK 1 DS omnipresent + CSK 1 DNSKEY unretentive + CSK 1 KRRSIG unretentive
			CSK 1 DNSKEY hidden + CSK 1 KRRSIG hidden`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := settled(t, tt.before)
			names := newWatch()
			for i := range f.State.Keys {
				names.name(f.State.Keys[i].ID.String(), f.State.Keys[i].Role)
			}
			got := f.order(names, tt.change(f))
			require.Equal(t, sorted(tt.want), sorted(got), got)
		})
	}
}

func roll(role Role) func(*Future) []Event {
	return func(*Future) []Event { return []Event{{Kind: Roll, Role: role}} }
}

// order is what happens in the next weeks, a line for each moment.
func (f *Future) order(names *watch, events []Event) string {
	var lines, line []string
	for end := f.Now.Add(20 * day); f.Now.Before(end); {
		result, again := f.Next(events...)
		events = nil
		for _, reason := range result.Reasons {
			if key := f.State.Key(reason.Key); reason.Done && reason.From != reason.To {
				line = append(line, change{names.name(key.ID.String(), key.Role), reason.Record, reason.To}.String())
			}
		}
		if again {
			continue
		}
		if len(line) > 0 {
			lines, line = append(lines, strings.Join(line, " + ")), nil
		}
		f.Forward(result.Next)
	}
	return strings.Join(lines, "\n")
}

// sorted is the lines, with what happens at once in any order.
func sorted(text string) (lines []string) {
	for line := range strings.Lines(strings.TrimSpace(text)) {
		parts := strings.Split(strings.TrimSpace(line), " + ")
		slices.Sort(parts)
		lines = append(lines, strings.Join(parts, " + "))
	}
	return lines
}

// TestEmergency: a compromised key is replaced at once, and as fast as TTLs allow.
func TestEmergency(t *testing.T) {
	f := settled(t, Policy{ZoneTTL: time.Hour})
	key := f.active(ZSK).ID
	began := f.Now
	f.Next(Event{Kind: Emergency, Key: key})
	for f.State.Key(key).Use()&dnssec.SignZone != 0 {
		result, again := f.Next()
		if !again {
			f.Forward(result.Next)
		}
	}
	require.Equal(t, 65*time.Minute, f.Now.Sub(began)) // Dprp 0:05, TTLkey 1:00, and no more
	f.untilQuiet(t)
	require.NotEqual(t, key, f.active(ZSK).ID)
	require.False(t, f.active(ZSK).Emergency, "what is over is over")
}

func TestMissingPrivateHalf(t *testing.T) {
	for _, role := range []Role{KSK, ZSK, CSK} {
		t.Run(role.String(), func(t *testing.T) {
			f := settled(t, Policy{CSK: role == CSK, ZSKLifetime: 10 * day, KSKLifetime: 10 * day, Parent: ByCDS})
			before := f.uses()
			id := f.active(role).ID
			with := f.Keys
			f.Keys = slices.DeleteFunc(slices.Clone(with), func(k AvailableKey) bool { return IDOf(k.Public) == id }) // its files are gone
			for range 20 {
				result, _ := f.Next()
				f.Forward(result.Next)
				says(t, result.Reasons, true, "put its file back")
			}
			require.Equal(t, before, f.uses(), "no rollover, and no signature dropped")
			require.Equal(t, 1, count(f, role))
			f.Keys = with
			f.Next()
			f.untilQuiet(t)
			require.NotEqual(t, id, f.active(role).ID, "the rollover that was due")
		})
	}
}

// TestMissingSuccessor: a key that did not sign yet is simply replaced.
func TestMissingSuccessor(t *testing.T) {
	f := settled(t, Policy{})
	f.Next(Event{Kind: Roll, Role: ZSK})
	f.Next()
	id := f.active(ZSK).ID
	f.Keys = slices.DeleteFunc(f.Keys, func(k AvailableKey) bool { return IDOf(k.Public) == id })
	f.Next()
	f.untilQuiet(t)
	require.NotEqual(t, id, f.active(ZSK).ID)
}

func TestMissingPrivateHalfInTime(t *testing.T) {
	f := settled(t, Policy{})
	observed := f.observed()
	observed.Keys = nil
	observed.Expiry = f.Now.Add(5 * day)
	result := Step(f.State, f.Policy, observed, f.Now)
	says(t, result.Reasons, true, "disable the zone before "+minute(f.Now.Add(5*day-26*time.Hour)))
}

func TestDSWithdrawnByTheParent(t *testing.T) {
	f := settled(t, Policy{})
	clear(f.lodged)
	f.model.Delay = -1
	result, _ := f.Next()
	says(t, result.Reasons, true, "the parent has not got its DS record any more")
	require.Equal(t, Rumoured, f.active(KSK).Records[DS].State)
	require.True(t, slices.ContainsFunc(result.Actions, func(a Action) bool { return a.Kind == SubmitDS }))
	require.Len(t, f.uses(), 2, "still signed")
}

// TestStrayDS: a DS record of nobody's key is explained, and holds up nothing.
func TestStrayDS(t *testing.T) {
	f := settled(t, Policy{})
	stray := append([]byte{1, 2, 13, 2}, make([]byte, 32)...)
	observed := f.observed()
	observed.DS[0].Records = append(observed.DS[0].Records, stray)
	result := Step(f.State, f.Policy, observed, f.Now)
	says(t, result.Reasons, true, "tag 258, algorithm 13) that belongs to no key of the zone")

	stray[2] = 8
	result = Step(f.State, f.Policy, observed, f.Now)
	says(t, result.Reasons, true, "may find the zone bogus")

	result.State.Signed = false
	observed.DS[0].Records = [][]byte{stray}
	for i := range 40 {
		now := f.Now.Add(time.Duration(i) * 6 * time.Hour)
		observed.Served, observed.Elapsed = result.State.Generation, 6*time.Hour
		result = Step(result.State, f.Policy, observed, now)
	}
	says(t, result.Reasons, false, "stays signed while resolvers may have a DS record")
	require.NotEmpty(t, result.State.Uses())
}

// TestOldDSStays: a KSK rollover ends though the parent keeps the old DS record.
func TestOldDSStays(t *testing.T) {
	f := settled(t, Policy{})
	old := f.active(KSK)
	id, public := old.ID, old.Public
	f.Next(Event{Kind: Roll, Role: KSK})
	for range 80 {
		result, again := f.Next()
		if !again {
			f.Forward(result.Next)
		}
		f.lodged[id] = public
	}
	require.Zero(t, f.State.Key(id).Use(), "out of the zone")
	result := Step(f.State, f.Policy, f.observed(), f.Now)
	says(t, result.Reasons, true, "it has to be gone from all servers of the parent first")
	require.True(t, slices.ContainsFunc(result.Actions, func(a Action) bool { return a.Kind == WithdrawDS && a.Key == id }))
}

// TestDSBeforeItsTime: whoever lodges it too early is told.
func TestDSBeforeItsTime(t *testing.T) {
	f := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{}, Observations{}, ParentModel{}, date(t, "2026-12-01 00:00:00"))
	f.Next()
	f.Next()
	key := f.active(KSK)
	f.lodged[key.ID] = key.Public
	result, _ := f.Next()
	says(t, result.Reasons, true, "have it withdrawn until it may be lodged")
	says(t, result.Reasons, false, "not certain that every resolver can validate")
}

// TestAdoption takes over a zone that others signed, with RSA keys.
func TestAdoption(t *testing.T) {
	f := settled(t, Policy{Algorithm: dnssec.RSASHA256})
	for i := range f.Keys {
		f.Keys[i].Served = f.State.Key(IDOf(f.Keys[i].Public)).Use() &^ dnssec.InParent
	}
	used := f.generate(Action{Role: ZSK, Algorithm: dnssec.RSASHA256}) // by others, some time ago
	f.Keys = append(f.Keys, used)
	before := f.uses()
	f.State = State{Zone: "example.org.", Signed: true} // the state is lost, or never was
	f.Policy = Policy{Algorithm: dnssec.RSASHA256}
	f.Next()
	require.Equal(t, dnssec.KSK, before[KSK]&f.uses()[KSK]&dnssec.KSK)
	f.untilQuiet(t)
	require.Equal(t, before, f.uses())
	require.Len(t, f.State.Keys, 2, "the same keys, no others")
	f.Next(Event{Kind: Roll, Role: ZSK})
	f.untilQuiet(t)
	require.NotEqual(t, IDOf(used.Public), f.active(ZSK).ID)
}

func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name    string
		leap    time.Duration
		elapsed time.Duration // of a clock that does not leap
		credit  time.Duration
		behind  time.Duration
	}{
		{"goes on", time.Hour, time.Hour, time.Hour, 0},
		{"leaps ahead", 100 * day, time.Minute, time.Minute, 100*day - time.Minute},
		{"leaps back", -100 * day, time.Minute, time.Minute, 0},
		{"nobody looked for a day", day, 0, time.Hour, 23 * time.Hour},
		{"nobody looked for a minute", time.Minute, 0, time.Minute, 0},
		{"leaps back, and nobody looked", -day, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := settled(t, Policy{})
			f.Next(Event{Kind: Roll, Role: ZSK})
			f.Next()
			f.Next()
			id := f.active(ZSK).ID
			require.Equal(t, Rumoured, f.active(ZSK).Records[DNSKEY].State)
			seen := f.active(ZSK).Records[DNSKEY].Seen
			waited := f.Now.Sub(seen)
			now := f.Now.Add(tt.leap)
			observed := f.observed()
			observed.Elapsed = tt.elapsed
			result := Step(f.State, f.Policy, observed, now)
			require.Equal(t, waited+tt.credit, now.Sub(result.State.Key(id).Records[DNSKEY].Seen))
			require.Equal(t, now.Add(-tt.behind), result.ValidFrom)
			if tt.behind > 0 {
				says(t, result.Reasons, tt.behind > day, "look whether the clock is right")
			}
		})
	}
}

// TestStepChangesNothing of what it is given, and a state survives JSON.
func TestStepChangesNothing(t *testing.T) {
	f := settled(t, Policy{})
	f.Next(Event{Kind: Roll, Role: KSK})
	before, err := json.Marshal(f.State)
	require.NoError(t, err)
	observed := f.observed()
	result := Step(f.State, f.Policy, observed, f.Now.Add(5*time.Hour))
	after, err := json.Marshal(f.State)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))

	var back State
	require.NoError(t, json.Unmarshal(after, &back))
	require.Equal(t, result, Step(back, f.Policy, observed, f.Now.Add(5*time.Hour)))
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Keys":[{"ID":"12"}]}`), &back), "want 64 hexadecimal digits")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Keys":[{"Role":"BSK"}]}`), &back), `no such role: "BSK"`)
}

// TestReasons: whatever is not done has its time.
func TestReasons(t *testing.T) {
	f := settled(t, Policy{})
	f.Next(Event{Kind: Roll, Role: KSK})
	result := Step(f.State, f.Policy, f.observed(), f.Now)
	waiting := 0
	for _, reason := range result.Reasons {
		if !reason.Done && reason.From != reason.To {
			waiting++
			require.False(t, reason.Earliest.IsZero(), reason)
			require.NotEmpty(t, reason.Rule)
			require.Contains(t, reason.Section, "RFC ")
		}
	}
	require.Greater(t, waiting, 3)
}

// TestOnTheOperatorsWord: where the parent cannot be asked, a person says what is
// there, and the waits are the same.
func TestOnTheOperatorsWord(t *testing.T) {
	f := settled(t, Policy{})
	old := f.active(KSK).ID
	state, now := f.State, f.Now
	var last Result
	step := func(events ...Event) {
		observed := Observations{Keys: f.Keys, Served: state.Generation, Elapsed: max(now.Sub(state.Clock.Last), 1), Events: events}
		last = Step(state, f.Policy, observed, now)
		state = last.State
		for _, action := range last.Actions {
			if action.Kind == Generate {
				f.Keys = append(f.Keys, f.generate(action))
			}
		}
	}
	step(Event{Kind: Roll, Role: KSK})
	for range 5 {
		step()
		now = last.Next
	}
	says(t, last.Reasons, true, "it has to be seen at all servers of the parent first")
	successor := *state.Key(old).Successor
	step(Event{Kind: DSPublished, Key: successor}, Event{Kind: DSWithdrawn, Key: old})
	began := now
	for state.Key(old).Use() != 0 {
		now = last.Next
		step()
	}
	require.Equal(t, 26*time.Hour, now.Sub(began)) // DprpP 1:00, TTLds 24:00, 1:00
}

// TestDSOfAZSK is an operator's slip: there is no such DS record.
func TestDSOfAZSK(t *testing.T) {
	f := settled(t, Policy{})
	for _, key := range f.State.Keys {
		if key.Role != ZSK {
			continue
		}
		for _, kind := range []EventKind{DSPublished, DSWithdrawn} {
			observed := Observations{Keys: f.Keys, Served: f.State.Generation, Elapsed: time.Second, Events: []Event{{Kind: kind, Key: key.ID}}}
			state := Step(f.State, f.Policy, observed, f.Now.Add(time.Second)).State
			require.Equal(t, RecordStatus{}, state.Key(key.ID).Records[DS])
		}
		return
	}
	t.Fatal("no ZSK")
}

// TestDSBeforeAnyKey is a zone of which nothing is left but a key with a DS record, or of
// which the parent has a DS record before it is signed: it is signed with all its keys at once.
func TestDSBeforeAnyKey(t *testing.T) {
	f := settled(t, Policy{})
	lost := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{}, Observations{Keys: f.Keys}, ParentModel{Delay: -1}, f.Now)
	lost.lodged = f.lodged
	for again := true; again; {
		_, again = lost.Next()
		if lost.State.Served == lost.State.Generation {
			break
		}
	}
	require.Equal(t, f.active(KSK).ID, lost.active(KSK).ID, "the key that has a DS record")
	require.Equal(t, map[Role]dnssec.Use{KSK: dnssec.KSK | dnssec.InParent, ZSK: dnssec.ZSK}, lost.uses())
	lost.untilQuiet(t)
}
