package rollover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkStep is one step for each of 10,000 zones, of which one in ten is in
// the middle of a rollover.
func BenchmarkStep(b *testing.B) {
	f := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{}, Observations{}, ParentModel{Delay: time.Hour}, time.Now())
	for range 40 {
		result, again := f.Next()
		if !again {
			f.Forward(result.Next)
		}
	}
	quiet, quietSeen := f.State, f.observed()
	f.Next(Event{Kind: Roll, Role: KSK}, Event{Kind: Roll, Role: ZSK})
	f.Next()
	rolling, rollingSeen := f.State, f.observed()
	require.Len(b, rolling.Keys, 4)
	b.ReportAllocs()
	for b.Loop() {
		for i := range 10_000 {
			if i%10 == 0 {
				Step(rolling, f.Policy, rollingSeen, f.Now)
				continue
			}
			Step(quiet, f.Policy, quietSeen, f.Now)
		}
	}
}
