package poetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/poe"
)

// Config is how a simulated switch is made. The zero value is a switch with 48
// ports of no known maker, whose devices are detected and boot at once.
type Config struct {
	Groups    int     // of ports; zero means 1
	Ports     int     // of each group; zero means 48
	Watts     float64 // of each group's supply; zero means 370
	Threshold int     // percent; zero means 80
	Vendor    Vendor  // whose columns the agent has beside the standard's

	Detect time.Duration // from enabling a port to delivering power
	Linger time.Duration // from disabling a port to being dark
	Boot   time.Duration // from delivering power to a device that is up

	// Inrush is how long a starting device draws twice its power. When more
	// than Crowd devices start within it, those beyond hang until they are
	// power cycled. A Crowd of zero is no limit.
	Inrush time.Duration
	Crowd  int
}

// Device is a powered device.
type Device struct {
	MAC   net.HardwareAddr // that the switch learns
	Watts float64          // drawn when it is up
	Class poe.Class        // that detection finds
}

// Trouble is what goes wrong with requests to change something.
type Trouble struct {
	Slow        time.Duration // the switch is busy with a change for so long, and answers nobody
	LoseSets    int           // so many changes vanish undone
	LoseReplies int           // so many changes are made and not answered
	Refuse      bool          // no change is allowed
	Lie         bool          // changes are made, and called refused
}

// Switch is a simulated switch. Its methods are safe for concurrent use.
type Switch struct {
	config Config

	mu       sync.Mutex
	order    []poe.PortID
	ports    map[poe.PortID]*port
	trouble  Trouble
	gone     time.Time // until when the agent is restarting
	requests int
	free     chan struct{} // holds a token but while a change is made
}

// port is a simulated port. What it says depends on the time since changed.
type port struct {
	device   *Device
	enabled  bool
	mode     int // of Cisco IOS: 1 auto, 2 static, 3 limit
	changed  time.Time
	hung     bool
	denied   bool
	fault    poe.Detection
	counters poe.Counters
}

// New returns a switch with a device on every port, all of them up.
func New(config Config) *Switch {
	config.Groups = or(config.Groups, 1)
	config.Ports = or(config.Ports, 48)
	config.Watts = or(config.Watts, 370)
	config.Threshold = or(config.Threshold, 80)
	s := &Switch{config: config, ports: map[poe.PortID]*port{}, free: make(chan struct{}, 1)}
	s.free <- struct{}{}
	for group := 1; group <= config.Groups; group++ {
		for n := 1; n <= config.Ports; n++ {
			id := poe.PortID{Group: group, Port: n}
			s.order = append(s.order, id)
			s.ports[id] = &port{enabled: true, mode: 1, device: &Device{
				MAC: net.HardwareAddr{0xb8, 0x27, 0xeb, byte(group), byte(n >> 8), byte(n)}, Watts: 3.2, Class: poe.ClassOf(2),
			}}
		}
	}
	return s
}

func or[T int | float64](value, otherwise T) T {
	if value == 0 {
		return otherwise
	}
	return value
}

// Attach puts a device on a port, or takes it away when it is nil. A port that
// the switch lacks is left out.
func (s *Switch) Attach(id poe.PortID, device *Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.ports[id]; p != nil {
		p.device, p.changed = device, time.Now()
	}
}

// Fail keeps the port in a fault, which moves its counters. Zero ends it. A
// port that the switch lacks is left out.
func (s *Switch) Fail(id poe.PortID, fault poe.Detection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.ports[id]
	if p == nil {
		return
	}
	p.fault, p.changed = fault, time.Now()
	if fault != 0 {
		p.counters.Overload++
		p.counters.Short++
	}
}

// Make makes the given trouble from now on, in place of what was before.
func (s *Switch) Make(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = t
}

// Restart restarts the switch, which answers nobody for so long. Its settings
// persist, as RFC 3621 section 4 demands; its counters and its devices start
// anew.
func (s *Switch) Restart(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = time.Now().Add(d)
	for _, p := range s.ports {
		p.counters, p.hung, p.changed = poe.Counters{}, false, s.gone
	}
}

