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
	Zone     string
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
	Key  rollover.KeyID
	Role rollover.Role
	// Name is the key's name, "ZSK new 1" for one that is yet to be made.
	Name  string
	Spans []Span
}

// Span is a state of a record, from a time to another.
type Span struct {
	Record   rollover.Record
	State    rollover.RecordState
	From, To time.Time
}

// Moment is what is done at a time, and why.
type Moment struct {
	At      time.Time
	Actions []string
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
		p.record(result)
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
	p.close()
}

// record keeps what a step did.
func (p *planner) record(result rollover.Result) {
	moment := Moment{At: p.Now}
	for _, reason := range result.Reasons {
		if reason.Done {
			moment.Reasons = append(moment.Reasons, reason)
		}
	}
	for _, action := range result.Actions {
		moment.Actions = append(moment.Actions, action.String())
	}
	for i := range result.State.Keys {
		p.follow(&result.State.Keys[i])
	}
	moments := &p.timeline.Moments
	if n := len(*moments); n > 0 && (*moments)[n-1].At.Equal(p.Now) {
		(*moments)[n-1].Reasons = append((*moments)[n-1].Reasons, moment.Reasons...)
		(*moments)[n-1].add(moment.Actions)
		return
	}
	if len(moment.Reasons) > 0 || slices.ContainsFunc(result.Actions, func(a rollover.Action) bool { return a.Kind == rollover.Purge }) {
		*moments = append(*moments, moment)
	}
}

func (m *Moment) add(actions []string) {
	for _, action := range actions {
		if !slices.Contains(m.Actions, action) {
			m.Actions = append(m.Actions, action)
		}
	}
}

// follow extends the lane of a key.
func (p *planner) follow(key *rollover.Key) {
	lanes := &p.timeline.Lanes
	at := slices.IndexFunc(*lanes, func(l Lane) bool { return l.Key == key.ID })
	if at < 0 {
		at = len(*lanes)
		*lanes = append(*lanes, Lane{Key: key.ID, Role: key.Role, Name: key.String()})
	}
	lane := &(*lanes)[at]
	for record := range rollover.Records {
		lane.follow(record, key.Records[record].State, p.Now)
	}
}

func (l *Lane) follow(record rollover.Record, state rollover.RecordState, now time.Time) {
	for i := len(l.Spans) - 1; i >= 0; i-- {
		span := &l.Spans[i]
		if span.Record != record || !span.To.IsZero() {
			continue
		}
		if span.State == state {
			return
		}
		span.To = now
		break
	}
	if state != rollover.Hidden {
		l.Spans = append(l.Spans, Span{Record: record, State: state, From: now})
	}
}

// close ends what is open, and gives made-up keys names that say so.
func (p *planner) close() {
	var names []string
	for i, key := range p.Made {
		names = append(names, key.String(), fmt.Sprintf("new %d", i+1))
	}
	named := strings.NewReplacer(names...)
	t := p.timeline
	for i := range t.Lanes {
		lane := &t.Lanes[i]
		lane.Name = named.Replace(lane.Name)
		for j := range lane.Spans {
			if span := &lane.Spans[j]; span.To.IsZero() {
				span.To = t.To
			}
		}
		lane.Spans = slices.DeleteFunc(lane.Spans, func(s Span) bool { return !s.From.Before(s.To) })
	}
	t.Lanes = slices.DeleteFunc(t.Lanes, func(l Lane) bool { return len(l.Spans) == 0 })
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
