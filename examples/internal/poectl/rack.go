package poectl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/command"
	"github.com/berryrack/berryrack/poe/ethtool"
	"github.com/berryrack/berryrack/poe/snmp"
)

// Rack is the switches of a configuration, each spoken to since it was first
// needed.
type Rack struct {
	Config *Config
	State  string // the directory of the journals
	File   string // the configuration's, for secrets beside it
	Std    cli.Streams
	Logger *slog.Logger

	simulation *simulation
	open       map[string]*unit
}

// unit is a switch in use.
type unit struct {
	*Switch
	poe.Controller
	close func()

	recovered   []poe.Report
	unrecovered error
}

// Target is a port by the name of its device.
type Target struct {
	Name string
	Port
}

func (t Target) String() string { return fmt.Sprintf("%s (%s port %v)", t.Name, t.Switch, t.Port.Port) }

// Targets returns the ports that the words name: a device, a group.port where
// there is one switch, or SWITCH/group.port. All that are not listed are
// reported at once.
func (r *Rack) Targets(words []string) ([]Target, error) {
	byPlace := map[string]string{}
	for name, p := range r.Config.Ports {
		byPlace[p.Switch+"/"+p.Port.String()] = name
		if len(r.Config.Switches) == 1 {
			byPlace[p.Port.String()] = name
		}
	}
	var targets []Target
	var problems []error
	seen := map[string]bool{}
	for _, word := range words {
		name := word
		if place, ok := byPlace[word]; ok {
			name = place // no device has such a name
		}
		p, ok := r.Config.Ports[name]
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("%q is not among the ports that may be switched: %s", word, strings.Join(slices.Sorted(maps.Keys(r.Config.Ports)), ", ")))
		case seen[name]:
			problems = append(problems, fmt.Errorf("%s is named twice", name))
		}
		seen[name] = true
		targets = append(targets, Target{name, p})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return targets, nil
}

// Close ends all conversations.
func (r *Rack) Close() {
	for _, u := range r.open {
		u.close()
	}
	r.open = nil
	if r.simulation != nil {
		r.simulation.close()
	}
}

// access is what a switch is opened for.
type access int

const (
	reading  access = iota // to be looked at: a journal that cannot be had is no error
	acting                 // to be switched: nobody else can
	planning               // nothing is changed, not even what a crash left dark
)

// unit opens a switch, and first of all finishes what a crash left dark.
func (r *Rack) unit(ctx context.Context, name string, want access) (*unit, error) {
	if u := r.open[name]; u != nil {
		return u, nil
	}
	u, err := r.begin(ctx, name, want)
	if err != nil {
		return nil, err
	}
	if r.open == nil {
		r.open = map[string]*unit{}
	}
	r.open[name] = u
	return u, nil
}

