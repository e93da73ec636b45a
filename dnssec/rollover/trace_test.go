package rollover

import (
	"fmt"
	"testing"
	"time"
)

func trace(t *testing.T, state State, policy Policy, days int, script func(f *future, day int) []Event) *future {
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	f := newFuture(standard, state, policy, Observations{}, ParentModel{Delay: time.Hour}, start)
	n := 0
	lastDay := -1
	for f.now.Before(start.Add(time.Duration(days) * 24 * time.Hour)) {
		var ev []Event
		if d := int(f.now.Sub(start) / (24 * time.Hour)); d != lastDay && script != nil {
			lastDay = d
			ev = script(f, d)
		}
		r, again := f.next(ev)
		n++
		for _, reason := range r.Reasons {
			if reason.Done {
				fmt.Println(f.now.Format("01-02 15:04"), reason)
			}
		}
		for _, a := range r.Actions {
			fmt.Println(f.now.Format("01-02 15:04"), "   ->", a)
		}
		if !again {
			f.forward(r.Next)
		}
	}
	fmt.Println(n, "steps")
	return f
}

func TestTrace(t *testing.T) {
	trace(t, State{Zone: "example.org.", Signed: true}, Policy{Parent: ByCDS}, 100, func(f *future, d int) []Event {
		switch d {
		case 5:
			return []Event{{Kind: Roll, Role: KSK}}
		case 12:
			f.policy.Algorithm = 15
		case 20:
			f.policy.CSK = true
		case 90:
			f.state.Signed = false
		}
		return nil
	})
}
