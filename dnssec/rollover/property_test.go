package rollover

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// runs is how many worlds are tried: few, 10,000 where there are judges (1,000 under
// the race detector), or what BERRYRACK_RUNS says.
func runs(t *testing.T) uint64 {
	if text := os.Getenv("BERRYRACK_RUNS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 32)
		require.NoError(t, err)
		return n
	}
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		return judgedRuns
	}
	return defaultRuns
}

// TestNoResolverFindsTheZoneBogus is what all of this is for: whatever happens,
// each combination of DS, DNSKEY and other sets that a resolver may still have
// validates.
func TestNoResolverFindsTheZoneBogus(t *testing.T) {
	const share = 100
	for first := uint64(0); first < runs(t); first += share {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < first+share; seed++ {
				w := newWorld(seed, standard)
				if err := w.run(60); err != nil {
					t.Fatalf("world %d: %v", seed, err)
				}
				if err := w.settle(); err != nil {
					t.Fatalf("world %d: %v", seed, err)
				}
			}
		})
	}
}

// TestCrashAtEveryWrite lives through a zone's life, again and again, each time with
// a crash at another one of the manager's writes.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for at := 1; ; at++ {
		w := newWorld(11, standard)
		w.calm, w.crashAt = true, at
		w.policy = Policy{Parent: ByCDS, ZonePropagation: w.lag, ParentPropagation: w.parentLag, DSTTL: w.dsTTL, Purge: day}
		w.store = nil
		for _, chapter := range []func(){
			func() {},
			func() { w.event(Event{Kind: Roll, Role: ZSK}) },
			func() { w.event(Event{Kind: Roll, Role: KSK}) },
			func() { w.policy.Algorithm = 15 },
			func() { w.policy.CSK = true },
			func() { w.event(Event{Kind: Emergency, Key: w.stored.Keys[len(w.stored.Keys)-1].ID}) },
		} {
			chapter()
			require.NoError(t, w.settle(), "crash at write %d", at)
		}
		w.stored.Signed = false
		for len(w.zone[len(w.zone)-1].keys) > 0 {
			require.NoError(t, w.wake(), "crash at write %d", at)
		}
		if w.writes < at {
			require.Greater(t, at, 50)
			t.Log(at-1, "writes")
			return
		}
	}
}

// TestWrongRulesAreCaught breaks one thing at a time, and looks whether some
// resolver finds out. Left out is what is there twice: signatures are out of use
// no sooner than those that took their place are everywhere, and the methods ask
// for little that the rules do not.
func TestWrongRulesAreCaught(t *testing.T) {
	none := func(*Policy) time.Duration { return 0 }
	atOnce := func(*TTLs) *TTL { return &TTL{} }
	without := func(change func(e *engine, w *waits)) engine {
		w := rfc7583
		e := engine{rules: append([]rule(nil), rules...), methods: methods, waits: &w}
		change(&e, &w)
		return e
	}
	forgetful := func(field func(*TTLs) *TTL) func(*TTLs) *TTL {
		return func(t *TTLs) *TTL { return &TTL{Value: field(t).Value} }
	}
	for name, mutant := range map[string]engine{
		"no Ipub":           without(func(e *engine, w *waits) { w[DNSKEY][0].ttl, w[KRRSIG][0].ttl = atOnce, atOnce }),
		"no Dprp":           without(func(e *engine, w *waits) { w[DNSKEY][0].delay, w[KRRSIG][0].delay = none, none }),
		"no Iret, comes":    without(func(e *engine, w *waits) { w[ZRRSIG][0].ttl = atOnce }),
		"no TTLkey":         without(func(e *engine, w *waits) { w[DNSKEY][1].ttl = atOnce }),
		"no DS TTL, comes":  without(func(e *engine, w *waits) { w[DS][0].ttl = atOnce }),
		"no DS TTL, goes":   without(func(e *engine, w *waits) { w[DS][1].ttl = atOnce }),
		"no DprpP":          without(func(e *engine, w *waits) { w[DS][0].delay, w[DS][1].delay = none, none }),
		"no rule 2":         without(func(e *engine, w *waits) { e.rules = append(e.rules[:1], e.rules[2]) }),
		"no rule 3":         without(func(e *engine, w *waits) { e.rules = e.rules[:2] }),
		"rule 2 of DNSKEYs": without(func(e *engine, w *waits) { e.rules[1].need = []Record{KRRSIG} }),
		"no earlier TTLs":   without(func(e *engine, w *waits) { w[ZRRSIG][0].ttl, w[ZRRSIG][1].ttl = forgetful(zoneTTL), forgetful(zoneTTL) }),
		"no earlier key TTLs": without(func(e *engine, w *waits) {
			w[DNSKEY][0].ttl, w[DNSKEY][1].ttl, w[KRRSIG][0].ttl = forgetful(keyTTL), forgetful(keyTTL), forgetful(keyTTL)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.True(t, isCaught(t, func(seed uint64) *world { return newWorld(seed, mutant) }), "no resolver found out")
		})
	}
	t.Run("a clock that is believed", func(t *testing.T) {
		t.Parallel()
		require.True(t, isCaught(t, func(seed uint64) *world {
			w := newWorld(seed, standard)
			w.believesItsClock = true
			return w
		}), "no resolver found out")
	})
}

func isCaught(t *testing.T, world func(seed uint64) *world) bool {
	for seed := range uint64(3000) {
		if world(seed).run(60) != nil {
			t.Log("caught in world", seed)
			return true
		}
	}
	return false
}
