package rollover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStep is one step for each of 10,000 zones, of which one in ten is in
// the middle of a rollover.
func BenchmarkStep(b *testing.B) {
	f := newFuture(standard, State{Zone: "example.org.", Signed: true}, Policy{}, Observations{}, ParentModel{Delay: time.Hour}, time.Now())
	for range 40 {
		result, again := f.next(nil)
		if !again {
			f.forward(result.Next)
		}
	}
	quiet, quietSeen := f.state, f.observed()
	f.next([]Event{{Kind: Roll, Role: KSK}, {Kind: Roll, Role: ZSK}})
	f.next(nil)
	rolling, rollingSeen := f.state, f.observed()
	require.Len(b, rolling.Keys, 4)
	b.ReportAllocs()
	for b.Loop() {
		for i := range 10_000 {
			if i%10 == 0 {
				Step(rolling, f.policy, rollingSeen, f.now)
				continue
			}
			Step(quiet, f.policy, quietSeen, f.now)
		}
	}
}

// BenchmarkPlan is the five years of a zone.
func BenchmarkPlan(b *testing.B) {
	now := time.Now()
	for b.Loop() {
		Plan(State{Zone: "example.org.", Signed: true}, Policy{Parent: ByCDS, KSKLifetime: 365 * day}, Observations{}, ParentModel{}, now, now.AddDate(5, 0, 0))
	}
}
