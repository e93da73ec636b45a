package poetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/poe"
)

// Subject is a backend to be checked, and what is known of its equipment: two
// ports with devices, both enabled. The checks interrupt the power of Port.
type Subject struct {
	PSE         poe.PSE       // the backend
	Port, Other poe.PortID    // the power of Other stays on
	Settle      time.Duration // that the equipment may take for a change; zero means a second
}

// Conform checks that a backend keeps what package poe promises of a PSE, and
// returns what it does not, all at once. It leaves the ports enabled.
func Conform(ctx context.Context, s Subject) error {
	if s.Settle == 0 {
		s.Settle = time.Second
	}
	var problems []error
	for _, check := range []struct {
		name     string
		run      func(context.Context) error
		optional bool // equipment may lack it
	}{
		{"ports", s.checkPorts, false}, {"status", s.checkStatus, false}, {"a port that is not there", s.checkMissing, false},
		{"off and on", s.checkSwitching, false}, {"a state that is none", s.checkNoState, false},
		{"a context that has ended", s.checkContext, false}, {"concurrent use", s.checkConcurrent, false},
		{"counters", s.checkCounters, true}, {"supplies", s.checkSupplies, true}, {"stations", s.checkStations, true},
		{"modes", s.checkModes, true}, {"reset", s.checkReset, true},
	} {
		err := check.run(ctx)
		if err != nil && !(check.optional && errors.Is(err, errors.ErrUnsupported)) {
			problems = append(problems, fmt.Errorf("poetest: %s: %w", check.name, err))
		}
	}
	return errors.Join(problems...)
}

func (s Subject) checkPorts(ctx context.Context) error {
	ports, err := s.PSE.Ports(ctx)
	switch {
	case err != nil:
		return err
	case !slices.IsSortedFunc(ports, poe.PortID.Compare):
		return fmt.Errorf("not in order: %v", ports)
	case len(slices.Compact(slices.Clone(ports))) != len(ports):
		return fmt.Errorf("some twice: %v", ports)
	case !slices.Contains(ports, s.Port) || !slices.Contains(ports, s.Other):
		return fmt.Errorf("%v and %v are not among %v", s.Port, s.Other, ports)
	}
	return nil
}

func (s Subject) checkStatus(ctx context.Context) error {
	ports, err := s.PSE.Ports(ctx)
	if err != nil {
		return err
	}
	all, err := s.PSE.Status(ctx)
	if err != nil {
		return err
	}
	var answered []poe.PortID
	for _, status := range all {
		answered = append(answered, status.Port)
		if !status.Metered && status.Watts != 0 || status.Watts < 0 {
			return fmt.Errorf("%v: %v W, metered %v", status.Port, status.Watts, status.Metered)
		}
	}
	if !slices.Equal(ports, answered) {
		return fmt.Errorf("asked for all of %v, got %v", ports, answered)
	}
	some, err := s.PSE.Status(ctx, s.Other, s.Port)
	if err == nil && (len(some) != 2 || some[0].Port != s.Other || some[1].Port != s.Port) {
		err = fmt.Errorf("asked for %v and %v, got %v", s.Other, s.Port, some)
	}
	return err
}

func (s Subject) checkMissing(ctx context.Context) error {
	missing := poe.PortID{Group: 77, Port: 7777}
	_, errStatus := s.PSE.Status(ctx, s.Port, missing)
	errSet := s.PSE.Set(ctx, missing, poe.AdminDisabled)
	if !errors.Is(errStatus, poe.ErrNoPort) || !errors.Is(errSet, poe.ErrNoPort) {
		return fmt.Errorf("want %q, got %v and %v", poe.ErrNoPort, errStatus, errSet)
	}
	return nil
}

// checkSwitching does each thing twice: what is so already is no error.
func (s Subject) checkSwitching(ctx context.Context) error {
	before, err := s.PSE.Status(ctx, s.Other)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		admin  poe.Admin
		wanted func(poe.Status) bool
	}{{poe.AdminDisabled, poe.Status.Dark}, {poe.AdminDisabled, poe.Status.Dark}, {poe.AdminEnabled, poe.Status.Delivering}, {poe.AdminEnabled, poe.Status.Delivering}} {
		if err := s.PSE.Set(ctx, s.Port, step.admin); err != nil {
			return err
		}
		now, err := s.PSE.Status(ctx, s.Port)
		if err != nil {
			return err
		}
		if now[0].Admin != step.admin {
			return fmt.Errorf("set to %v, then %v", step.admin, now[0])
		}
		if err := s.await(ctx, step.wanted); err != nil {
			return fmt.Errorf("after %v: %w", step.admin, err)
		}
	}
	after, err := s.PSE.Status(ctx, s.Other)
	if err == nil && (after[0].Admin != before[0].Admin || after[0].Detection != before[0].Detection) {
		err = fmt.Errorf("the other port was %v, and is %v", before[0], after[0])
	}
	return err
}

