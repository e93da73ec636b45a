package rack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/snmp"
)

// Powered switches Pis by the PoE of the switches that they are plugged into.
// Close it when done.
type Powered struct {
	rack        *Rack
	controllers map[string]*poe.Controller
	closers     []func() error
}

// HasPower reports whether rack.yaml says how to switch the Pi's power.
func (r *Rack) HasPower(pi Pi) bool {
	s, ok := r.switchNamed(pi.Switch)
	return ok && s.hasPower()
}

// hasSNMP reports whether rack.yaml says how to ask the switch.
func (s Switch) hasSNMP() bool { return s.SNMP != nil && s.Address != "" }

// hasPower reports whether it says how to switch the power of its ports.
func (s Switch) hasPower() bool { return s.PoE != "" && s.hasSNMP() }

// Power dials the switches of the Pis. The journals are kept in the directory
// state. A Pi without power ([Rack.HasPower]) is an error.
func (r *Rack) Power(ctx context.Context, state string, pis []Pi, logger *slog.Logger) (*Powered, error) {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return nil, err
	}
	return r.powered(ctx, state, poe.OpenJournal, pis, logger)
}

// Powering is [Rack.Power] for [Powered.Explain] alone: it makes no file.
func (r *Rack) Powering(ctx context.Context, state string, pis []Pi) (*Powered, error) {
	return r.powered(ctx, state, poe.ReadJournal, pis, nil)
}

// opener opens a journal.
type opener func(path string) (*poe.Journal, error)

func (r *Rack) powered(ctx context.Context, state string, open opener, pis []Pi, logger *slog.Logger) (*Powered, error) {
	p := &Powered{rack: r, controllers: map[string]*poe.Controller{}}
	for _, pi := range pis {
		if !r.HasPower(pi) {
			return nil, errors.Join(fmt.Errorf("%s: rack.yaml must say the address, poe and snmp of its switch", pi.Name), p.Close())
		}
		if p.controllers[pi.Switch] != nil {
			continue
		}
		if err := p.dial(ctx, pi.Switch, state, open, logger); err != nil {
			return nil, errors.Join(fmt.Errorf("switch %s: %w", pi.Switch, err), p.Close())
		}
	}
	return p, nil
}

func (p *Powered) dial(ctx context.Context, name, state string, open opener, logger *slog.Logger) error {
	s, _ := p.rack.switchNamed(name)
	guard, err := p.rack.guard(s)
	if err != nil {
		return err
	}
	journal, err := open(filepath.Join(state, name+".json"))
	if err != nil {
		return err
	}
	p.closers = append(p.closers, journal.Close)
	pse, err := s.dial(ctx)
	if err != nil {
		return err
	}
	p.closers = append(p.closers, pse.Close)
	c := &poe.Controller{PSE: pse, Guard: guard, Journal: journal, Logger: logger}
	p.controllers[name] = c
	return nil
}

// Recover switches on what a crash left dark.
func (p *Powered) Recover(ctx context.Context) error {
	var errs []error
	for name, c := range p.controllers {
		if _, err := c.Recover(ctx); err != nil {
			errs = append(errs, fmt.Errorf("switch %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Close ends the conversations with the switches.
func (p *Powered) Close() error {
	var errs []error
	for _, c := range p.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// of returns who switches the Pi, and its port.
func (p *Powered) of(pi Pi) (*poe.Controller, poe.PortID, error) {
	s, _ := p.rack.switchNamed(pi.Switch)
	id, err := s.port(pi.Port)
	return p.controllers[pi.Switch], id, err
}

// Cycle takes the Pi's power away and gives it back.
func (p *Powered) Cycle(ctx context.Context, pi Pi) (poe.Report, error) {
	c, id, err := p.of(pi)
	if err != nil {
		return poe.Report{}, err
	}
	return c.Cycle(ctx, id)
}

// Off implements [Power].
func (p *Powered) Off(ctx context.Context, pi Pi) error {
	c, id, err := p.of(pi)
	if err != nil {
		return err
	}
	return c.Off(ctx, id)
}

// On implements [Power].
func (p *Powered) On(ctx context.Context, pi Pi) error {
	c, id, err := p.of(pi)
	if err != nil {
		return err
	}
	_, err = c.On(ctx, id)
	return err
}

// Explain returns the commands that a person would cycle the Pi with. What the guard
// would refuse is an error.
func (p *Powered) Explain(ctx context.Context, pi Pi) ([]string, error) {
	c, id, err := p.of(pi)
	if err != nil {
		return nil, err
	}
	return c.Explain(ctx, id, poe.AdminDisabled, poe.AdminEnabled)
}

func (r *Rack) switchNamed(name string) (Switch, bool) {
	for _, s := range r.Config.Switches {
		if s.Name == name {
			return s, true
		}
	}
	return Switch{}, false
}

// port returns the PSE port of a port of the front.
func (s Switch) port(number int) (poe.PortID, error) {
	text, err := expand(s.PoE, map[string]string{"port": strconv.Itoa(number)})
	if err != nil {
		return poe.PortID{}, err
	}
	return poe.ParsePortID(text)
}

// guard lists the Pis on the switch, and protects the ports that lead elsewhere.
func (r *Rack) guard(s Switch) (poe.Guard, error) {
	g := poe.Guard{Ports: map[poe.PortID]poe.Port{}, Protected: map[poe.PortID]string{}}
	protect := func(number int, why string) error {
		id, err := s.port(number)
		if err == nil {
			g.Protected[id] = why
		}
		return err
	}
	var errs []error
	for _, pi := range r.Pis {
		if pi.Switch != s.Name {
			continue
		}
		id, err := s.port(pi.Port)
		errs = append(errs, err)
		g.Ports[id] = poe.Port{Name: pi.Name, MAC: pi.MAC, Up: pi.up}
	}
	if r.Config.Server.Switch == s.Name {
		errs = append(errs, protect(r.Config.Server.SwitchPort, "the fileserver is plugged in here"))
	}
	if c := r.Config.Public; c != nil && c.SwitchPort != 0 && c.Switch == s.Name {
		errs = append(errs, protect(c.SwitchPort, "it leads to the public gateway"))
	}
	for _, number := range s.Trunks {
		errs = append(errs, protect(number, "it leads to another switch"))
	}
	return g, errors.Join(append(errs, g.Validate())...)
}

// up returns nil when the Pi answers on its private network.
func (pi Pi) up(ctx context.Context) error {
	up, err := answers(ctx, pi.Link.Client.String(), sshPort)
	if err == nil && !up {
		err = fmt.Errorf("%v does not answer", pi.Link.Client)
	}
	return err
}

// dial begins a conversation with the switch.
func (s Switch) dial(ctx context.Context) (*snmp.Switch, error) {
	config, err := s.SNMP.dialing(s.Address)
	if err != nil {
		return nil, err
	}
	return snmp.Dial(ctx, config)
}

// dialing returns how to speak to the switch.
func (s SNMP) dialing(address string) (snmp.Config, error) {
	c := snmp.Config{Address: address, User: s.User}
	if s.Version == 2 {
		c.Version = snmp.V2c
	}
	for _, secret := range []struct {
		file string
		into *snmp.Secret
	}{{s.AuthFile, &c.Auth}, {s.PrivFile, &c.Priv}, {s.CommunityFile, &c.Community}} {
		if secret.file == "" {
			continue
		}
		text, err := cli.SecretOf(s.config, secret.file)
		if err != nil {
			return snmp.Config{}, err
		}
		*secret.into = snmp.Secret(text)
	}
	return c, c.Validate()
}
