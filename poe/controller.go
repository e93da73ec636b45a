package poe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// What the zero fields of a [Controller] mean.
const (
	DefaultHold   = 5 * time.Second
	DefaultSettle = 30 * time.Second
	DefaultBoot   = 3 * time.Minute
	DefaultPoll   = 500 * time.Millisecond
)

// Controller switches the ports of one PSE. PSE, Guard and Journal must be
// set. It must not be changed while it is used, and is safe for concurrent use.
type Controller struct {
	PSE     PSE
	Guard   Guard
	Journal *Journal

	// Hold is how long a cycled port stays dark. Zero means [DefaultHold].
	Hold time.Duration

	// Settle is how long the switch may take until a port is disabled, until
	// it is enabled, and until it delivers power. Zero means [DefaultSettle].
	Settle time.Duration

	// Boot is how long a device may take from power to its first answer. Zero
	// means [DefaultBoot].
	Boot time.Duration

	// Poll is the pause between two looks. Zero means [DefaultPoll].
	Poll time.Duration

	// Native lets the equipment cycle a port by itself where it can
	// ([Resetter]): nothing can come between its off and on, but it, and not
	// Hold, says how long the port stays dark. A reset of which neither the
	// port nor its device shows anything within Settle is [ErrUnconfirmed].
	Native bool

	// Logger is told each step. Nil is silent.
	Logger *slog.Logger
}

// Check reports whether the guard lets the port's power be interrupted now. It
// changes nothing.
func (c *Controller) Check(ctx context.Context, id PortID) error {
	port, err := c.allowed(id)
	if err != nil {
		return err
	}
	if err := c.Guard.rested(id, c.Journal.LastCut(id), time.Now()); err != nil {
		return err
	}
	return c.Guard.identified(ctx, c.PSE, id, port)
}

// allowed returns what is known of a port that may be switched at all.
func (c *Controller) allowed(id PortID) (Port, error) {
	if c.Journal == nil {
		return Port{}, fmt.Errorf("poe: port %v: %w", id, ErrNoJournal)
	}
	return c.Guard.listed(id)
}

// Off disables a port for good, if the guard allows it, and returns once it is
// dark. The journal keeps the mode in which On enables it again.
func (c *Controller) Off(ctx context.Context, id PortID) error {
	if _, err := c.allowed(id); err != nil {
		return err
	}
	release, err := c.Journal.claim(id)
	if err != nil {
		return err
	}
	defer release()
	if err := c.Check(ctx, id); err != nil {
		return err
	}
	mode, err := c.modeOf(ctx, id)
	if err != nil {
		return fmt.Errorf("poe: port %v: left alone: %w", id, err)
	}
	c.log("off", id)
	if err := c.Journal.begin(id, mode, time.Now(), false); err != nil {
		return err
	}
	if err := c.PSE.Set(ctx, id, AdminDisabled); err != nil {
		return fmt.Errorf("poe: port %v: off: %w", id, err)
	}
	_, err = c.await(ctx, id, c.settle(), "dark", Status.Dark)
	return err
}

// On enables a port that the guard lists, and returns once its device is up.
func (c *Controller) On(ctx context.Context, id PortID) (Report, error) {
	port, err := c.allowed(id)
	if err != nil {
		return Report{Port: id}, err
	}
	release, err := c.Journal.claim(id)
	if err != nil {
		return Report{Port: id, Name: port.Name}, err
	}
	defer release()
	run, end := c.begin(ctx, id, port)
	defer end()
	err = run.start(ctx)
	return run.report, err
}

// restore enables the port, and then takes it off the journal. It does so
// whatever becomes of the caller's context: a device may be without power.
// While somebody waits for the device, a switch that restarts has as long as
// one that boots. A further attempt is made only when the switch's own state
// speaks against the one before.
func (r *run) restore(mode string) error {
	id := r.report.Port
	ctx, cancel := context.WithTimeout(r.grace, max(r.settle(), r.boot()))
	defer cancel()
	_, dark := r.Journal.dark(id)
	r.log("on", id)
	err := r.enable(ctx, id, mode)
	for err != nil {
		r.log("on failed", id, "error", err)
		hopeless := errors.Is(err, ErrNoPort) || errors.Is(err, ErrRefused) && !dark
		if hopeless || !r.pause(ctx) {
			return fmt.Errorf("poe: port %v: on: %w", id, err)
		}
		on, errLook := r.enabled(ctx, id, mode)
		switch {
		case on:
			err = nil
		case errLook == nil:
			err = r.enable(ctx, id, mode)
		}
	}
	r.log("is on", id)
	return r.Journal.done(id)
}

