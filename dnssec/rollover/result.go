package rollover

import (
	"fmt"
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// ActionKind is the kind of an Action.
type ActionKind uint8

// The kinds of actions.
const (
	// Generate makes a key, to be found in Observations.Keys from then on.
	Generate ActionKind = iota + 1
	// Publish signs the zone with State.Uses and serves it.
	Publish
	// SubmitDS and WithdrawDS have a DS record lodged with and removed from the
	// parent; DeleteDS has all of them removed.
	SubmitDS
	WithdrawDS
	DeleteDS
	// Purge moves the files of a key away.
	Purge
)

// Action is what has to be done. It comes again with each Step until Observations
// say that it is done, so doing it twice must be as doing it once.
type Action struct {
	Kind      ActionKind       // says which of the others are set
	Key       KeyID            // of SubmitDS, WithdrawDS and Purge
	Public    dnssec.PublicKey // that key
	Role      Role             // of Generate
	Algorithm dnssec.Algorithm // of Generate
}

// String returns the action as one line.
func (a Action) String() string {
	switch a.Kind {
	case Generate:
		return fmt.Sprintf("generate a %s with %s", a.Role, a.Algorithm)
	case Publish:
		return "sign and publish the zone"
	case SubmitDS:
		return fmt.Sprintf("lodge the DS record of key %s", a.Public)
	case WithdrawDS:
		return fmt.Sprintf("withdraw the DS record of key %s", a.Public)
	case DeleteDS:
		return "withdraw all DS records"
	case Purge:
		return fmt.Sprintf("move the files of key %s away", a.Public)
	}
	return "nothing"
}

// Reason is why something was done, or is not done yet.
type Reason struct {
	// Key and Record say what it is about. Key is zero when it is the whole zone.
	Key    KeyID
	Record Record
	// From and To are the states between which Record moves, or is to move: equal when
	// it is not about a move.
	From, To RecordState
	// Done is that it happened in this Step.
	Done bool
	// Person is that nothing goes on unless a person does what Text says.
	Person bool
	// Rule is the rule that decided, such as "Ipub" or "rule 2", and Section where it
	// is written.
	Rule, Section string
	// Earliest is when it may be done, zero when that depends on something else.
	Earliest time.Time
	// Text is the whole as a sentence, without Section and Earliest.
	Text string
}

// String returns the reason as one line.
func (r Reason) String() string {
	text := r.Text
	if !r.Earliest.IsZero() && !r.Done {
		text += fmt.Sprintf(", earliest %s", r.Earliest.UTC().Format(time.RFC3339))
	}
	if r.Section != "" {
		text += fmt.Sprintf(" (%s, %s)", r.Rule, r.Section)
	}
	return text
}

// Result is the outcome of a Step.
type Result struct {
	// State is for the next Step. Save it before the actions are carried out.
	State State
	// Actions is all that has to be done, what earlier Steps asked for too until it is
	// seen to be done.
	Actions []Action
	// Reasons is why things were done in this Step, and why others wait.
	Reasons []Reason
	// Next is when to call Step again at the latest; earlier does no harm.
	Next time.Time
	// LodgeAt is the earliest time at which the DS record of the key that takes over,
	// or is new, may be in the parent; zero when that is not known, or none is due.
	LodgeAt time.Time
	// ValidFrom is from when on signatures have to be valid: now, or earlier when the
	// clock leapt and may be wrong.
	ValidFrom time.Time
}
