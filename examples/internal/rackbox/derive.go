package rackbox

import (
	"fmt"
	"net/netip"

	"github.com/goccy/go-yaml"

	"github.com/berryrack/berryrack/examples/internal/rack"
)

// The management network: the switch's agent, and pirack boot, are on one end
// of it, the fileserver on the other. No Pi is.
var (
	management        = "mgmt0"
	agentAddress      = netip.MustParsePrefix("fd62:6572:7279::1/64")
	fileserverAddress = netip.MustParsePrefix("fd62:6572:7279::2/64")
	boxAddress        = netip.AddrPortFrom(agentAddress.Addr(), boxPort).String()
)

const (
	snmpPort = 161
	boxPort  = 1024
)

// confDir is where the fileserver has rack.yaml.
const confDir = "/etc/berryrack"

// communityFile is, on the fileserver, what the switch's agent wants to hear.
const communityFile = confDir + "/community"

// device is what user-mode Linux calls a Pi's interface.
const device = "vec0"

// switchName is that of the switch of a rack that names none.
const switchName = "sw1"

// Booted returns the rack.yaml of a rack that is booted: the given one, with
// the switch that it is booted on, a port for the public gateway, and what the
// Pis' interfaces are called.
func Booted(r *rack.Rack) ([]byte, error) {
	c := r.Config
	if len(c.Switches) > 1 {
		return nil, fmt.Errorf("a rack with %d switches: pirack boot knows how to boot one", len(c.Switches))
	}
	s := rack.Switch{Name: switchName}
	if len(c.Switches) == 1 {
		s = c.Switches[0]
	}
	if len(s.Trunks) > 0 {
		return nil, fmt.Errorf("switch %s has trunks: pirack boot knows how to boot one switch alone", s.Name)
	}
	s.Address = netip.AddrPortFrom(agentAddress.Addr(), snmpPort).String()
	s.SNMP = &rack.SNMP{Version: 2, CommunityFile: communityFile}
	s.PoE = "1.{port}"
	c.Switches = []rack.Switch{s}
	c.Device = device
	if c.Public != nil && c.Public.SwitchPort == 0 {
		public := *c.Public
		public.SwitchPort = lastPort(r) + 1
		c.Public = &public
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	if _, err := rack.Parse("the booted rack.yaml", data); err != nil {
		return nil, err
	}
	return data, nil
}

// lastPort is the highest port of the switch that the rack uses.
func lastPort(r *rack.Rack) int {
	last := 0
	for _, s := range r.VLANs.Switches {
		for _, p := range s.Ports {
			last = max(last, p.Number)
		}
	}
	return last
}
