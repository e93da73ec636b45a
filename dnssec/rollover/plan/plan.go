package plan

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
)

// Timeline is the future of a zone's keys.
type Timeline struct {
	// Zone is the name of the zone in presentation form.
	Zone string
	// From and To are the times that were planned between, both included.
	From, To time.Time
	// Lanes is the keys, in the order in which they came to be.
	Lanes []Lane
	// Moments is what is done when, in order of time.
	Moments []Moment
	// Waiting is what is not done at From, and why. Stuck is what a person has to do,
	// or is still waited for, at To.
	Waiting, Stuck []rollover.Reason
}

// Lane is one key and the states of its records. What is hidden has no span.
type Lane struct {
	// Key is made up for one that is yet to be made: no real key will have it.
	Key rollover.KeyID
	// Role says which records may have spans.
	Role rollover.Role
	// Name is the key's name, "ZSK new 1" for one that is yet to be made.
	Name string
	// Spans is those of all records, in the order in which they begin.
	Spans []Span
}

// Span is a state of a record, from a time to another; zero when it lasts beyond
// the timeline.
type Span struct {
	Record rollover.Record      // of the lane's key
	State  rollover.RecordState // never Hidden
	From   time.Time            // that of the timeline, for what began before
	To     time.Time            `json:",omitzero"` // when the next state begins, Hidden too
}

// Moment is what is done at a time, and why.
type Moment struct {
	// At is the time of the Step.
	At time.Time
	// Actions is what it asks for, each as one line.
	Actions []string
	// Reasons is those of what is done, none of what waits. It is empty where keys are
	// only purged.
	Reasons []rollover.Reason
}

// maxPlan is how many steps a plan has at most.
const maxPlan = 200_000

// Of plans: it is rollover.Step again and again on a virtual clock, from one time
// to another, with keys, servers and a parent that do what they should. The keys
// that Step asks for are made up.
func Of(state rollover.State, policy rollover.Policy, observed rollover.Observations, parent rollover.ParentModel, from, to time.Time) *Timeline {
	if observed.Elapsed == 0 {
		observed.Elapsed = max(from.Sub(state.Clock.Last), 1)
	}
	p := planner{
		Future:   rollover.NewFuture(state, policy, observed, parent, from),
		timeline: &Timeline{Zone: state.Zone, From: from, To: to},
		silent:   parent.Delay < 0,
	}
	p.waiting(rollover.Step(state, policy, observed, from))
	p.run(observed.Events)
	return p.timeline
}

type planner struct {
	*rollover.Future
	timeline *Timeline
	silent   bool // the parent never follows
}

func (p *planner) waiting(first rollover.Result) {
	for _, reason := range first.Reasons {
		if !reason.Done {
			p.timeline.Waiting = append(p.timeline.Waiting, reason)
		}
	}
}

func (p *planner) run(events []rollover.Event) {
	var last rollover.Result
	for range maxPlan {
		if p.Now.After(p.timeline.To) {
			break
		}
		result, again := p.Next(events...)
		events, last = nil, result
		p.timeline.Record(result, p.Now)
		if !again {
			p.Forward(result.Next)
		}
	}
	for _, reason := range last.Reasons {
		waits := reason.Record == rollover.DS && p.silent && reason.From != reason.To
		if !reason.Done && (reason.Person || waits) {
			p.timeline.Stuck = append(p.timeline.Stuck, reason)
		}
	}
	p.rename()
}

// rename gives made-up keys names that say so.
func (p *planner) rename() {
	var names []string
	for i, key := range p.Made {
		names = append(names, key.String(), fmt.Sprintf("new %d", i+1))
	}
	named := strings.NewReplacer(names...)
	t := p.timeline
	for i := range t.Lanes {
		t.Lanes[i].Name = named.Replace(t.Lanes[i].Name)
	}
	for i := range t.Moments {
		moment := &t.Moments[i]
		for j := range moment.Actions {
			moment.Actions[j] = named.Replace(moment.Actions[j])
		}
		for j := range moment.Reasons {
			moment.Reasons[j].Text = named.Replace(moment.Reasons[j].Text)
		}
	}
	for i := range t.Stuck {
		t.Stuck[i].Text = named.Replace(t.Stuck[i].Text)
	}
}