// enabled reports whether the port is as enable would make it.
func (c *Controller) enabled(ctx context.Context, id PortID, mode string) (bool, error) {
	s, err := c.status(ctx, id)
	if err != nil || s.Admin != AdminEnabled || mode == "" {
		return err == nil && s.Admin == AdminEnabled, err
	}
	now, err := c.mode(ctx, id)
	return err == nil && now == mode, err
}

// enable enables the port in the given mode once.
func (c *Controller) enable(ctx context.Context, id PortID, mode string) error {
	if keeper, ok := c.PSE.(ModeKeeper); ok && mode != "" {
		return keeper.SetMode(ctx, id, mode)
	}
	return c.PSE.Set(ctx, id, AdminEnabled)
}

// mode returns in which of several ways the port is enabled, "" when that is
// nothing to remember.
func (c *Controller) mode(ctx context.Context, id PortID) (string, error) {
	keeper, ok := c.PSE.(ModeKeeper)
	if !ok {
		return "", nil
	}
	mode, err := keeper.Mode(ctx, id)
	if errors.Is(err, errors.ErrUnsupported) {
		return "", nil
	}
	return mode, err
}

// modeOf returns in which of several ways the port is enabled or, of one that
// is off, was.
func (c *Controller) modeOf(ctx context.Context, id PortID) (string, error) {
	mode, err := c.mode(ctx, id)
	if err == nil && mode == "" {
		mode = c.Journal.mode(id)
	}
	return mode, err
}

// counters returns the port's fault counters, and false where there are none.
func (c *Controller) counters(ctx context.Context, id PortID) (Counters, bool) {
	reader, ok := c.PSE.(CounterReader)
	if !ok {
		return Counters{}, false
	}
	all, err := reader.Counters(ctx, id)
	counters, ok := all[id]
	return counters, ok && err == nil
}

func (c *Controller) status(ctx context.Context, id PortID) (Status, error) {
	all, err := c.PSE.Status(ctx, id)
	if err != nil {
		return Status{Port: id}, fmt.Errorf("poe: port %v: status: %w", id, err)
	}
	if len(all) != 1 || all[0].Port != id {
		return Status{Port: id}, fmt.Errorf("poe: port %v: status: the PSE answered for other ports", id)
	}
	return all[0], nil
}

// await looks at the port until it is as wanted. A look that fails is not the
// end: switches that are busy with a change do not always answer.
func (c *Controller) await(ctx context.Context, id PortID, limit time.Duration, what string, wanted func(Status) bool) (Status, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last, errLast := Status{Port: id}, error(nil)
	for {
		s, err := c.status(limited, id)
		if err == nil && wanted(s) {
			c.log("is "+what, id, "status", s)
			return s, nil
		}
		if errLast = err; err == nil {
			last = s
		}
		if !c.pause(limited) {
			return last, c.gaveUp(ctx, last, what, limit, errLast)
		}
	}
}

// gaveUp says why a wait ended without what it was for.
func (c *Controller) gaveUp(ctx context.Context, s Status, what string, limit time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("poe: port %v: not yet %s: %w", s.Port, what, context.Cause(ctx))
	case err != nil && s.Admin != 0:
		return fmt.Errorf("poe: port %v: not %s within %v: %w: it was %v, and then: %w", s.Port, what, limit, ErrUnconfirmed, s, err)
	case err != nil:
		return fmt.Errorf("poe: port %v: not %s within %v: %w: %w", s.Port, what, limit, ErrUnconfirmed, err)
	}
	return fmt.Errorf("poe: port %v: not %s within %v: %w: it is %v", s.Port, what, limit, ErrUnconfirmed, s)
}

// pause waits for the next look, and reports whether there is to be one.
func (c *Controller) pause(ctx context.Context) bool { return sleep(ctx, c.poll()) == nil }

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func (c *Controller) log(step string, id PortID, args ...any) {
	if c.Logger != nil {
		c.Logger.Info(step, append([]any{"port", id.String(), "name", c.Guard.Ports[id].Name}, args...)...)
	}
}

func (c *Controller) hold() time.Duration   { return either(c.Hold, DefaultHold) }
func (c *Controller) settle() time.Duration { return either(c.Settle, DefaultSettle) }
func (c *Controller) boot() time.Duration   { return either(c.Boot, DefaultBoot) }
func (c *Controller) poll() time.Duration   { return either(c.Poll, DefaultPoll) }

func either(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// DialTCP returns a [Port.Up] that is satisfied when a TCP connection to
// host:port opens, and closes it at once.
func DialTCP(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
