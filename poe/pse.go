package poe

import (
	"context"
	"errors"
	"net"
)

// PSE is power sourcing equipment: a switch or an injector. Its methods are
// safe for concurrent use, and an answer that is missing is an error.
//
// What only some equipment can do is an interface of its own, below. A backend
// that serves several kinds of equipment has all the methods, and those that
// this equipment cannot do return an error that wraps [errors.ErrUnsupported].
type PSE interface {
	// Ports returns the ports in order, without asking more than that takes.
	Ports(ctx context.Context) ([]PortID, error)

	// Status returns the status of the ports, in the order in which they are
	// named, or of all in theirs when none is. A port that the PSE lacks is an
	// error that wraps [ErrNoPort].
	Status(ctx context.Context, ports ...PortID) ([]Status, error)

	// Set enables or disables a port. It returns nil only when the port's
	// admin state reads as it was set. It does not wait for the device. When
	// it fails, the port may be in either state, unless the error wraps
	// [ErrRefused].
	Set(ctx context.Context, port PortID, admin Admin) error
}

// CounterReader is a PSE that counts faults.
type CounterReader interface {
	// Counters returns the counters of the ports, or of all when none is named.
	Counters(ctx context.Context, ports ...PortID) (map[PortID]Counters, error)
}

// Resetter is a PSE that can itself take a port's power away and give it back.
// Nothing can come between the two, but how long the port stays dark is the
// equipment's choice. An error that wraps [errors.ErrUnsupported] says that it
// has none, and that nothing was changed.
type Resetter interface {
	Reset(ctx context.Context, port PortID) error
}

// ModeKeeper is a PSE whose ports are enabled in one of several ways, which a
// mere enabling would forget: auto, static or limit on Cisco IOS.
type ModeKeeper interface {
	// Mode returns how the port is enabled, "" when it is not.
	Mode(ctx context.Context, port PortID) (string, error)
	// SetMode enables the port in the way that Mode returned.
	SetMode(ctx context.Context, port PortID, mode string) error
}

// Supply is a group's main power source (pethMainPseTable).
type Supply struct {
	Group     int     `json:"group"`     // pethMainPseGroupIndex, from 1
	On        bool    `json:"on"`        // it feeds its ports
	Watts     float64 `json:"watts"`     // nominal
	Used      float64 `json:"used"`      // watts
	Threshold int     `json:"threshold"` // percent of Watts at which the switch raises an alarm; 0 when not known
}

// Budgeter is a PSE that tells its power budget.
type Budgeter interface {
	Supplies(ctx context.Context) ([]Supply, error)
}

// Station is a MAC address that a switch has learnt, and where.
type Station struct {
	MAC  net.HardwareAddr
	Port PortID // zero: a port that is no PSE's, such as an uplink
}

// Learner is a PSE whose switch tells which addresses it has learnt.
type Learner interface {
	Stations(ctx context.Context) ([]Station, error)
}

// Errors that a caller may tell apart with [errors.Is].
var (
	ErrNoPort      = errors.New("no such PSE port")
	ErrNotListed   = errors.New("port is not on the guard's list")
	ErrProtected   = errors.New("port is protected")
	ErrCooldown    = errors.New("port was switched off a moment ago")
	ErrIdentity    = errors.New("not the device that belongs there")
	ErrRefused     = errors.New("the switch refused the change")
	ErrUnconfirmed = errors.New("the switch's state does not confirm the change")
	ErrNotUp       = errors.New("device did not come up")
	ErrBudget      = errors.New("power budget does not allow the port")
	ErrBusy        = errors.New("another process is at work")
	ErrNoJournal   = errors.New("no journal: a crash could leave a port dark")
)
