package rollover_test

import (
	"fmt"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
)

// A zone that is to be signed asks for its key, publishes it, and says when its DS
// record may be lodged.
func ExampleStep() {
	now := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	policy := rollover.Policy{CSK: true, ZoneTTL: 6 * time.Hour}
	state := rollover.State{Zone: "example.org.", Signed: true}

	result := rollover.Step(state, policy, rollover.Observations{}, now)
	fmt.Println(result.Actions[0])

	key := dnssec.PublicKey{Flags: dnssec.FlagZone | dnssec.FlagSEP, Algorithm: dnssec.ECDSAP256SHA256, Key: make([]byte, 64)}
	observed := rollover.Observations{Keys: []rollover.AvailableKey{{Public: key, Role: rollover.CSK, Private: true}}}
	result = rollover.Step(result.State, policy, observed, now)
	for _, reason := range result.Reasons {
		if reason.Done {
			fmt.Println(reason)
		}
	}
	fmt.Println(result.Actions[0])
	fmt.Println("lodge the DS record from", result.LodgeAt)
	// Output:
	// generate a CSK with ECDSAP256SHA256
	// CSK 013+01038 is taken into use (key, RFC 6781 section 4.1)
	// CSK 013+01038: the key is published (Double-KSK, RFC 7583 section 3.3.1)
	// CSK 013+01038: it signs the zone (pre-publication, RFC 7583 section 3.2.1)
	// CSK 013+01038: it signs the keys (Double-KSK, RFC 7583 section 3.3.1)
	// sign and publish the zone
	// lodge the DS record from 2026-12-01 16:35:00 +0000 UTC
}

// The future of the keys, a line for each time that something is done.
func ExampleFuture() {
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	future := rollover.NewFuture(rollover.State{Zone: "example.org.", Signed: true}, rollover.Policy{CSK: true},
		rollover.Observations{}, rollover.ParentModel{}, start)
	for future.Now.Before(start.AddDate(0, 0, 3)) {
		result, again := future.Next()
		for _, reason := range result.Reasons {
			if reason.Done && reason.Record == rollover.DS && reason.From != reason.To {
				fmt.Println(future.Now.Format("2006-01-02 15:04"), reason.From, "to", reason.To)
			}
		}
		if !again {
			future.Forward(result.Next)
		}
	}
	// Output:
	// 2026-12-02 01:05 hidden to rumoured
	// 2026-12-03 04:05 rumoured to omnipresent
}
