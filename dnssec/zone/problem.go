package zone

import (
	"errors"
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
)

// maxProblems is how many problems of one input are listed.
const maxProblems = 100

// Problem is an error or a warning about a zone.
type Problem struct {
	// File and Line say where it was seen; empty and 0 when that is not known.
	File string
	Line int
	// Owner and Type say whose it is; empty and 0 when it is nobody's alone.
	Owner wire.Name
	Type  wire.Type
	Text  string // what is wrong
}

// Error returns the problem as one line.
func (p *Problem) Error() string {
	text := "zone: "
	if p.File != "" {
		text += p.File + ":"
	}
	if p.Line > 0 {
		text += fmt.Sprintf("%d:", p.Line)
	}
	if p.File != "" || p.Line > 0 {
		text += " "
	}
	if p.Owner != "" {
		text += p.Owner.String()
		if p.Type != 0 {
			text += " " + p.Type.String()
		}
		text += ": "
	}
	return text + p.Text
}

// problems collects what is wrong, and counts what is beyond the limit.
type problems struct {
	list   []*Problem
	beyond int
}

func (p *problems) add(problem *Problem) {
	if len(p.list) >= maxProblems {
		p.beyond++
		return
	}
	p.list = append(p.list, problem)
}

func (p *problems) addAll(other problems) {
	for _, problem := range other.list {
		p.add(problem)
	}
	p.beyond += other.beyond
}

// all returns the list, with a last line for those beyond the limit.
func (p *problems) all() []*Problem {
	if p.beyond == 0 {
		return p.list
	}
	return append(p.list, &Problem{Text: fmt.Sprintf("%d more problems like these", p.beyond)})
}

func (p *problems) err() error {
	var errs []error
	for _, problem := range p.all() {
		errs = append(errs, problem)
	}
	return errors.Join(errs...)
}
