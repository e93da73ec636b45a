package poe

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Report is what became of a port. A time that is zero was not reached.
type Report struct {
	Port   PortID `json:"port"`             // that was cycled
	Name   string `json:"name,omitempty"`   // the guard's, if it has one
	Native bool   `json:"native,omitempty"` // the equipment cycled the port by itself
	Mode   string `json:"mode,omitempty"`   // as [ModeKeeper] names it; restored
	Tries  int    `json:"tries"`            // how often the port was switched off

	Began      time.Time `json:"began"`               // before anything was changed
	Dark       time.Time `json:"dark,omitzero"`       // the switch says that the port feeds nothing
	Delivering time.Time `json:"delivering,omitzero"` // the switch says that the port feeds a device
	Up         time.Time `json:"up,omitzero"`         // the device answered, if it was asked

	Before Status `json:"before"` // at Began
	After  Status `json:"after"`  // when the last look was taken

	// Faults says by how much each counter moved; nil where nobody counts, and
	// when the switch restarted.
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
// delivers power and the device is up. A port that was disabled is on then, too.
//
// From the journal's entry on, the port is enabled again whatever happens, a
// cancelled ctx included; Cycle returns within Settle of that. A switch that
// does not answer is tried for as long as Boot. When that fails, the journal
// keeps the port for [Controller.Recover]. The report holds what was reached
// also when the error is not nil.
func (c *Controller) Cycle(ctx context.Context, id PortID) (Report, error) {
	port, err := c.allowed(id)
	if err != nil {
		return Report{Port: id}, err
	}
	release, err := c.Journal.claim(id)
	if err == nil {
		defer release()
		err = c.Check(ctx, id)
	}
	if err != nil {
		return Report{Port: id, Name: port.Name}, err
	}
	run, end := c.begin(ctx, id, port)
	defer end()
	err = run.cycle(ctx)
	return run.report, err
}

// run is one port's way through a cycle or a start.
type run struct {
	*Controller
	grace   context.Context // ends Settle after the caller's
	port    Port
	report  Report
	unread  error // why nobody knows how the port was
	before  Counters
	counted bool
}

// begin takes down how the port is. end must be called.
func (c *Controller) begin(ctx context.Context, id PortID, port Port) (r *run, end func()) {
	grace, end := linger(ctx, c.settle())
	r = &run{Controller: c, grace: grace, port: port, report: Report{Port: id, Name: port.Name, Tries: 1, Began: time.Now()}}
	r.report.Before, r.unread = c.status(ctx, id)
	r.before, r.counted = c.counters(ctx, id)
	return r, end
}

// linger returns a context that ends d after ctx does.
func linger(ctx context.Context, d time.Duration) (context.Context, func()) {
	grace, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = sleep(grace, d)
		cancel()
	})
	return grace, func() {
		stop()
		cancel()
	}
}

// start enables the port, unless it is, and waits for its device. A port that is
// off gets back the mode that it had.
func (r *run) start(ctx context.Context) error {
	id := r.report.Port
	_, dark := r.Journal.dark(id)
	var err error
	if dark || r.unread != nil || r.report.Before.Admin != AdminEnabled {
		r.report.Mode = r.Journal.mode(id)
		err = r.restore(r.report.Mode)
	} else {
		err = r.Journal.done(id) // somebody else enabled it
	}
	if err != nil {
		r.settled()
		return err
	}
	return r.finish(ctx)
}

// cycle interrupts the port's power and waits for its device. A port of which
// the switch tells nothing is left alone.
func (r *run) cycle(ctx context.Context) error {
	id := r.report.Port
	mode, err := r.modeOf(ctx, id)
	if err = errors.Join(r.unread, err); err != nil {
		return fmt.Errorf("poe: port %v: left alone: %w", id, err)
	}
	_, wasDark := r.Journal.dark(id)
	r.report.Mode = mode
	r.log("journal", id, "mode", mode)
	if err := r.Journal.begin(id, mode, time.Now(), true); err != nil {
		return err
	}
	errCut := r.cut(ctx)
	if errors.Is(errCut, ErrRefused) && r.unchanged(wasDark, mode) {
		return errors.Join(errCut, r.Journal.done(id))
	}
	if err := errors.Join(errCut, r.restore(mode)); err != nil {
		r.settled()
		return err
	}
	return r.finish(ctx)
}

// unchanged reports whether a refused cut has left the port as it was, with
// nothing to bring back. A refusal alone proves nothing.
func (r *run) unchanged(wasDark bool, mode string) bool {
	if on, _ := r.enabled(r.grace, r.report.Port, mode); on {
		return true
	}
	return r.report.Before.Admin == AdminDisabled && !wasDark
}

// cut takes the port's power away, by the equipment's own reset where that is
// wanted and there is one.
func (r *run) cut(ctx context.Context) error {
	if resetter, ok := r.PSE.(Resetter); ok && r.Native {
		err := r.reset(ctx, resetter)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return r.off(ctx)
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

// reset lets the equipment cycle the port. That it has done so is believed when
// the port was seen without power, or its device, which answered, was seen not
// to.
func (r *run) reset(ctx context.Context, pse Resetter) error {
	id := r.report.Port
	wasUp := r.port.Up != nil && r.probe(ctx) == nil
	r.log("reset", id)
	if err := pse.Reset(ctx, id); err != nil {
		return fmt.Errorf("poe: port %v: reset: %w", id, err)
	}
	r.report.Native = true
	silent := false
	gone := func(s Status) bool {
		if s.Delivering() {
			silent = wasUp && r.probe(ctx) != nil
			return silent
		}
		return true
	}
	if _, err := r.await(ctx, id, r.settle(), "without power", gone); err != nil {
		return err
	}
	if !silent {
		r.report.Dark = time.Now()
	}
	return nil
}

// probe asks the device once, for no longer than a look or two may take: one
// without power says nothing.
func (r *run) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*r.poll())
	defer cancel()
	return r.port.Up(ctx)
}

// finish waits until the port delivers power and its device is up.
func (r *run) finish(ctx context.Context) error {
	defer r.settled()
	after, err := r.await(ctx, r.report.Port, r.settle(), "delivering", Status.Delivering)
	if err != nil {
		return err
	}
	r.report.Delivering, r.report.After = time.Now(), after
	return r.answered(ctx)
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
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("poe: port %v: %w within %v: %w", r.report.Port, ErrNotUp, r.boot(), err)
		}
	}
}

// settled takes down how the port is at the end.
func (r *run) settled() {
	ctx, cancel := context.WithTimeout(r.grace, r.settle())
	defer cancel()
	if after, err := r.status(ctx, r.report.Port); err == nil {
		r.report.After = after
	}
	if now, ok := r.counters(ctx, r.report.Port); ok && r.counted {
		if moved, ok := now.Since(r.before); ok {
			r.report.Faults = &moved
		}
	}
}
