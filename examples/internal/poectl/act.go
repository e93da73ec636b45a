package poectl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
)

// Act is how a command acts.
type Act struct {
	DryRun bool
	JSON   bool
	// Confirm is asked before a port is switched off for good. Nil says yes.
	Confirm func(ctx context.Context, question string) (bool, error)
}

// On switches ports on, one after the other.
func (r *Rack) On(ctx context.Context, words []string, act Act) error {
	return r.named(ctx, words, act, []poe.Admin{poe.AdminEnabled}, func(u *unit, t Target) (poe.Report, error) {
		return u.On(ctx, t.Port.Port)
	})
}

// Cycle power cycles ports, one after the other.
func (r *Rack) Cycle(ctx context.Context, words []string, act Act) error {
	return r.named(ctx, words, act, []poe.Admin{poe.AdminDisabled, poe.AdminEnabled}, func(u *unit, t Target) (poe.Report, error) {
		return u.Cycle(ctx, t.Port.Port)
	})
}

// Off switches ports off for good, after it has asked for each.
func (r *Rack) Off(ctx context.Context, words []string, act Act) error {
	targets, err := r.Targets(words)
	if err != nil {
		return err
	}
	var left []error
	if act.Confirm != nil && !act.DryRun {
		if targets, left, err = confirmed(ctx, targets, act); err != nil {
			return err
		}
	}
	return errors.Join(append(left, r.each(ctx, targets, act, []poe.Admin{poe.AdminDisabled}, off(ctx)))...)
}

// confirmed asks for each target, before any switch is spoken to, and returns
// those with a yes, and an error for each of the others.
func confirmed(ctx context.Context, targets []Target, act Act) (yes []Target, left []error, err error) {
	for _, t := range targets {
		ok, err := act.Confirm(ctx, fmt.Sprintf("Switch %v off until somebody switches it on?", t))
		if err != nil {
			return nil, nil, fmt.Errorf("nothing is switched off: %w", err)
		}
		if ok {
			yes = append(yes, t)
		} else {
			left = append(left, fmt.Errorf("%v is left as it is", t))
		}
	}
	return yes, left, nil
}

// off returns what switches a target off, and looks before and after.
func off(ctx context.Context) func(*unit, Target) (poe.Report, error) {
	return func(u *unit, t Target) (poe.Report, error) {
		report := poe.Report{Port: t.Port.Port, Name: t.Name, Began: time.Now()}
		before, err := u.PSE.Status(ctx, t.Port.Port)
		if err != nil {
			return report, err
		}
		report.Before = before[0]
		if err := u.Off(ctx, t.Port.Port); err != nil {
			return report, err
		}
		report.Dark = time.Now()
		after, err := u.PSE.Status(ctx, t.Port.Port)
		if err == nil {
			report.After = after[0]
		}
		return report, err
	}
}

// named does something with each target that the words name.
func (r *Rack) named(ctx context.Context, words []string, act Act, states []poe.Admin, do func(*unit, Target) (poe.Report, error)) error {
	targets, err := r.Targets(words)
	if err != nil {
		return err
	}
	return r.each(ctx, targets, act, states, do)
}

// each does something with each target, and reports it. What fails does not
// keep it from the others.
func (r *Rack) each(ctx context.Context, targets []Target, act Act, states []poe.Admin, do func(*unit, Target) (poe.Report, error)) error {
	if act.DryRun {
		return r.explain(ctx, targets, act, states)
	}
	var problems []error
	for _, t := range targets {
		if ctx.Err() != nil {
			problems = append(problems, fmt.Errorf("%v: %w", t, context.Cause(ctx)))
			continue
		}
		u, err := r.unit(ctx, t.Switch, acting)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		report, err := do(u, t)
		problems = append(problems, err)
		if err := r.report(t.Switch, report, err, act.JSON); err != nil {
			return err
		}
	}
	return errors.Join(problems...)
}

// outcome is a report as one line of JSON.
type outcome struct {
	Switch string `json:"switch"`
	poe.Report
	Error string `json:"error,omitempty"`
}

func (r *Rack) report(name string, report poe.Report, err error, asJSON bool) error {
	if asJSON {
		o := outcome{Switch: name, Report: report}
		if err != nil {
			o.Error = err.Error()
		}
		return json.NewEncoder(r.Std.Out).Encode(o)
	}
	if err == nil {
		_, err = fmt.Fprintf(r.Std.Out, "%s: %v\n", name, report)
		return err
	}
	return nil
}

// explained is a line of -n as JSON.
type explained struct {
	Switch  string `json:"switch"`
	Command string `json:"command"`
}

// explain prints the commands that a person would type, if the guard lets them.
func (r *Rack) explain(ctx context.Context, targets []Target, act Act, states []poe.Admin) error {
	var problems []error
	printed := false
	for _, t := range targets {
		u, err := r.unit(ctx, t.Switch, planning)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		lines, err := u.Explain(ctx, t.Port.Port, states...)
		problems = append(problems, err)
		if err := r.print(t.Switch, lines, act); err != nil {
			return err
		}
		printed = printed || len(lines) > 0
	}
	if err := errors.Join(problems...); err != nil || !printed {
		return err
	}
	return cli.ErrDifferent
}

