package poe

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"
)

// What the zero fields of a [Pace] mean.
const (
	DefaultAtOnce  = 4
	DefaultReserve = 15.4
)

// Pace is how fast [Controller.Stagger] goes. The zero value is usable.
type Pace struct {
	// AtOnce is how many ports may be on their way up together. Zero means
	// [DefaultAtOnce].
	AtOnce int

	// Watts is the budget of each of the PSE's groups, where the switch itself
	// does not have less, up to its alarm threshold. Zero means what the switch
	// has, and no limit where it does not tell. A group whose supply is off
	// has none.
	Watts float64

	// Reserve is the watts set aside for a port that has not yet shown its
	// class. Zero means [DefaultReserve], class 0.
	Reserve float64

	// Ready returns nil once what the devices boot from can serve them. No
	// port is touched before, and no wait for it is longer than Controller's
	// Boot. Nil asks nothing.
	Ready func(context.Context) error
}

// Stagger switches ports on, a few at a time and within the power budget, and
// yields a report of each as it is done, with an error when it failed. A port
// keeps its place among the few until it delivers power and its device is up;
// a device that is not is power cycled, once, if the guard allows it. A port
// whose device is up is left alone.
//
// An error that concerns no single port comes with a zero report, and ends the
// sequence; such are ports that the guard refuses, all at once and before any
// is touched. Ending the loop early ends the work: no further port is begun,
// and ports that are dark are enabled.
func (c *Controller) Stagger(ctx context.Context, ports []PortID, pace Pace) iter.Seq2[Report, error] {
	return func(yield func(Report, error) bool) {
		if err := c.ready(ctx, ports, pace); err != nil {
			yield(Report{}, err)
			return
		}
		running, cancel := context.WithCancel(ctx)
		s := stagger{Controller: c, pace: pace, inFlight: map[PortID]bool{}, results: make(chan result)}
		go s.start(running, ports)
		defer func() {
			cancel()
			for range s.results { // until those under way have enabled their ports
			}
		}()
		for r := range s.results {
			if !yield(r.report, r.err) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(Report{}, fmt.Errorf("poe: stagger: cut short: %w", context.Cause(ctx)))
		}
	}
}

// ready checks everything that can be known before a port is touched, and waits
// for what the devices boot from.
func (c *Controller) ready(ctx context.Context, ports []PortID, pace Pace) error {
	var problems []error
	if c.Journal == nil {
		problems = append(problems, fmt.Errorf("poe: stagger: %w", ErrNoJournal))
	}
	seen := map[PortID]bool{}
	for _, id := range ports {
		if seen[id] {
			problems = append(problems, fmt.Errorf("poe: port %v: named twice", id))
		}
		seen[id] = true
		_, err := c.Guard.listed(id)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil || pace.Ready == nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.boot())
	defer cancel()
	for {
		err := pace.Ready(limited)
		if err == nil {
			return nil
		}
		if !c.pause(limited) {
			return fmt.Errorf("poe: stagger: what the devices boot from is not ready, no port was touched: %w", err)
		}
	}
}

type result struct {
	report Report
	err    error
}

// stagger is one run of [Controller.Stagger].
type stagger struct {
	*Controller
	pace    Pace
	results chan result

	mu       sync.Mutex
	inFlight map[PortID]bool
}

// start begins one port after the other as places and watts become free, and
// closes results when the last is done.
func (s *stagger) start(ctx context.Context, ports []PortID) {
	var running sync.WaitGroup
	defer close(s.results)
	defer running.Wait()
	atOnce := s.pace.AtOnce
	if atOnce <= 0 {
		atOnce = DefaultAtOnce
	}
	places := make(chan struct{}, atOnce)
	for _, id := range ports {
		select {
		case <-ctx.Done():
			return
		case places <- struct{}{}:
		}
		if err := s.afford(ctx, id); err != nil {
			<-places
			s.results <- result{Report{Port: id, Name: s.Guard.Ports[id].Name, Tries: 1, Began: time.Now()}, err}
			continue
		}
		running.Go(func() {
			report, err := s.bringUp(ctx, id)
			s.land(id)
			<-places
			s.results <- result{report, err}
		})
	}
}