// begin opens a switch, which the caller must close.
func (r *Rack) begin(ctx context.Context, name string, want access) (*unit, error) {
	s := r.Config.find(name)
	pse, err := r.dial(ctx, s)
	if err != nil {
		return nil, err
	}
	u := &unit{Switch: s, Controller: r.controller(s, pse), close: func() {
		if c, ok := pse.(io.Closer); ok {
			_ = c.Close()
		}
	}}
	if err := r.journal(ctx, u, want); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// readingPatience is how long a look waits for what a crash left dark.
const readingPatience = 5 * time.Second

// journal opens a switch's journal, and recovers unless it only plans. A port
// that cannot be recovered keeps nobody from the others: it is told, and tried
// again by the next command.
func (r *Rack) journal(ctx context.Context, u *unit, want access) (err error) {
	if want == planning {
		u.Journal, err = poe.ReadJournal(r.journalFile(u.Name))
		return err
	}
	u.Journal, err = r.openJournal(u.Name)
	if err != nil && want == reading {
		fmt.Fprintf(r.Std.Err, "poectl: %s: not looking for what a crash left dark: %v\n", u.Name, err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Name, err)
	}
	if want == reading {
		r.recoverBriefly(ctx, u)
		defer func() { u.Journal = nil }()
		return u.Journal.Close()
	}
	r.recover(ctx, u)
	closePSE := u.close
	u.close = func() {
		_ = u.Journal.Close()
		closePSE()
	}
	return nil
}

func (r *Rack) journalFile(name string) string { return filepath.Join(r.State, name+".json") }

func (r *Rack) openJournal(name string) (*poe.Journal, error) {
	if err := os.MkdirAll(r.State, 0o700); err != nil {
		return nil, err
	}
	return poe.OpenJournal(r.journalFile(name))
}

// recoverBriefly keeps a look from waiting for a port that does not come on.
func (r *Rack) recoverBriefly(ctx context.Context, u *unit) {
	ctx, cancel := context.WithTimeout(ctx, readingPatience)
	defer cancel()
	settle, boot := u.Settle, u.Boot
	u.Settle, u.Boot = readingPatience, readingPatience
	r.recover(ctx, u)
	u.Settle, u.Boot = settle, boot
}

// recover switches on what a crash left dark, and tells of it.
func (r *Rack) recover(ctx context.Context, u *unit) {
	u.recovered, u.unrecovered = u.Recover(ctx)
	for _, report := range u.recovered {
		fmt.Fprintf(r.Std.Err, "poectl: %s: a crash had left it dark: %v\n", u.Name, report)
	}
	if u.unrecovered != nil {
		fmt.Fprintf(r.Std.Err, "poectl: %s: %v\npoectl: recover tries again, recover --forget PORT gives up\n", u.Name, u.unrecovered)
	}
}

// Check reads the secrets of all switches, and speaks to none.
func (r *Rack) Check() error {
	var problems []error
	for i := range r.Config.Switches {
		s := &r.Config.Switches[i]
		if s.Backend != "snmp" {
			continue
		}
		if _, err := r.snmp(s); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.Name, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return &cli.UsageError{Err: err}
	}
	return nil
}

// dial begins the conversation with a switch.
func (r *Rack) dial(ctx context.Context, s *Switch) (poe.PSE, error) {
	switch s.Backend {
	case "ethtool":
		interfaces := map[poe.PortID]string{}
		for text, name := range s.Interfaces {
			id, _ := poe.ParsePortID(text)
			interfaces[id] = name
		}
		return ethtool.Dial(interfaces)
	case "command":
		return &command.PSE{Argv: s.Command, Timeout: s.Timeout}, nil
	}
	config, err := r.snmp(s)
	if err != nil {
		return nil, &cli.UsageError{Err: fmt.Errorf("%s: %w", s.Name, err)}
	}
	return snmp.Dial(ctx, config)
}

// snmp reads the secrets of a switch.
func (r *Rack) snmp(s *Switch) (snmp.Config, error) {
	c := snmp.Config{Address: s.Address, User: s.SNMP.User, AuthProtocol: s.SNMP.Auth, PrivProtocol: s.SNMP.Priv, Timeout: s.Timeout, BridgePorts: map[poe.PortID]int{}}
	for text, n := range s.BridgePorts {
		id, _ := poe.ParsePortID(text)
		c.BridgePorts[id] = n
	}
	if s.SNMP.Version == 2 {
		c.Version = snmp.V2c
	}
	if r.simulation != nil {
		c.Community = simulatedCommunity
		return c, c.Validate()
	}
	var problems []error
	for _, secret := range []struct {
		file string
		into *snmp.Secret
	}{{s.SNMP.AuthFile, &c.Auth}, {s.SNMP.PrivFile, &c.Priv}, {s.SNMP.CommunityFile, &c.Community}} {
		if secret.file == "" {
			continue
		}
		text, err := cli.SecretOf(r.File, secret.file)
		problems = append(problems, err)
		*secret.into = snmp.Secret(text)
	}
	return c, errors.Join(append(problems, c.Validate())...)
}

// controller returns what acts on a switch, without its journal.
func (r *Rack) controller(s *Switch, pse poe.PSE) poe.Controller {
	c := r.Config
	guard := poe.Guard{Ports: map[poe.PortID]poe.Port{}, Protected: map[poe.PortID]string{}, Keep: r.keep(), Cooldown: c.Cooldown}
	for text, why := range s.Protected {
		id, _ := poe.ParsePortID(text)
		guard.Protected[id] = why
	}
	for name, p := range c.Ports {
		if p.Switch != s.Name {
			continue
		}
		port := poe.Port{Name: name}
		port.MAC, _ = net.ParseMAC(p.MAC)
		if address, err := waitAddress(p.Wait); err == nil {
			port.Up = poe.DialTCP(address)
		}
		if r.simulation != nil {
			port.Up = r.simulation.sw.Up(p.Port)
		}
		guard.Ports[p.Port] = port
	}
	controller := poe.Controller{PSE: pse, Guard: guard, Hold: c.Hold, Boot: c.Boot, Native: s.Native, Logger: r.Logger}
	if r.simulation != nil {
		controller.Poll = simulatedPoll
	}
	return controller
}

// keep returns the addresses that must stay reachable: this machine's, and
// those of the configuration.
func (r *Rack) keep() []net.HardwareAddr {
	var all []net.HardwareAddr
	for _, text := range r.Config.Keep {
		mac, _ := net.ParseMAC(text)
		all = append(all, mac)
	}
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if len(i.HardwareAddr) == 6 {
			all = append(all, i.HardwareAddr)
		}
	}
	return all
}

// fileserver returns what stagger waits for, nil for nothing.
func (r *Rack) fileserver() func(context.Context) error {
	address, err := waitAddress(r.Config.Fileserver)
	if err != nil {
		return nil
	}
	return poe.DialTCP(address)
}