func (r *Rack) print(name string, lines []string, act Act) (err error) {
	for _, line := range lines {
		if act.JSON {
			err = errors.Join(err, json.NewEncoder(r.Std.Out).Encode(explained{name, line}))
		} else {
			_, errLine := fmt.Fprintln(r.Std.Out, line)
			err = errors.Join(err, errLine)
		}
	}
	return err
}

// Stagger switches ports on a few at a time, switch after switch.
func (r *Rack) Stagger(ctx context.Context, words []string, act Act) error {
	targets, err := r.Targets(words)
	if err != nil {
		return err
	}
	if act.DryRun {
		return r.explain(ctx, targets, act, []poe.Admin{poe.AdminEnabled})
	}
	pace := poe.Pace{AtOnce: r.Config.Stagger.AtOnce, Watts: r.Config.Stagger.BudgetWatts, Ready: r.fileserver()}
	var problems []error
	for _, s := range r.Config.Switches {
		var ports []poe.PortID
		for _, t := range targets {
			if t.Switch == s.Name {
				ports = append(ports, t.Port.Port)
			}
		}
		if len(ports) == 0 {
			continue
		}
		u, err := r.unit(ctx, s.Name, acting)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		bar := cli.Bar(r.Std.Err, int64(len(ports)))
		for report, err := range u.Stagger(ctx, ports, pace) {
			problems = append(problems, err)
			if report.Port.IsValid() {
				if err := bar.Add(1); err != nil {
					return err
				}
				if err := r.report(s.Name, report, err, act.JSON); err != nil {
					return err
				}
			}
		}
	}
	return errors.Join(problems...)
}

// Recover finishes what a crash left dark, on all switches.
func (r *Rack) Recover(ctx context.Context, act Act) error {
	if act.DryRun {
		return r.explainRecover(ctx, act)
	}
	var problems []error
	for _, s := range r.Config.Switches {
		u, err := r.unit(ctx, s.Name, acting) // which is the first act of it
		if err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, u.unrecovered)
		for _, report := range u.recovered {
			if act.JSON {
				problems = append(problems, r.report(s.Name, report, nil, true))
			}
		}
	}
	return errors.Join(problems...)
}

// explainRecover prints the commands by which a person would recover.
func (r *Rack) explainRecover(ctx context.Context, act Act) error {
	var problems []error
	different := false
	for _, s := range r.Config.Switches {
		u, err := r.unit(ctx, s.Name, planning)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, intent := range u.Journal.Dark() {
			different = true
			line := u.PSE.(poe.Explainer).Explain(poe.Step{Port: intent.Port, Admin: poe.AdminEnabled, Mode: intent.Mode})
			problems = append(problems, r.print(s.Name, []string{line}, act))
		}
	}
	if err := errors.Join(problems...); err != nil || !different {
		return err
	}
	return cli.ErrDifferent
}

// Forget takes a port off what must be switched on, and leaves it as it is. It
// speaks to no switch.
func (r *Rack) Forget(word string) error {
	name, id, err := r.place(word)
	if err != nil {
		return err
	}
	journal, err := r.openJournal(name)
	if err != nil {
		return err
	}
	return errors.Join(journal.Forget(id), journal.Close())
}

// place returns the port that a word names, listed or not: one that a crash left
// dark may since have gone from the configuration.
func (r *Rack) place(word string) (name string, id poe.PortID, err error) {
	if targets, err := r.Targets([]string{word}); err == nil {
		return targets[0].Switch, targets[0].Port.Port, nil
	}
	name, text, ok := strings.Cut(word, "/")
	if !ok {
		name, text = r.Config.Switches[0].Name, word
	}
	id, err = poe.ParsePortID(text)
	if err != nil || r.Config.find(name) == nil || !ok && len(r.Config.Switches) > 1 {
		return "", id, &cli.UsageError{Err: fmt.Errorf("%q: want a name from the configuration, or SWITCH/group.port", word)}
	}
	return name, id, nil
}

// AskOn returns a Confirm that asks on the streams and reads a line, until ctx
// ends.
func AskOn(in io.Reader, out io.Writer) func(context.Context, string) (bool, error) {
	lines := bufio.NewReader(in)
	return func(ctx context.Context, question string) (bool, error) {
		fmt.Fprintf(out, "%s [y/N] ", question)
		answer := make(chan string, 1)
		go func() { // which a terminal that says nothing keeps, until the process ends
			line, _ := lines.ReadString('\n')
			answer <- strings.TrimSpace(line)
		}()
		select {
		case <-ctx.Done():
			fmt.Fprintln(out)
			return false, context.Cause(ctx)
		case line := <-answer:
			if line == "" {
				fmt.Fprintln(out)
			}
			return line == "y" || line == "yes", nil
		}
	}
}