// bringUp switches a port on, and cycles it once if its device does not answer.
func (s *stagger) bringUp(ctx context.Context, id PortID) (Report, error) {
	release, err := s.Journal.claim(id)
	if err != nil {
		return Report{Port: id, Name: s.Guard.Ports[id].Name}, err
	}
	defer release()
	r, end := s.begin(ctx, id, s.Guard.Ports[id])
	defer end()
	err = r.start(ctx)
	if err == nil || ctx.Err() != nil {
		return r.report, err
	}
	s.log("try again", id, "error", err)
	if errGuard := s.Check(ctx, id); errGuard != nil {
		return r.report, errors.Join(err, errGuard)
	}
	r.report.Tries = 2
	_, r.unread = s.status(ctx, id)
	if errAgain := r.cycle(ctx); errAgain != nil {
		return r.report, fmt.Errorf("%w (at first: %w)", errAgain, err)
	}
	return r.report, nil
}

// afford waits until the budget allows a further port, and takes its share. A
// port that is on draws it already.
func (s *stagger) afford(ctx context.Context, id PortID) error {
	if now, err := s.status(ctx, id); err == nil && now.Admin == AdminEnabled {
		s.launch(id)
		return nil
	}
	for {
		load, limit, err := s.budget(ctx, id)
		if err != nil {
			return err
		}
		if limit == 0 || load+s.reserve(Status{}) <= limit {
			s.launch(id)
			return nil
		}
		s.mu.Lock()
		alone := len(s.inFlight) == 0
		s.mu.Unlock()
		if alone {
			return fmt.Errorf("poe: port %v: %w: %.1f W of %.1f W are spoken for, and it may take %.1f W", id, ErrBudget, load, limit, s.reserve(Status{}))
		}
		if !s.pause(ctx) {
			return fmt.Errorf("poe: port %v: not begun: %w", id, context.Cause(ctx))
		}
	}
}

// budget returns what the group of the port is charged with, the port itself
// left out, and its limit; a limit of 0 is none.
func (s *stagger) budget(ctx context.Context, id PortID) (load, limit float64, err error) {
	limit, err = s.limit(ctx, id.Group)
	if err != nil || limit == 0 {
		return 0, 0, err
	}
	all, err := s.PSE.Status(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("poe: port %v: what the others draw: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, status := range all {
		switch {
		case status.Port.Group != id.Group || status.Port == id:
		case s.inFlight[status.Port] || status.Delivering() && !status.Metered:
			load += max(s.reserve(status), status.Watts)
		default:
			load += status.Watts
		}
	}
	return load, limit, nil
}

// limit returns the budget of a group, 0 for none.
func (s *stagger) limit(ctx context.Context, group int) (float64, error) {
	budgeter, ok := s.PSE.(Budgeter)
	if !ok {
		return s.pace.Watts, nil
	}
	supplies, err := budgeter.Supplies(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return s.pace.Watts, nil
	}
	if err != nil {
		return 0, fmt.Errorf("poe: power budget: %w", err)
	}
	for _, supply := range supplies {
		if supply.Group != group {
			continue
		}
		if !supply.On {
			return 0, fmt.Errorf("poe: group %d: %w: its supply is off", group, ErrBudget)
		}
		return leastOf(s.pace.Watts, supply.budget()), nil
	}
	return s.pace.Watts, nil
}

// leastOf returns the smaller limit, of which 0 is none.
func leastOf(a, b float64) float64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// budget returns the watts up to which the switch raises no alarm.
func (s Supply) budget() float64 {
	if s.Threshold > 0 && s.Threshold < 100 {
		return s.Watts * float64(s.Threshold) / 100
	}
	return s.Watts
}

// reserve returns what to set aside for a port on its way up.
func (s *stagger) reserve(status Status) float64 {
	if watts := status.Class.Watts(); watts > 0 && status.Delivering() {
		return watts
	}
	if s.pace.Reserve > 0 {
		return s.pace.Reserve
	}
	return DefaultReserve
}

func (s *stagger) launch(id PortID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight[id] = true
}

func (s *stagger) land(id PortID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inFlight, id)
}
