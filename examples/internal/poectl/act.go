package poectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
)

// Act is how a command acts.
type Act struct {
	DryRun bool
	JSON   bool
	// Confirm is asked before a port is switched off for good. Nil says yes.
	Confirm func(question string) (bool, error)
}

// On switches ports on, one after the other.
func (r *Rack) On(ctx context.Context, words []string, act Act) error {
	return r.each(ctx, words, act, []poe.Admin{poe.AdminEnabled}, func(u *unit, t Target) (poe.Report, error) {
		return u.On(ctx, t.Port.Port)
	})
}

// Cycle power cycles ports, one after the other.
func (r *Rack) Cycle(ctx context.Context, words []string, act Act) error {
	return r.each(ctx, words, act, []poe.Admin{poe.AdminDisabled, poe.AdminEnabled}, func(u *unit, t Target) (poe.Report, error) {
		return u.Cycle(ctx, t.Port.Port)
	})
}

// Off switches ports off for good, after it has asked for each.
func (r *Rack) Off(ctx context.Context, words []string, act Act) error {
	return r.each(ctx, words, act, []poe.Admin{poe.AdminDisabled}, func(u *unit, t Target) (poe.Report, error) {
		report := poe.Report{Port: t.Port.Port, Name: t.Name, Began: time.Now()}
		if act.Confirm != nil {
			yes, err := act.Confirm(fmt.Sprintf("Switch %v off until somebody switches it on?", t))
			if err != nil || !yes {
				return report, errors.Join(err, fmt.Errorf("%v is left as it is", t))
			}
		}
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
	})
}

// each does something with each target, and reports it. What fails does not
// keep it from the others.
func (r *Rack) each(ctx context.Context, words []string, act Act, steps []poe.Admin, do func(*unit, Target) (poe.Report, error)) error {
	targets, err := r.Targets(words)
	if err != nil {
		return err
	}
	if act.DryRun {
		return r.explain(ctx, targets, steps)
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

// explain prints the commands that a person would type, if the guard lets them.
func (r *Rack) explain(ctx context.Context, targets []Target, steps []poe.Admin) error {
	var problems []error
	printed := false
	for _, t := range targets {
		u, err := r.unit(ctx, t.Switch, planning)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		now, err := u.PSE.Status(ctx, t.Port.Port)
		if err == nil && steps[0] == poe.AdminDisabled {
			err = u.Check(ctx, t.Port.Port)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if len(steps) == 1 && now[0].Admin == steps[0] {
			continue
		}
		printed = true
		for i, admin := range steps {
			if i > 0 {
				fmt.Fprintf(r.Std.Out, "sleep %v\n", holdOf(u).Seconds())
			}
			fmt.Fprintln(r.Std.Out, u.PSE.(poe.Explainer).Explain(t.Port.Port, admin))
		}
	}
	if err := errors.Join(problems...); err != nil || !printed {
		return err
	}
	return cli.ErrDifferent
}

func holdOf(u *unit) time.Duration {
	if u.Hold > 0 {
		return u.Hold
	}
	return poe.DefaultHold
}

// Stagger switches ports on a few at a time, switch after switch.
func (r *Rack) Stagger(ctx context.Context, words []string, act Act) error {
	targets, err := r.Targets(words)
	if err != nil {
		return err
	}
	if act.DryRun {
		return r.explain(ctx, targets, []poe.Admin{poe.AdminEnabled})
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
	var problems []error
	different := false
	for _, s := range r.Config.Switches {
		if !act.DryRun {
			_, err := r.unit(ctx, s.Name, acting) // which is the first act of it
			problems = append(problems, err)
			continue
		}
		u, err := r.unit(ctx, s.Name, planning)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, intent := range u.Journal.Dark() {
			different = true
			fmt.Fprintln(r.Std.Out, u.PSE.(poe.Explainer).Explain(intent.Port, poe.AdminEnabled))
		}
	}
	if err := errors.Join(problems...); err != nil || !different {
		return err
	}
	return cli.ErrDifferent
}

// AskOn returns a Confirm that asks on the streams and reads a line.
func AskOn(in io.Reader, out io.Writer) func(string) (bool, error) {
	return func(question string) (bool, error) {
		fmt.Fprintf(out, "%s [y/N] ", question)
		var answer string
		_, err := fmt.Fscanln(in, &answer)
		if err != nil && answer == "" {
			fmt.Fprintln(out)
			return false, nil
		}
		return answer == "y" || answer == "yes", nil
	}
}