// Requests returns how many requests the agent has got.
func (s *Switch) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Up returns a poe.Port.Up for the port's device.
func (s *Switch) Up(id poe.PortID) func(context.Context) error {
	return func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		p, ok := s.ports[id]
		if !ok {
			return fmt.Errorf("poetest: port %v: %w", id, poe.ErrNoPort)
		}
		if s.detection(p) != poe.DetectionDelivering || p.hung || time.Since(p.changed) < s.config.Detect+s.config.Boot {
			return fmt.Errorf("poetest: the device on port %v is not up", id)
		}
		return nil
	}
}

// Ports implements poe.PSE.
func (s *Switch) Ports(context.Context) ([]poe.PortID, error) { return slices.Clone(s.order), nil }

// Status implements poe.PSE.
func (s *Switch) Status(ctx context.Context, ids ...poe.PortID) ([]poe.Status, error) {
	if err := s.reachable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, err := s.named(ids)
	if err != nil {
		return nil, err
	}
	var all []poe.Status
	for _, id := range ids {
		all = append(all, s.status(id))
	}
	return all, nil
}

// Set implements poe.PSE.
func (s *Switch) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	if admin != poe.AdminEnabled && admin != poe.AdminDisabled {
		return fmt.Errorf("poetest: port %v: admin state %v: %w", id, admin, poe.ErrRefused)
	}
	return s.set(ctx, id, func(p *port) { s.enable(p, admin == poe.AdminEnabled) })
}

// Reset implements poe.Resetter for the makers that have it.
func (s *Switch) Reset(ctx context.Context, id poe.PortID) error {
	if makers[s.config.Vendor].reset == "" {
		return fmt.Errorf("poetest: reset: %w", errors.ErrUnsupported)
	}
	return s.set(ctx, id, s.reset)
}

// reset power cycles a port in no time.
func (s *Switch) reset(p *port) {
	s.enable(p, false)
	s.enable(p, true)
}

// Counters implements poe.CounterReader.
func (s *Switch) Counters(ctx context.Context, ids ...poe.PortID) (map[poe.PortID]poe.Counters, error) {
	if err := s.reachable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids, err := s.named(ids)
	if err != nil {
		return nil, err
	}
	all := map[poe.PortID]poe.Counters{}
	for _, id := range ids {
		all[id] = s.ports[id].counters
	}
	return all, nil
}

// Supplies implements poe.Budgeter.
func (s *Switch) Supplies(ctx context.Context) ([]poe.Supply, error) {
	if err := s.reachable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []poe.Supply
	for group := 1; group <= s.config.Groups; group++ {
		all = append(all, poe.Supply{Group: group, On: true, Watts: s.config.Watts, Used: s.used(group), Threshold: s.config.Threshold})
	}
	return all, nil
}

// Stations implements poe.Learner: the devices that draw power.
func (s *Switch) Stations(ctx context.Context) ([]poe.Station, error) {
	if err := s.reachable(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []poe.Station
	for _, id := range s.order {
		if p := s.ports[id]; s.detection(p) == poe.DetectionDelivering {
			all = append(all, poe.Station{MAC: slices.Clone(p.device.MAC), Port: id})
		}
	}
	return all, nil
}

// Explain implements poe.Explainer.
func (s *Switch) Explain(step poe.Step) string {
	switch {
	case step.Reset && makers[s.config.Vendor].reset == "":
		return ""
	case step.Reset:
		return fmt.Sprintf("simulated switch: port %v reset", step.Port)
	}
	return fmt.Sprintf("simulated switch: port %v %v", step.Port, step.Admin)
}

// reachable waits while the switch is busy or restarting.
func (s *Switch) reachable(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("poetest: no answer: %w", context.Cause(ctx))
	case <-s.free:
		s.free <- struct{}{}
	}
	s.mu.Lock()
	left := time.Until(s.gone)
	s.mu.Unlock()
	if err := sleep(ctx, left); err != nil {
		return fmt.Errorf("poetest: no answer: %w", err)
	}
	return ctx.Err()
}

