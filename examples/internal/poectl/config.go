// Package poectl is what the program poectl does: a rack's switches from a
// configuration, their ports by name, and the commands over package poe.
package poectl

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/poe"
)

// Config is a rack's switches and the ports that may be switched.
type Config struct {
	Switches   []Switch        `yaml:"switches"`
	Ports      map[string]Port `yaml:"ports"` // by the name of the device
	Stagger    Stagger         `yaml:"stagger"`
	Cooldown   time.Duration   `yaml:"cooldown"`
	Hold       time.Duration   `yaml:"hold"`
	Boot       time.Duration   `yaml:"boot"`       // until a device answers
	Fileserver string          `yaml:"fileserver"` // tcp://host:port: stagger waits for it first
	Keep       []string        `yaml:"keep"`       // addresses that must stay reachable, beside this machine's
}

// Switch is a PSE and how it is reached.
type Switch struct {
	Name        string            `yaml:"name"`
	Backend     string            `yaml:"backend"` // snmp, ethtool or command
	Address     string            `yaml:"address"`
	SNMP        SNMP              `yaml:"snmp"`
	Interfaces  map[string]string `yaml:"interfaces"`   // ethtool: the interface of each port
	Command     []string          `yaml:"command"`      // command: the program and its first arguments
	BridgePorts map[string]int    `yaml:"bridge_ports"` // snmp: dot1dBasePort of each port
	Protected   map[string]string `yaml:"protected"`    // ports that are never switched, and why
	Native      bool              `yaml:"native"`       // cycle by the switch's own reset where it has one
	Timeout     time.Duration     `yaml:"timeout"`
}

// SNMP is how a switch is spoken to.
type SNMP struct {
	Version       int    `yaml:"version"` // 3 when left out
	User          string `yaml:"user"`
	Auth          string `yaml:"auth"`
	Priv          string `yaml:"priv"`
	AuthFile      string `yaml:"auth_file"`
	PrivFile      string `yaml:"priv_file"`
	CommunityFile string `yaml:"community_file"`
}

// Port is a device's place.
type Port struct {
	Switch string     `yaml:"switch"`
	Port   poe.PortID `yaml:"port"`
	MAC    string     `yaml:"mac"`
	Wait   string     `yaml:"wait"` // tcp://host:port
}

// Stagger is how fast many ports are switched on.
type Stagger struct {
	AtOnce      int     `yaml:"at_once"`
	BudgetWatts float64 `yaml:"budget_watts"`
}

// Parse reads a configuration. The error names all problems with line and
// column.
func Parse(name string, data []byte) (*Config, error) {
	var c Config
	d, err := strictyaml.Decode(name, data, &c)
	if err != nil && d == nil {
		return nil, err
	}
	c.checkSwitches(d)
	c.checkPorts(d)
	if c.Fileserver != "" {
		if _, err := waitAddress(c.Fileserver); err != nil {
			d.Problem("fileserver", "%v", err)
		}
	}
	for i, text := range c.Keep {
		if _, err := net.ParseMAC(text); err != nil {
			d.Problem(fmt.Sprintf("keep[%d]", i), "%v", err)
		}
	}
	for _, key := range []struct {
		name string
		d    time.Duration
	}{{"cooldown", c.Cooldown}, {"hold", c.Hold}, {"boot", c.Boot}} {
		if key.d < 0 {
			d.Problem(key.name, "want 0 or more, not %v", key.d)
		}
	}
	if c.Stagger.AtOnce < 0 || c.Stagger.BudgetWatts < 0 {
		d.Problem("stagger", "want numbers above 0")
	}
	return &c, d.Err()
}

func (c *Config) checkSwitches(d *strictyaml.Document) {
	seen := map[string]bool{}
	for i, s := range c.Switches {
		at := fmt.Sprintf("switches[%d]", i)
		problem := func(key, format string, args ...any) { d.Problem(at+key, format, args...) }
		if s.Name == "" || path.Base(s.Name) != s.Name || strings.HasPrefix(s.Name, ".") {
			problem("", "want a name that can be a file's, not %q", s.Name)
		}
		if seen[s.Name] {
			problem(".name", "%q is another switch's name", s.Name)
		}
		seen[s.Name] = true
		s.checkBackend(problem)
		for _, keys := range []struct {
			key  string
			list []string
		}{{".interfaces", slices.Sorted(maps.Keys(s.Interfaces))}, {".bridge_ports", slices.Sorted(maps.Keys(s.BridgePorts))}, {".protected", slices.Sorted(maps.Keys(s.Protected))}} {
			for _, id := range keys.list {
				if _, err := poe.ParsePortID(id); err != nil {
					problem(keys.key, "%v", err)
				}
			}
		}
	}
	if len(c.Switches) == 0 {
		d.Problem("", "want switches")
	}
}

func (s Switch) checkBackend(problem func(key, format string, args ...any)) {
	switch s.Backend {
	case "snmp":
		if s.Address == "" {
			problem("", "backend snmp wants an address")
		}
		switch s.SNMP.Version {
		case 0, 3:
			if s.SNMP.User == "" || s.SNMP.AuthFile == "" || s.SNMP.PrivFile == "" {
				problem(".snmp", "version 3 wants user, auth_file and priv_file")
			}
		case 2:
			if s.SNMP.CommunityFile == "" {
				problem(".snmp", "version 2 wants community_file")
			}
		default:
			problem(".snmp.version", "want 3 or 2")
		}
	case "ethtool":
		if len(s.Interfaces) == 0 {
			problem("", `backend ethtool wants interfaces: {"1.1": lan1}`)
		}
	case "command":
		if len(s.Command) == 0 {
			problem("", "backend command wants command: [PROGRAM, ARGUMENT...]")
		}
	default:
		problem(".backend", "want snmp, ethtool or command, not %q", s.Backend)
	}
}

// deviceName is a name that every output can bear.
var deviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func (c *Config) checkPorts(d *strictyaml.Document) {
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Ports)) {
		p, at := c.Ports[name], "ports."+name
		if _, err := poe.ParsePortID(name); err == nil || !deviceName.MatchString(name) {
			d.Problem(at, "want a name of letters, digits and -_. that is no group.port, not %q", name)
		}
		s := c.find(p.Switch)
		place := p.Switch + "/" + p.Port.String()
		switch {
		case s == nil:
			d.Problem(at, "no switch has the name %q", p.Switch)
		case !p.Port.IsValid():
			d.Problem(at, `want port: "GROUP.PORT"`)
		case taken[place] != "":
			d.Problem(at+".port", "it is %s's", taken[place])
		case s.Protected[p.Port.String()] != "":
			d.Problem(at+".port", "it is protected: %s", s.Protected[p.Port.String()])
		}
		taken[place] = name
		if _, err := net.ParseMAC(p.MAC); err != nil && p.MAC != "" {
			d.Problem(at+".mac", "%v", err)
		}
		if _, err := waitAddress(p.Wait); err != nil && p.Wait != "" {
			d.Problem(at+".wait", "%v", err)
		}
	}
}

func (c *Config) find(name string) *Switch {
	for i := range c.Switches {
		if c.Switches[i].Name == name {
			return &c.Switches[i]
		}
	}
	return nil
}

// waitAddress returns host:port of a tcp URL.
func waitAddress(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "tcp" || u.Hostname() == "" || u.Port() == "" || u.Path != "" {
		return "", fmt.Errorf("%q: want tcp://HOST:PORT", text)
	}
	return u.Host, nil
}
