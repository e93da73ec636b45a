package rollover

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzState steps on from whatever a state file has: no panic, and the next look is
// later.
func FuzzState(f *testing.F) {
	future := NewFuture(State{Zone: "example.org.", Signed: true}, Policy{}, Observations{}, ParentModel{}, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	for range 30 {
		text, err := json.Marshal(future.State)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, []byte{1, 2, 13, 2}, int64(time.Hour))
		result, again := future.Next()
		if !again {
			future.Forward(result.Next)
		}
	}
	f.Fuzz(func(t *testing.T, text, ds []byte, passed int64) {
		var state State
		if json.Unmarshal(text, &state) != nil {
			return
		}
		now := future.Now.Add(time.Duration(passed))
		observed := Observations{DS: []DSAnswer{{Records: [][]byte{ds}}}, Served: state.Generation, Elapsed: time.Duration(passed)}
		result := Step(state, Policy{}, observed, now)
		if !result.Next.After(now) {
			t.Fatalf("now is %v, and next %v", now, result.Next)
		}
	})
}