// set makes a change, with the trouble that is due.
func (s *Switch) set(ctx context.Context, id poe.PortID, change func(*port)) error {
	if err := s.reachable(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	p, ok := s.ports[id]
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("poetest: port %v: %w", id, poe.ErrNoPort)
	}
	fate := s.suffer(ctx)
	switch fate {
	case refused:
		return fmt.Errorf("poetest: port %v: %w", id, poe.ErrRefused)
	case setLost:
		return fmt.Errorf("poetest: port %v: %w", id, poe.ErrUnconfirmed)
	}
	s.mu.Lock()
	change(p)
	s.mu.Unlock()
	if fate == denied {
		return fmt.Errorf("poetest: port %v: %w", id, poe.ErrRefused)
	}
	return nil
}

type fate int

const (
	done fate = iota
	refused
	setLost
	replyLost
	denied
)

// suffer takes the time that a change takes, and says what becomes of it.
func (s *Switch) suffer(ctx context.Context) fate {
	s.mu.Lock()
	t := s.trouble
	fate := done
	switch {
	case t.Refuse:
		fate = refused
	case t.Lie:
		fate = denied
	case t.LoseSets > 0:
		s.trouble.LoseSets--
		fate = setLost
	case t.LoseReplies > 0:
		s.trouble.LoseReplies--
		fate = replyLost
	}
	s.mu.Unlock()
	if fate != setLost && t.Slow > 0 {
		<-s.free
		_ = sleep(context.WithoutCancel(ctx), t.Slow)
		s.free <- struct{}{}
	}
	return fate
}

// enable switches a port. The caller holds mu.
func (s *Switch) enable(p *port, on bool) {
	if p.enabled == on {
		return
	}
	p.enabled, p.changed, p.hung, p.denied = on, time.Now(), false, false
	if !on {
		p.mode = 1
		return
	}
	starting, load := 0, 0.0
	for _, other := range s.ports {
		if other != p && other.enabled && other.device != nil {
			load += other.device.Class.Watts()
			if time.Since(other.changed) < s.config.Inrush {
				starting++
			}
		}
	}
	p.hung = s.config.Crowd > 0 && starting >= s.config.Crowd
	if p.device != nil && load+p.device.Class.Watts() > s.config.Watts*float64(s.config.Groups) {
		p.denied = true
		p.counters.PowerDenied++
	}
}

// detection says what the port does now. The caller holds mu.
func (s *Switch) detection(p *port) poe.Detection {
	since := time.Since(p.changed)
	switch {
	case !p.enabled && since < s.config.Linger && p.device != nil:
		return poe.DetectionDelivering
	case !p.enabled:
		return poe.DetectionDisabled
	case p.fault != 0:
		return p.fault
	case p.device == nil || p.denied || since < s.config.Detect:
		return poe.DetectionSearching
	}
	return poe.DetectionDelivering
}

// status says what the port does now. The caller holds mu.
func (s *Switch) status(id poe.PortID) poe.Status {
	p := s.ports[id]
	status := poe.Status{Port: id, Admin: poe.AdminDisabled, Detection: s.detection(p), Metered: true}
	if p.enabled {
		status.Admin = poe.AdminEnabled
	}
	if status.Detection == poe.DetectionDelivering {
		status.Class, status.Watts = p.device.Class, p.device.Watts
		if time.Since(p.changed) < s.config.Detect+s.config.Inrush {
			status.Watts *= 2
		}
	}
	return status
}

// used returns what a group draws. The caller holds mu.
func (s *Switch) used(group int) (watts float64) {
	for _, id := range s.order {
		if id.Group == group {
			watts += s.status(id).Watts
		}
	}
	return watts
}

// named returns the ports named, or all. The caller holds mu.
func (s *Switch) named(ids []poe.PortID) ([]poe.PortID, error) {
	if len(ids) == 0 {
		return s.order, nil
	}
	for _, id := range ids {
		if s.ports[id] == nil {
			return nil, fmt.Errorf("poetest: port %v: %w", id, poe.ErrNoPort)
		}
	}
	return ids, nil
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
