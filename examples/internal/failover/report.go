package failover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// State is how something came out.
type State string

// The states, from good to bad.
const (
	Same      State = "same"      // or well
	Unknown   State = "unknown"   // it was not or cannot be looked at
	Different State = "different" // or not yet safe
	Failed    State = "failed"    // it should have been looked at, and could not
)

func (s State) worse(than State) bool {
	order := map[State]int{Same: 0, Unknown: 1, Different: 2, Failed: 3}
	return order[s] > order[than]
}

// The questions that a report answers.
const (
	QuestionPages    = "pages"    // are the standby's the primary's?
	QuestionMirrors  = "mirrors"  // are the standby's files the primary's?
	QuestionLoad     = "load"     // does the standby keep up?
	QuestionServices = "services" // does every service answer at the standby?
	QuestionTTL      = "ttl"      // do caches let go of the addresses soon enough?
)

var questions = []string{QuestionPages, QuestionMirrors, QuestionLoad, QuestionServices, QuestionTTL}

// Item is one thing that was looked at: a page, a file, a service.
type Item struct {
	What   string `json:"what"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
}

// Answer is what was found about one question.
type Answer struct {
	Question string    `json:"question"`
	State    State     `json:"state"`
	Summary  string    `json:"summary"`
	At       time.Time `json:"at"`
	Items    []Item    `json:"items,omitempty"` // what is not well, up to maxItems
	More     int       `json:"more,omitempty"`  // that are left out
	Load     *Figures  `json:"load,omitempty"`
}

// maxItems bounds what an answer tells.
const maxItems = 50

// answer sums items up; what is the summary when all are well.
func answer(question string, items []Item, well string, args ...any) Answer {
	a := Answer{Question: question, State: Same, Summary: fmt.Sprintf(well, args...)}
	counts := map[State]int{}
	for _, item := range items {
		counts[item.State]++
		a.add(item)
	}
	a.sum(counts)
	return a
}

// add keeps an item that is not well.
func (a *Answer) add(item Item) {
	if item.State == Same {
		return
	}
	if item.State.worse(a.State) {
		a.State = item.State
	}
	if len(a.Items) == maxItems {
		a.More++
		return
	}
	a.Items = append(a.Items, item)
}

func (a *Answer) sum(counts map[State]int) {
	if a.State == Same {
		return
	}
	var parts []string
	for _, state := range []State{Failed, Different, Unknown, Same} {
		if counts[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
		}
	}
	a.Summary = strings.Join(parts, ", ")
}

// Report is what is known of a standby.
type Report struct {
	State   State    `json:"state"`
	Answers []Answer `json:"answers"`
	Flip    *Journal `json:"flip,omitempty"` // the last flip, unless it was taken back
}

func newReport(answers []Answer, flip *Journal) Report {
	r := Report{State: Same, Answers: answers, Flip: flip}
	for _, a := range answers {
		if a.State.worse(r.State) {
			r.State = a.State
		}
	}
	if flip != nil && !flip.Done() && Different.worse(r.State) {
		r.State = Different
	}
	return r
}

// err is the exit status: nil for a standby that is well.
func (r Report) err() error {
	switch r.State {
	case Same:
		return nil
	case Failed:
		return errors.New("not everything could be looked at: see the report")
	}
	return cli.ErrDifferent
}

// print writes the report, as text or as one JSON document.
func (r Report) print(w io.Writer, asJSON bool, now time.Time) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	for _, a := range r.Answers {
		age := ""
		if !a.At.IsZero() && now.Sub(a.At) > time.Minute {
			age = fmt.Sprintf(" (%v ago)", now.Sub(a.At).Round(time.Minute))
		}
		fmt.Fprintf(w, "%-9s %-9s %s%s\n", a.Question, a.State, a.Summary, age)
		for _, item := range a.Items {
			fmt.Fprintf(w, "    %-9s %s: %s\n", item.State, oneLine(item.What), oneLine(item.Detail))
		}
		if a.More > 0 {
			fmt.Fprintf(w, "    and %d more\n", a.More)
		}
	}
	if r.Flip != nil {
		fmt.Fprintf(w, "%-9s %s\n", "flip", r.Flip)
	}
	return nil
}

// oneLine quotes what a log, a page or a manifest may have made up: a report has no
// lines of theirs, and nothing that a terminal would obey.
func oneLine(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
