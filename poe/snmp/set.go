package snmp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/berryrack/berryrack/poe"
)

// The values of cpeExtPsePortEnable (CISCO-POWER-ETHERNET-EXT-MIB).
var ciscoModes = []string{1: "auto", 2: "static", 3: "limit"}

const ciscoDisable = 4

// The values of agentPethPortReset (NETGEAR-POWER-ETHERNET-MIB).
const resetNow, resetNone = 1, 0

// readBack is the pause between two looks at what a SET has done.
const readBack = 100 * time.Millisecond

// Set implements poe.PSE.
func (s *Switch) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	if admin != poe.AdminEnabled && admin != poe.AdminDisabled {
		return fmt.Errorf("poe/snmp: port %v: admin state %v cannot be set: %w", id, admin, poe.ErrRefused)
	}
	return s.change(ctx, id, portAdmin, int(admin), int(admin))
}

// Reset implements poe.Resetter, on Netgear's switches.
func (s *Switch) Reset(ctx context.Context, id poe.PortID) error {
	if s.vendor.reset == "" {
		return s.unsupported("a port's reset")
	}
	return s.change(ctx, id, s.vendor.reset, resetNow, resetNone)
}

// Mode implements poe.ModeKeeper, on Cisco IOS: auto, static or limit.
func (s *Switch) Mode(ctx context.Context, id poe.PortID) (string, error) {
	if s.vendor.mode == "" {
		return "", s.unsupported("a port's mode")
	}
	values, err := s.session.get(ctx, s.vendor.mode+"."+s.index(id))
	if err != nil {
		return "", err
	}
	if !exists(values[0]) {
		return "", s.noPort(id)
	}
	switch n := number(values[0]); n {
	case 1, 2, 3:
		return ciscoModes[n], nil
	case ciscoDisable:
		return "", nil
	default:
		return "", fmt.Errorf("poe/snmp: %s: port %v: cpeExtPsePortEnable is %d", s.config.Address, id, n)
	}
}

// SetMode implements poe.ModeKeeper.
func (s *Switch) SetMode(ctx context.Context, id poe.PortID, mode string) error {
	if s.vendor.mode == "" {
		return s.unsupported("a port's mode")
	}
	for n, name := range ciscoModes {
		if name == mode && mode != "" {
			return s.change(ctx, id, s.vendor.mode, n, n)
		}
	}
	return fmt.Errorf("poe/snmp: port %v: mode %q: want auto, static or limit: %w", id, mode, poe.ErrRefused)
}

// change sends a SET, and returns nil once the variable reads as it must.
func (s *Switch) change(ctx context.Context, id poe.PortID, column string, value, reads int) error {
	oid := column + "." + s.index(id)
	if s.vendor.readOnly {
		return fmt.Errorf("%w: %w", s.unsupported("switching a port over SNMP"), poe.ErrRefused)
	}
	before, err := s.session.get(ctx, oid)
	if err != nil {
		return err
	}
	if !exists(before[0]) {
		return s.noPort(id)
	}
	errSet := s.session.set(ctx, oid, value)
	if errors.Is(errSet, poe.ErrRefused) {
		return s.refused(ctx, id, oid, before[0], reads, errSet)
	}
	if errSet != nil && value != reads {
		return fmt.Errorf("port %v: %w: %w", id, poe.ErrUnconfirmed, errSet) // a reset leaves nothing to read
	}
	return s.confirm(ctx, id, oid, reads, errSet)
}

// refused reads a variable after a SET that the switch has refused. The refusal
// is believed when the variable is as it was.
func (s *Switch) refused(ctx context.Context, id poe.PortID, oid string, before gosnmp.SnmpPDU, reads int, refusal error) error {
	now, err := s.session.get(ctx, oid)
	if err == nil && exists(now[0]) && number(now[0]) == number(before) {
		return fmt.Errorf("port %v: %w", id, refusal)
	}
	return s.confirm(ctx, id, oid, reads, fmt.Errorf("%v, but it is not known to be as it was", refusal)) // not wrapped: it is not true
}

// confirm reads a variable until it is as a SET was to make it. What the SET's
// own answer said, or that it had none, proves nothing.
func (s *Switch) confirm(ctx context.Context, id poe.PortID, oid string, reads int, errSet error) error {
	limited, cancel := context.WithTimeout(ctx, s.session.timeout)
	defer cancel()
	for {
		now, err := s.session.get(limited, oid)
		if err == nil && exists(now[0]) && number(now[0]) == int64(reads) {
			return nil
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("poe/snmp: %s: port %v: %w: %w", s.config.Address, id, poe.ErrUnconfirmed, errors.Join(errSet, err, context.Cause(ctx)))
		case <-time.After(readBack):
		}
	}
}

// Explain implements poe.Explainer with net-snmp's command. Its passphrases
// come from ~/.snmp/snmp.conf.
func (s *Switch) Explain(step poe.Step) string {
	column, value := portAdmin, int(step.Admin)
	switch {
	case s.vendor.readOnly || step.Reset && s.vendor.reset == "":
		return ""
	case step.Reset:
		column, value = s.vendor.reset, resetNow
	case step.Mode != "" && s.vendor.mode != "":
		column, value = s.vendor.mode, slices.Index(ciscoModes, step.Mode)
	}
	user := "-v2c"
	if s.config.Version == V3 {
		user = "-v3 -l authPriv -u " + s.config.User
	}
	return fmt.Sprintf("snmpset %s %s %s.%s i %d", user, s.config.Address, column, s.index(step.Port), value)
}
