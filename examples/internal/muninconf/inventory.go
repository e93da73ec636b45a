// Package muninconf is what the program muninconf composes: an inventory in
// YAML, the work of each command, and the figures of what probing found.
package muninconf

import (
	_ "embed"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/munin"
)

// Inventory is hosts.yaml.
type Inventory struct {
	// Masters are the addresses that the masters connect from.
	Masters []address `yaml:"masters"`
	// Settings are munin's global settings.
	Settings map[string]string `yaml:"settings"`
	Contacts []contact         `yaml:"contacts"`
	Hosts    []host            `yaml:"hosts"`
}

type contact struct {
	Name       string   `yaml:"name"`
	Command    string   `yaml:"command"`
	AlwaysSend []string `yaml:"always_send"`
}

type host struct {
	Group        string            `yaml:"group"`
	Name         string            `yaml:"name"`
	Address      hostAddress       `yaml:"address"`
	Port         uint16            `yaml:"port"`
	UseNodeName  bool              `yaml:"use_node_name"`
	Update       *bool             `yaml:"update"`
	LocalAddress address           `yaml:"local_address"`
	TLS          string            `yaml:"tls"`
	Contacts     []string          `yaml:"contacts"`
	Settings     map[string]string `yaml:"settings"`
}

// address is an IP address without brackets.
type address netip.Addr

func (a *address) UnmarshalText(text []byte) error {
	ip, err := netip.ParseAddr(string(text))
	*a = address(ip)
	return err
}

// hostAddress is an IP address or a name, and never a command.
type hostAddress munin.Address

func (a *hostAddress) UnmarshalText(text []byte) error {
	parsed, err := munin.ParseAddress(string(text))
	*a = hostAddress(parsed)
	return err
}

//go:embed default.yaml
var defaultInventory []byte

// Parse reads an inventory, and returns it with the configuration that it is;
// or every problem of either, with its line and column.
func Parse(name string, text []byte) (*Inventory, *munin.Master, error) {
	inventory := &Inventory{}
	document, _ := strictyaml.Decode(name, text, inventory)
	m := inventory.master()
	locate(document, m, m.Validate())
	return inventory, m, document.Err()
}

// locate adds what munin would not take, at the hosts' places.
func locate(document *strictyaml.Document, m *munin.Master, err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, err := range joined.Unwrap() {
		var p *munin.Problem
		if !errors.As(err, &p) {
			continue
		}
		i := slices.IndexFunc(m.Hosts, func(h munin.Host) bool { return h.FullName() == p.Host })
		path := ""
		if i >= 0 {
			path = "hosts[" + strconv.Itoa(i) + "]"
		}
		if key := path + "." + p.Key; i >= 0 && p.Key == "address" && !document.Read(key) {
			continue // it was reported as it was read
		}
		text := p.Host
		if p.Key != "" {
			text += ": " + p.Key
		}
		document.Problem(path, "%s: %s", text, p.Rule)
	}
}

// Addresses returns the masters' addresses.
func (inv *Inventory) Addresses() []netip.Addr {
	addresses := make([]netip.Addr, len(inv.Masters))
	for i, a := range inv.Masters {
		addresses[i] = netip.Addr(a)
	}
	return addresses
}

// master returns the configuration that the inventory is.
func (inv *Inventory) master() *munin.Master {
	m := &munin.Master{Settings: inv.Settings}
	for _, c := range inv.Contacts {
		m.Contacts = append(m.Contacts, munin.Contact{Name: c.Name, Command: c.Command, AlwaysSend: c.AlwaysSend})
	}
	for _, h := range inv.Hosts {
		m.Hosts = append(m.Hosts, h.munin())
	}
	return m
}

func (h *host) munin() munin.Host {
	result := munin.Host{
		Group: h.Group, Name: h.Name, Address: munin.Address(h.Address), Port: h.Port, UseNodeName: h.UseNodeName,
		NoUpdate: h.Update != nil && !*h.Update, LocalAddress: netip.Addr(h.LocalAddress), Contacts: h.Contacts, Settings: h.Settings,
	}
	if h.TLS != "" {
		result.TLS = &munin.TLS{Mode: munin.TLSMode(h.TLS)}
	}
	return result
}