// await waits until Port is as wanted.
func (s Subject) await(ctx context.Context, wanted func(poe.Status) bool) error {
	for deadline := time.Now().Add(s.Settle); ; {
		now, err := s.PSE.Status(ctx, s.Port)
		if err != nil {
			return err
		}
		if wanted(now[0]) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it stays %v", now[0])
		}
		if err := sleep(ctx, s.Settle/100); err != nil {
			return err
		}
	}
}

func (s Subject) checkNoState(ctx context.Context) error {
	for _, admin := range []poe.Admin{0, 3, -1} {
		if err := s.PSE.Set(ctx, s.Port, admin); err == nil {
			return fmt.Errorf("admin state %d was set", int(admin))
		}
	}
	return s.await(ctx, poe.Status.Delivering)
}

func (s Subject) checkContext(ctx context.Context) error {
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.PSE.Status(ended, s.Port)
	if err == nil || s.PSE.Set(ended, s.Port, poe.AdminDisabled) == nil {
		return errors.New("it answers all the same")
	}
	return s.await(ctx, poe.Status.Delivering)
}

func (s Subject) checkConcurrent(ctx context.Context) error {
	problems := make([]error, 8)
	var all sync.WaitGroup
	for i := range problems {
		all.Go(func() {
			port := []poe.PortID{s.Port, s.Other}[i%2]
			status, err := s.PSE.Status(ctx, port)
			if err == nil && status[0].Port != port {
				err = fmt.Errorf("asked for %v, got %v", port, status[0].Port)
			}
			problems[i] = errors.Join(err, s.PSE.Set(ctx, port, poe.AdminEnabled))
		})
	}
	all.Wait()
	return errors.Join(problems...)
}

func (s Subject) checkCounters(ctx context.Context) error {
	reader, ok := s.PSE.(poe.CounterReader)
	if !ok {
		return nil
	}
	one, err := reader.Counters(ctx, s.Port)
	if err != nil {
		return err
	}
	all, err := reader.Counters(ctx)
	ports, errPorts := s.PSE.Ports(ctx)
	if err = errors.Join(err, errPorts); err != nil {
		return err
	}
	if _, ok := one[s.Port]; !ok || len(one) != 1 || len(all) != len(ports) || !reflect.DeepEqual(all[s.Port], one[s.Port]) {
		return fmt.Errorf("of one port %v, of all %v", one, all)
	}
	return nil
}

func (s Subject) checkSupplies(ctx context.Context) error {
	budgeter, ok := s.PSE.(poe.Budgeter)
	if !ok {
		return nil
	}
	supplies, err := budgeter.Supplies(ctx)
	if err != nil {
		return err
	}
	for _, supply := range supplies {
		if supply.Watts < 0 || supply.Used < 0 || supply.Threshold < 0 || supply.Threshold > 100 {
			return fmt.Errorf("%+v", supply)
		}
	}
	return nil
}

func (s Subject) checkStations(ctx context.Context) error {
	learner, ok := s.PSE.(poe.Learner)
	if !ok {
		return nil
	}
	stations, err := learner.Stations(ctx)
	for _, station := range stations {
		if len(station.MAC) != 6 {
			err = fmt.Errorf("address %q", station.MAC)
		}
	}
	return err
}

// checkModes sees that a mode survives the way off and on again.
func (s Subject) checkModes(ctx context.Context) error {
	keeper, ok := s.PSE.(poe.ModeKeeper)
	if !ok {
		return nil
	}
	mode, err := keeper.Mode(ctx, s.Port)
	if err != nil {
		return err
	}
	if err := s.PSE.Set(ctx, s.Port, poe.AdminDisabled); err != nil {
		return err
	}
	off, err := keeper.Mode(ctx, s.Port)
	if err == nil && off != "" {
		err = fmt.Errorf("a disabled port has mode %q", off)
	}
	if err != nil {
		return err
	}
	if err := keeper.SetMode(ctx, s.Port, mode); err != nil {
		return err
	}
	again, err := keeper.Mode(ctx, s.Port)
	if err == nil && again != mode {
		err = fmt.Errorf("mode %q came back as %q", mode, again)
	}
	if err != nil {
		return err
	}
	return s.await(ctx, poe.Status.Delivering)
}

// checkReset sees that a reset ends with power, and knows its ports.
func (s Subject) checkReset(ctx context.Context) error {
	resetter, ok := s.PSE.(poe.Resetter)
	if !ok {
		return nil
	}
	if err := resetter.Reset(ctx, s.Port); err != nil {
		return err
	}
	if err := s.await(ctx, poe.Status.Delivering); err != nil {
		return err
	}
	if err := resetter.Reset(ctx, poe.PortID{Group: 77, Port: 7777}); !errors.Is(err, poe.ErrNoPort) {
		return fmt.Errorf("a port that is not there: want %q, got %v", poe.ErrNoPort, err)
	}
	return nil
}
