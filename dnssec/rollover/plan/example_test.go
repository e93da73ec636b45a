package plan_test

import (
	"fmt"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/rollover/plan"
)

// A zone that is to be signed: when its DS record is lodged, and when all
// resolvers have it.
func ExampleOf() {
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	state := rollover.State{Zone: "example.org.", Signed: true}
	policy := rollover.Policy{CSK: true, Parent: rollover.ByRegistrar}
	timeline := plan.Of(state, policy, rollover.Observations{}, rollover.ParentModel{}, start, start.AddDate(0, 0, 7))
	for _, span := range timeline.Lanes[0].Spans {
		if span.Record == rollover.DS {
			fmt.Println(span.From.Format("2006-01-02 15:04"), span.State)
		}
	}
	// Output:
	// 2026-12-02 01:05 rumoured
	// 2026-12-03 04:05 omnipresent
}
