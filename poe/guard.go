package poe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// DefaultCooldown is what a zero [Guard.Cooldown] means.
const DefaultCooldown = time.Minute

// Port is what the operator knows of a port that may be switched.
type Port struct {
	// Name is what the device is called. It is for people.
	Name string

	// MAC is the device's address. When the switch has learnt other addresses
	// on the port, even beside this one, or this one elsewhere alone, the port
	// is not switched off; nor is it when the switch cannot tell. A device that
	// is silent for longer than the switch remembers is nowhere, and may be
	// cycled. Nil checks nothing.
	MAC net.HardwareAddr

	// Up returns nil once the device answers, and may be called many times.
	// Nil takes delivered power for an answer.
	Up func(context.Context) error
}

// Guard says which ports may be switched. The zero value allows none.
type Guard struct {
	// Ports are the ports that may be switched.
	Ports map[PortID]Port

	// Protected ports are never switched, listed or not, and why: the uplink,
	// the server's own.
	Protected map[PortID]string

	// Keep are addresses that must stay reachable, such as the server's. A
	// port on which the switch has learnt one is the uplink or the server's
	// own, and is not switched off. Switches that cannot tell are not asked.
	Keep []net.HardwareAddr

	// Cooldown is the least time between two interruptions of a port's power.
	// Zero means [DefaultCooldown]; less than zero means none.
	Cooldown time.Duration
}

// Validate returns what is wrong with the guard itself, all at once.
func (g Guard) Validate() error {
	var problems []error
	for id, port := range g.Ports {
		if !id.IsValid() {
			problems = append(problems, fmt.Errorf("poe: port %q: %v is not group.port", port.Name, id))
		}
		if why, ok := g.Protected[id]; ok {
			problems = append(problems, fmt.Errorf("poe: port %v (%s): listed, but %w: %s", id, port.Name, ErrProtected, why))
		}
	}
	return errors.Join(problems...)
}

// listed returns what is known of a port that may be switched.
func (g Guard) listed(id PortID) (Port, error) {
	if why, ok := g.Protected[id]; ok {
		return Port{}, fmt.Errorf("poe: port %v: %w: %s", id, ErrProtected, why)
	}
	port, ok := g.Ports[id]
	if !ok {
		return Port{}, fmt.Errorf("poe: port %v: %w", id, ErrNotListed)
	}
	return port, nil
}

// rested reports whether the port's last interruption is long enough ago.
func (g Guard) rested(id PortID, last, now time.Time) error {
	cooldown := g.Cooldown
	if cooldown == 0 {
		cooldown = DefaultCooldown
	}
	if left := last.Add(cooldown).Sub(now); !last.IsZero() && left > 0 {
		return fmt.Errorf("poe: port %v: %w: wait %v", id, ErrCooldown, left.Round(time.Second))
	}
	return nil
}

// identified reports whether what the switch has learnt speaks against
// interrupting the port.
func (g Guard) identified(ctx context.Context, pse PSE, id PortID, port Port) error {
	if len(port.MAC) == 0 && len(g.Keep) == 0 {
		return nil
	}
	stations, err := learnt(ctx, pse)
	switch {
	case errors.Is(err, errors.ErrUnsupported) && len(port.MAC) == 0:
		return nil
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("poe: port %v: %w: the switch cannot tell which addresses it has learnt; leave the MAC out to go without", id, ErrIdentity)
	case err != nil:
		return fmt.Errorf("poe: port %v: who is there: %w", id, err)
	}
	return g.identify(stations, id, port)
}

func learnt(ctx context.Context, pse PSE) ([]Station, error) {
	learner, ok := pse.(Learner)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return learner.Stations(ctx)
}

// identify judges the port by the stations that the switch has learnt.
func (g Guard) identify(stations []Station, id PortID, port Port) error {
	var here, stranger bool
	elsewhere := ""
	for _, s := range stations {
		at, ours := s.Port == id, len(port.MAC) > 0 && bytes.Equal(s.MAC, port.MAC)
		switch {
		case at && g.keeps(s.MAC):
			return fmt.Errorf("poe: port %v: %w: %v is on it, which must stay reachable", id, ErrProtected, s.MAC)
		case at && ours:
			here = true
		case at:
			stranger = true
		case ours && s.Port.IsValid():
			elsewhere = "port " + s.Port.String()
		case ours:
			elsewhere = "a port that feeds nothing"
		}
	}
	switch {
	case len(port.MAC) == 0 || here && !stranger:
		return nil
	case here:
		return fmt.Errorf("poe: port %v: %w: other addresses beside %v are on it", id, ErrIdentity, port.MAC)
	case elsewhere != "":
		return fmt.Errorf("poe: port %v: %w: %v is on %s", id, ErrIdentity, port.MAC, elsewhere)
	case stranger:
		return fmt.Errorf("poe: port %v: %w: other addresses than %v are on it", id, ErrIdentity, port.MAC)
	}
	return nil
}

func (g Guard) keeps(mac net.HardwareAddr) bool {
	for _, keep := range g.Keep {
		if bytes.Equal(keep, mac) {
			return true
		}
	}
	return false
}
