package poe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Report is what became of a port. A time that is zero was not reached.
type Report struct {
	Port   PortID `json:"port"`
	Name   string `json:"name,omitempty"`
	Native bool   `json:"native,omitempty"` // the equipment cycled the port by itself
	Mode   string `json:"mode,omitempty"`   // as [ModeKeeper] names it; restored
	Tries  int    `json:"tries"`

	Began      time.Time `json:"began"`
	Dark       time.Time `json:"dark,omitzero"`       // the switch says that the port feeds nothing
	Delivering time.Time `json:"delivering,omitzero"` // the switch says that the port feeds a device
	Up         time.Time `json:"up,omitzero"`         // the device answered, if it was asked

	Before Status `json:"before"`
	After  Status `json:"after"`

	// Faults says by how much each counter moved; nil where nobody counts.
	Faults *Counters `json:"faults,omitempty"`
}

// String tells the report in a line.
func (r Report) String() string {
	text := fmt.Sprintf("port %v", r.Port)
	if r.Name != "" {
		text += " (" + r.Name + ")"
	}
	for _, step := range []struct {
		what string
		at   time.Time
	}{{"dark", r.Dark}, {"delivering", r.Delivering}, {"up", r.Up}} {
		if !step.at.IsZero() {
			text += fmt.Sprintf(", %s after %.1f s", step.what, step.at.Sub(r.Began).Seconds())
		}
	}
	if r.Before.Metered || r.After.Metered {
		text += fmt.Sprintf(", %.1f W before, %.1f W after", r.Before.Watts, r.After.Watts)
	}
	if r.Faults != nil && *r.Faults != (Counters{}) {
		text += ", new faults: " + r.Faults.String()
	}
	return text
}

// Cycle takes a port's power away and gives it back: it asks the guard, writes
// the intent into the journal, disables the port, waits until the switch says
// that it is dark, holds, enables it as it was before, and waits until it
// delivers power and the device is up.
//
// From the journal's entry on, the port is enabled again whatever happens, a
// cancelled ctx included; Cycle then returns within Settle. The report holds
// what was reached also when the error is not nil.
func (c *Controller) Cycle(ctx context.Context, id PortID) (Report, error) {
	if err := c.Check(ctx, id); err != nil {
		return Report{Port: id, Name: c.Guard.Ports[id].Name}, err
	}
	run := c.begin(ctx, id, c.Guard.Ports[id])
	err := run.cycle(ctx)
	return run.report, err
}

// run is one port's way through a cycle or a start.
type run struct {
	*Controller
	port    Port
	report  Report
	before  Counters
	counted bool
}

// begin takes down how the port is, as far as the switch tells.
func (c *Controller) begin(ctx context.Context, id PortID, port Port) *run {
	r := &run{Controller: c, port: port, report: Report{Port: id, Name: port.Name, Tries: 1, Began: time.Now()}}
	r.report.Before, _ = c.status(ctx, id)
	r.before, r.counted = c.counters(ctx, id)
	return r
}

// cycle interrupts the port's power and waits for its device.
func (r *run) cycle(ctx context.Context) error {
	id := r.report.Port
	mode, err := r.mode(ctx, id)
	if err != nil {
		return fmt.Errorf("poe: port %v: mode: %w", id, err)
	}
	r.report.Mode = mode
	r.log("journal", id)
	if err := r.Journal.begin(id, mode, time.Now(), true); err != nil {
		return err
	}
	if done, err := r.reset(ctx); done {
		return err
	}
	errOff := r.off(ctx)
	errOn := r.restore(ctx, id, mode)
	if errOff != nil || errOn != nil {
		return errors.Join(errOff, errOn, r.settled(ctx))
	}
	return r.finish(ctx)
}

// off disables the port and holds it dark.
func (r *run) off(ctx context.Context) error {
	id := r.report.Port
	r.log("off", id)
	if err := r.PSE.Set(ctx, id, AdminDisabled); err != nil {
		return fmt.Errorf("poe: port %v: off: %w", id, err)
	}
	if _, err := r.await(ctx, id, r.settle(), "dark", Status.Dark); err != nil {
		return err
	}
	r.report.Dark = time.Now()
	if err := sleep(ctx, r.hold()); err != nil {
		return fmt.Errorf("poe: port %v: cut short: %w", id, err)
	}
	return nil
}

// reset lets the equipment cycle the port, when it is to and can. Like the
// rest, it then waits for the device.
func (r *run) reset(ctx context.Context) (done bool, err error) {
	id := r.report.Port
	resetter, ok := r.PSE.(Resetter)
	if !ok || !r.Native {
		return false, nil
	}
	r.log("reset", id)
	err = resetter.Reset(ctx, id)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	r.report.Native = true
	if err == nil {
		// The port may be back before we look, so that not to have seen it go
		// proves nothing either way.
		if _, errGone := r.await(ctx, id, 2*r.poll()+time.Second, "without power", func(s Status) bool { return !s.Delivering() }); errGone == nil {
			r.report.Dark = time.Now()
		}
		err = r.finish(ctx)
	} else {
		err = fmt.Errorf("poe: port %v: reset: %w", id, err)
	}
	return true, errors.Join(err, r.restore(ctx, id, r.report.Mode))
}

// finish waits until the port delivers power and its device is up.
func (r *run) finish(ctx context.Context) error {
	id := r.report.Port
	after, err := r.await(ctx, id, r.settle(), "delivering", Status.Delivering)
	if err != nil {
		return errors.Join(err, r.settled(ctx))
	}
	r.report.Delivering, r.report.After = time.Now(), after
	if err := r.answered(ctx); err != nil {
		return errors.Join(err, r.settled(ctx))
	}
	return r.settled(ctx)
}

// answered waits until the device does.
func (r *run) answered(ctx context.Context) error {
	if r.port.Up == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, r.boot())
	defer cancel()
	for {
		err := r.port.Up(limited)
		if err == nil {
			r.report.Up = time.Now()
			r.log("is up", r.report.Port)
			return nil
		}
		if !r.pause(limited) {
			return fmt.Errorf("poe: port %v: %w within %v: %w", r.report.Port, ErrNotUp, r.boot(), err)
		}
	}
}

// settled takes down how the port is at the end.
func (r *run) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.settle())
	defer cancel()
	if after, err := r.status(ctx, r.report.Port); err == nil {
		r.report.After = after
	}
	if now, ok := r.counters(ctx, r.report.Port); ok && r.counted {
		moved := now.Since(r.before)
		r.report.Faults = &moved
	}
	return nil
}

// Recover enables the ports that a crash left dark, in order, each in the mode
// that it had, and waits for each to deliver power before the next. It asks no
// guard: their power was taken away under one. With nothing to recover it does
// nothing.
func (c *Controller) Recover(ctx context.Context) ([]Report, error) {
	if c.Journal == nil {
		return nil, fmt.Errorf("poe: recover: %w", ErrNoJournal)
	}
	var reports []Report
	var problems []error
	for _, intent := range c.Journal.Dark() {
		if ctx.Err() != nil {
			return reports, errors.Join(append(problems, context.Cause(ctx))...)
		}
		r := c.begin(ctx, intent.Port, Port{Name: c.Guard.Ports[intent.Port].Name})
		r.report.Mode = intent.Mode
		err := c.restore(ctx, intent.Port, intent.Mode)
		if err == nil {
			err = r.finish(ctx)
		}
		problems = append(problems, err)
		reports = append(reports, r.report)
	}
	return reports, errors.Join(problems...)
}
