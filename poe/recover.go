package poe

import (
	"context"
	"errors"
	"fmt"
)

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
			problems = append(problems, fmt.Errorf("poe: port %v: still dark: %w", intent.Port, context.Cause(ctx)))
			continue
		}
		report, err := c.recoverPort(ctx, intent)
		problems = append(problems, err)
		reports = append(reports, report)
	}
	return reports, errors.Join(problems...)
}

func (c *Controller) recoverPort(ctx context.Context, intent Intent) (Report, error) {
	name := c.Guard.Ports[intent.Port].Name
	release, err := c.Journal.claim(intent.Port)
	if err != nil {
		return Report{Port: intent.Port, Name: name}, err
	}
	defer release()
	r, end := c.begin(ctx, intent.Port, Port{Name: name})
	defer end()
	err = r.start(ctx)
	return r.report, err
}