// Record adds what a Step did at a time, which is not before those of earlier
// calls. It is how a timeline is made of what really happened.
func (t *Timeline) Record(result rollover.Result, at time.Time) {
	moment := Moment{At: at}
	for _, reason := range result.Reasons {
		if reason.Done {
			moment.Reasons = append(moment.Reasons, reason)
		}
	}
	purges := false
	for _, action := range result.Actions {
		moment.Actions = append(moment.Actions, action.String())
		purges = purges || action.Kind == rollover.Purge
	}
	for i := range result.State.Keys {
		t.follow(&result.State.Keys[i], at)
	}
	if n := len(t.Moments); n > 0 && t.Moments[n-1].At.Equal(at) {
		t.Moments[n-1].add(moment)
	} else if len(moment.Reasons) > 0 || purges {
		t.Moments = append(t.Moments, moment)
	}
}

func (m *Moment) add(more Moment) {
	m.Reasons = append(m.Reasons, more.Reasons...)
	for _, action := range more.Actions {
		if !slices.Contains(m.Actions, action) {
			m.Actions = append(m.Actions, action)
		}
	}
}

// follow extends the lane of a key.
func (t *Timeline) follow(key *rollover.Key, at time.Time) {
	i := slices.IndexFunc(t.Lanes, func(l Lane) bool { return l.Key == key.ID })
	if i < 0 {
		if key.Use() == 0 {
			return
		}
		i = len(t.Lanes)
		t.Lanes = append(t.Lanes, Lane{Key: key.ID, Role: key.Role, Name: key.String()})
	}
	for record := range rollover.Records {
		t.Lanes[i].follow(record, key.Records[record].State, at)
	}
}

func (l *Lane) follow(record rollover.Record, state rollover.RecordState, at time.Time) {
	open := slices.IndexFunc(l.Spans, func(s Span) bool { return s.Record == record && s.To.IsZero() })
	if open >= 0 {
		if l.Spans[open].State == state {
			return
		}
		l.Spans[open].To = at
		if l.Spans[open].From.Equal(at) {
			l.Spans = slices.Delete(l.Spans, open, open+1)
		}
	}
	if state != rollover.Hidden {
		l.Spans = append(l.Spans, Span{Record: record, State: state, From: at})
	}
}

// WriteText writes the timeline for people to read: what waits, what is done when,
// and what gets stuck.
func (t *Timeline) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %s to %s UTC\n", t.Zone, minute(t.From), minute(t.To))
	list := func(title string, reasons []rollover.Reason) {
		if len(reasons) > 0 {
			fmt.Fprintf(&b, "\n%s\n", title)
		}
		for _, reason := range reasons {
			fmt.Fprintf(&b, "  %s\n", reason)
		}
	}
	list("waiting now:", t.Waiting)
	if len(t.Moments) > 0 {
		b.WriteString("\nplan:\n")
	}
	for i := range t.Moments {
		t.Moments[i].write(&b)
	}
	list("not done by then:", t.Stuck)
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes a moment, a line for each key and for each action.
func (m *Moment) write(b *strings.Builder) {
	at := minute(m.At)
	line := func(text string) {
		fmt.Fprintf(b, "  %-16s  %s\n", at, text)
		at = ""
	}
	for i, reason := range m.Reasons {
		subject, _, _ := strings.Cut(reason.Text, ": ")
		same := func(r rollover.Reason) bool { return strings.HasPrefix(r.Text, subject+": ") }
		if slices.IndexFunc(m.Reasons, same) < i && same(reason) {
			continue
		}
		text := reason.Text
		for _, other := range m.Reasons[i+1:] {
			if same(reason) && same(other) {
				text += "; " + strings.TrimPrefix(other.Text, subject+": ")
			}
		}
		line(text)
	}
	for _, action := range m.Actions {
		line("> " + action)
	}
}

// minute is a time for people, in UTC and to the minute.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
