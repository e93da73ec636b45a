package poe_test

import (
	"context"
	"sync"

	"github.com/berryrack/berryrack/poe"
)

// scripted is a PSE of which a test says what its answers are worth.
type scripted struct {
	mu    sync.Mutex
	ports map[poe.PortID]poe.Status
	asked []poe.Admin // by Set, in order
	looks int         // by Status

	// set and look come before the act, and end it with their error. They are
	// called with the lock held.
	set  func(*poe.Status, poe.Admin) error
	look func() error
}

// script returns a PSE of n enabled ports that deliver 6 W.
func script(n int) *scripted {
	s := &scripted{ports: map[poe.PortID]poe.Status{}}
	for _, id := range ports(n) {
		s.ports[id] = poe.Status{Port: id, Metered: true}
		s.become(id, poe.AdminEnabled)
	}
	return s
}

// become puts a port into a state. Nobody may be using the PSE, or the caller
// holds mu.
func (s *scripted) become(id poe.PortID, admin poe.Admin) {
	status := s.ports[id]
	status.Admin, status.Detection, status.Watts = admin, poe.DetectionDisabled, 0
	if admin == poe.AdminEnabled {
		status.Detection, status.Watts = poe.DetectionDelivering, 6
	}
	s.ports[id] = status
}

func (s *scripted) Ports(context.Context) ([]poe.PortID, error) { return ports(len(s.ports)), nil }

func (s *scripted) Status(_ context.Context, ids ...poe.PortID) (all []poe.Status, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if s.look != nil {
		if err := s.look(); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		ids = ports(len(s.ports))
	}
	for _, id := range ids {
		all = append(all, s.ports[id])
	}
	return all, nil
}

func (s *scripted) Set(_ context.Context, id poe.PortID, admin poe.Admin) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, admin)
	if s.set != nil {
		status := s.ports[id]
		err := s.set(&status, admin)
		s.ports[id] = status
		if err != nil {
			return err
		}
	}
	s.become(id, admin)
	return nil
}
