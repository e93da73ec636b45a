package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Run keeps all Certificates until ctx ends: it orders those that are missing,
// renews those that are due and repeats what has failed. It returns an error
// only when there is nothing that it could do.
func (m *Manager) Run(ctx context.Context) error {
	var errs []error
	seen := map[string]bool{}
	for _, c := range m.Certificates {
		errs = append(errs, c.Check())
		if seen[c.ID()] {
			errs = append(errs, fmt.Errorf("manager: two certificates named %s", c.ID()))
		}
		seen[c.ID()] = true
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxOrders)
	for _, c := range m.Certificates {
		wg.Go(func() {
			m.repeat(ctx, slots, func() time.Time { return m.keep(ctx, c) })
		})
	}
	if m.Solver != nil {
		wg.Go(func() { m.repeat(ctx, slots, func() time.Time { return m.reap(ctx) }) })
	}
	wg.Wait()
	return nil
}

// repeat calls do when there is a slot, and again at the time that it returns,
// until ctx ends.
func (m *Manager) repeat(ctx context.Context, slots chan struct{}, do func() time.Time) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		next := do()
		<-slots
		m.sleepUntil(ctx, next)
	}
}

// sleepUntil looks at the clock again and again, which may jump.
func (m *Manager) sleepUntil(ctx context.Context, at time.Time) {
	for ctx.Err() == nil && !due(at, m.now()) {
		timer := time.NewTimer(min(at.Sub(m.now()), maxSleep))
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

// keep sees to a certificate, and returns when to do so again.
func (m *Manager) keep(ctx context.Context, c Certificate) time.Time {
	err := m.ensure(ctx, c, false, true)
	next := m.nextLook(c)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*WaitError)) {
		m.log().Error("certificate", "name", c.ID(), "error", err)
		if earliest := m.now().Add(firstBackoff); next.Before(earliest) {
			return earliest
		}
	}
	return next
}

// reap removes challenges that could not be withdrawn, and returns when to look
// for more.
func (m *Manager) reap(ctx context.Context) time.Time {
	if err := m.Solver.Reap(ctx); err != nil && ctx.Err() == nil {
		m.log().Warn("records of challenges are left; it is tried again", "error", err)
	}
	return m.now().Add(reapEvery)
}
