// Package muninconf is what the program muninconf composes: an inventory in
// YAML, the steps of each command, and the node that shows what probing found.
package muninconf

import (
	_ "embed"
	"errors"
	"net/netip"
	"os"

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
	name     string
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
	line         int
}

func (h *host) setLine(line int) { h.line = line }

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

const defaultPath = "/etc/berryrack/muninconf.yaml"

// Open reads the inventory of a path. With none it reads
// /etc/berryrack/muninconf.yaml, and where there is no such file a built-in
// example; notice then says so.
func Open(path string) (inventory *Inventory, notice string, err error) {
	name, text := path, []byte(nil)
	if name == "" {
		name = defaultPath
	}
	text, err = os.ReadFile(name)
	if path == "" && errors.Is(err, os.ErrNotExist) {
		name, text, err = "built-in example", defaultInventory, nil
		notice = "no " + defaultPath + " and no -f: using the built-in example"
	}
	if err != nil {
		return nil, "", err
	}
	inventory = &Inventory{name: name}
	return inventory, notice, strict(name, text, inventory)
}

// Addresses returns the masters' addresses.
func (inv *Inventory) Addresses() []netip.Addr {
	addresses := make([]netip.Addr, len(inv.Masters))
	for i, a := range inv.Masters {
		addresses[i] = netip.Addr(a)
	}
	return addresses
}

// Master returns the configuration that the inventory is. Problems name the
// inventory's file and the host's line there.
func (inv *Inventory) Master() (*munin.Master, error) {
	m := &munin.Master{Settings: inv.Settings}
	lines := map[string]int{}
	for _, c := range inv.Contacts {
		m.Contacts = append(m.Contacts, munin.Contact{Name: c.Name, Command: c.Command, AlwaysSend: c.AlwaysSend})
	}
	for _, h := range inv.Hosts {
		m.Hosts = append(m.Hosts, h.munin())
		lines[h.Group+";"+h.Name] = h.line
	}
	err := m.Validate()
	if err == nil {
		return m, nil
	}
	return nil, located(err, inv.name, lines)
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

// located gives each problem the line of its host.
func located(err error, file string, lines map[string]int) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		var p *munin.Problem
		if errors.As(err, &p) && lines[p.Host] != 0 {
			at := *p
			at.File, at.Line = file, lines[p.Host]
			err = &at
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
