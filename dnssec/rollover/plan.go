package rollover

import (
	"io"
	"time"
)

// ParentModel is what Plan supposes of the parent.
type ParentModel struct {
	// Delay is how long after it may the parent follows (Dreg), 1 hour when zero,
	// never when negative.
	Delay time.Duration
}

// Timeline is the future of a zone's keys.
type Timeline struct {
	Zone     string
	From, To time.Time
	Lanes    []Lane
	Moments  []Moment
}

// Lane is one key, and the states of its records.
type Lane struct {
	Key      Key
	Name     string
	Spans    []Span
	New      bool // the key does not exist yet
	Created  time.Time
	Finished time.Time `json:",omitzero"`
}

// Span is a state of a record that lasts.
type Span struct {
	Record   Record
	State    RecordState
	From, To time.Time
}

// Moment is what is done at a time, and why.
type Moment struct {
	At      time.Time
	Actions []Action
	Reasons []Reason
}

// Plan is Step again and again on a virtual clock, from one time to another, with a
// parent and servers that do what they should. The keys that Step asks for are
// made up.
func Plan(state State, policy Policy, observed Observations, parent ParentModel, from, to time.Time) Timeline {
	return Timeline{Zone: state.Zone, From: from, To: to}
}

// WriteText writes the timeline for people to read.
func (t *Timeline) WriteText(w io.Writer) error { return nil }

// WriteSVG draws the timeline.
func (t *Timeline) WriteSVG(w io.Writer) error { return nil }
