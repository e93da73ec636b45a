package rack

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/nfsroot"
	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/switchconf"
)

// Rack is a description that has been checked, worked out.
type Rack struct {
	Config Config
	Pool   nfsroot.Pool
	Pis    []Pi // in the order of their slots
	VLANs  vlan.Plan
}

// Pi is one computer of the rack.
type Pi struct {
	Name    string
	Slot    int
	Link    nfsroot.Link // its private network
	VLAN    vlan.ID      // its private VLAN
	Export  nfsroot.Export
	Cmdline nfsroot.Cmdline
	Public  netip.Prefix // its public address, zero when there is none
	MAC     net.HardwareAddr
	Serial  nfsroot.Serial
	Switch  string // "" when the rack has no switches
	Port    int
	Host    vlan.Host
}

// Parse reads and checks rack.yaml. Every problem is reported, each with its
// line; name stands before it.
func Parse(name string, data []byte) (*Rack, error) {
	p := parser{}
	p.doc, _ = strictyaml.Decode(name, data, &p.config) // its errors are part of Err
	p.defaults()
	p.rack.Config = p.config
	p.numbering()
	p.switches()
	p.public()
	for i := range p.config.Pis {
		p.pi(i)
	}
	p.unique()
	p.sites()
	if err := p.doc.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(p.rack.Pis, func(a, b Pi) int { return a.Slot - b.Slot })
	p.plan()
	if err := p.rack.VLANs.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p.rack, nil
}

// parser makes a Rack of a Config; what is wrong with it is added to the document.
type parser struct {
	doc           *strictyaml.Document
	config        Config
	rack          Rack
	before, after nfsroot.Cmdline
	numbers       vlan.Numbering
	badLine       bool // reported
}

func (p *parser) defaults() {
	c := &p.config
	for i := range c.Switches {
		if snmp := c.Switches[i].SNMP; snmp != nil {
			snmp.config = p.doc.Name()
		}
	}
	if c.Export == "" {
		c.Export = "/export/{client}"
	}
	if c.Device == "" {
		c.Device = "eth0"
	}
	if c.Gateway == "" {
		c.Gateway = "none"
	}
	if c.NFSOptions == nil {
		c.NFSOptions = []string{"vers=3", "tcp"}
	}
	if c.Gateway != "none" && c.Gateway != "server" {
		p.doc.Problem("gateway", "want server or none, not %q", c.Gateway)
	}
	if len(c.Pis) == 0 {
		p.doc.Problem("pis", "missing: the Pis of the rack")
	}
	if path, err := expand(c.Export, map[string]string{"client": "10.0.0.2", "name": "pi", "slot": "0"}); err != nil {
		p.doc.Problem("export", "%v", err)
		c.Export = "" // reported
	} else if !strings.HasPrefix(path, "/") || filepath.Clean(path) != path {
		p.doc.Problem("export", "want an absolute path without //, /. or / at its end, not %q", c.Export)
		c.Export = ""
	}
	for i, kept := range c.Keep {
		if !filepath.IsLocal(kept) || kept == "." {
			p.doc.Problem(fmt.Sprintf("keep[%d]", i), "want a path relative to a root, as srv/www, not %q", kept)
		}
	}
	p.interfaces()
	p.lines()
}

// interfaces checks the names that the interfaces will have.
func (p *parser) interfaces() {
	c := &p.config
	if c.Server.Interface == "" {
		p.doc.Problem("server.interface", "missing: the fileserver's interface that leads to the switch")
	} else if _, err := p.serverInterface(Pi{Name: "pi", VLAN: vlan.MaxID}); err != nil {
		p.doc.Problem("server.interface", "%v (vlan_name: \"v{vlan}\" beside it names them otherwise)", err)
		c.Server.VLANName = "v{vlan}"
	}
	if err := (vlan.Interface{Parent: c.Device, ID: vlan.MaxID}).Check(); err != nil {
		p.doc.Problem("device", "%v", err)
		c.Device = "eth0"
	}
}

// serverInterface returns the fileserver's interface in the private VLAN of a Pi.
func (p *parser) serverInterface(pi Pi) (vlan.Interface, error) {
	name, err := expand(p.config.Server.VLANName, map[string]string{"vlan": pi.VLAN.String(), "name": pi.Name, "slot": strconv.Itoa(pi.Slot)})
	if err != nil {
		return vlan.Interface{}, err
	}
	i := vlan.Interface{Parent: p.config.Server.Interface, ID: pi.VLAN, Name: name}
	if pi.Link.Server.IsValid() {
		i.Addresses = []netip.Prefix{netip.PrefixFrom(pi.Link.Server, pi.Link.Network.Bits())}
	}
	return i, i.Check()
}

// lines reads what stands around the generated part of each command line.
func (p *parser) lines() {
	p.before = p.line("cmdline.before", p.config.Cmdline.Before)
	p.after = p.line("cmdline.after", p.config.Cmdline.After)
}

func (p *parser) line(path, text string) nfsroot.Cmdline {
	if strings.ContainsAny(text, "\r\n") {
		p.doc.Problem(path, "a command line is one line")
	}
	return nfsroot.ParseCmdline(text)
}

// numbering reads what gives each slot its /30 and its VLAN.
func (p *parser) numbering() {
	c := p.config
	if !c.Pool.IsValid() {
		p.doc.Problem("pool", "missing: the IPv4 prefix that is cut into a /30 for each Pi, such as 10.46.189.0/27")
	} else if pool, err := nfsroot.NewPool(c.Pool); err != nil {
		p.doc.Problem("pool", "%v", err)
	} else {
		p.rack.Pool = pool
	}
	p.numbers = vlan.Numbering{First: vlan.ID(c.FirstVLAN), Slots: p.rack.Pool.Slots()}
	if err := p.numbers.First.Check(); err != nil {
		p.doc.Problem("first_vlan", "%v", err)
	}
	if c.Public != nil {
		p.numbers.Skip = []vlan.ID{vlan.ID(c.Public.VLAN)}
	}
	if _, err := p.numbers.ID(p.numbers.Slots - 1); err != nil {
		p.numbers.Slots = 0 // the pool has more than there are VLANs
	}
}

// dialects are those that a switch's configuration can be written in.
var dialects = map[string]func(vlan.Plan, string) (string, error){
	"ios": switchconf.IOS, "junos": switchconf.Junos, "linux": switchconf.Bridge,
}

func (p *parser) switches() {
	seen := map[string]bool{}
	for i, s := range p.config.Switches {
		at := fmt.Sprintf("switches[%d]", i)
		if s.Name == "" || !isLabel(s.Name) {
			p.doc.Problem(at+".name", "want a name of letters, digits and hyphens, not %q", s.Name)
		}
		if seen[s.Name] {
			p.doc.Problem(at+".name", "a second switch %q", s.Name)
		}
		seen[s.Name] = true
		if dialects[s.Dialect] == nil && s.Dialect != "" {
			p.doc.Problem(at+".dialect", "want one of %s, not %q", strings.Join(slices.Sorted(maps.Keys(dialects)), ", "), s.Dialect)
		}
		if s.Dialect != "" && s.Port == "" {
			p.doc.Problem(at+".port", "missing: how the switch calls its ports, such as GigabitEthernet1/0/{port}")
		}
		if _, err := expand(s.Port, map[string]string{"port": "1"}); err != nil {
			p.doc.Problem(at+".port", "%v", err)
		}
		if s.PoE != "" {
			if _, err := s.port(1); err != nil {
				p.doc.Problem(at+".poe", "%v", err)
			}
		}
		if s.SNMP != nil && s.SNMP.Version != 0 && s.SNMP.Version != 2 && s.SNMP.Version != 3 {
			p.doc.Problem(at+".snmp.version", "want 3, or 2 for v2c, not %d", s.SNMP.Version)
		}
	}
	server := &p.config.Server
	server.Switch = p.switchOf("server.switch", server.Switch)
	if server.SwitchPort < 1 {
		p.doc.Problem("server.switch_port", "want the number of the switch's port that the fileserver is plugged into")
	}
}

// switchOf checks the name of a switch; where there is one switch it needs none.
func (p *parser) switchOf(path, name string) string {
	if name == "" && len(p.config.Switches) == 1 {
		return p.config.Switches[0].Name
	}
	known := slices.ContainsFunc(p.config.Switches, func(s Switch) bool { return s.Name == name })
	switch {
	case name == "" && len(p.config.Switches) > 1:
		p.doc.Problem(path, "missing: say which of the %d switches", len(p.config.Switches))
	case name != "" && !known:
		p.doc.Problem(path, "no switch %q in switches", name)
	}
	return name
}

func (p *parser) public() {
	c := p.config.Public
	if c == nil {
		return
	}
	if err := vlan.ID(c.VLAN).Check(); err != nil {
		p.doc.Problem("public.vlan", "%v", err)
	}
	addr, err := publicAddress(c.Address, 0)
	if err != nil {
		p.doc.Problem("public.address", "%v", err)
		return
	}
	if other, err := publicAddress(c.Address, 1); len(p.config.Pis) > 1 && err == nil && other == addr {
		p.doc.Problem("public.address", "all Pis would have %v: put {n} into it", addr)
	}
	prefix, err := addr.Prefix(c.PrefixLength)
	if err != nil || c.PrefixLength == 0 {
		p.doc.Problem("public.prefix_length", "%d is no prefix length of %v", c.PrefixLength, addr)
		return
	}
	if c.Gateway.IsValid() && !prefix.Contains(c.Gateway) && !c.Gateway.IsLinkLocalUnicast() {
		p.doc.Problem("public.gateway", "%v is not on %v, where %v is", c.Gateway, prefix, addr)
	}
	c.Switch = p.switchOf("public.switch", c.Switch)
}

// publicAddress is the address of the Pi in a slot: {n} is slot+1 in hex.
func publicAddress(template string, slot int) (netip.Addr, error) {
	text, err := expand(template, map[string]string{"n": strconv.FormatInt(int64(slot)+1, 16)})
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(text)
}

// pi works out the Pi at an index of the list.
func (p *parser) pi(i int) {
	c := &p.config.Pis[i]
	at := func(key string) string { return fmt.Sprintf("pis[%d].%s", i, key) }
	pi := Pi{Name: c.Name, Slot: c.Slot, Port: c.SwitchPort}
	if !isLabel(c.Name) {
		p.doc.Problem(at("name"), "want a host name of letters, digits and hyphens, at most 63, not %q", c.Name)
	}
	if c.SwitchPort < 1 {
		p.doc.Problem(at("switch_port"), "want the number of the switch's port that %s is plugged into", c.Name)
	}
	pi.Switch = p.switchOf(at("switch"), c.Switch)
	var err error
	if c.MAC != "" {
		if pi.MAC, err = nfsroot.ParseMAC(c.MAC); err != nil {
			p.doc.Problem(at("mac"), "%v", err)
		}
	}
	if c.Serial != "" {
		if pi.Serial, err = nfsroot.ParseSerial(c.Serial); err != nil {
			p.doc.Problem(at("serial"), "%v", err)
		}
	}
	if p.rack.Pool.Slots() == 0 {
		return // the pool's own error says all
	}
	if !p.doc.Given(at("slot")) {
		p.doc.Problem(at("slot"), "missing: a number that stays this Pi's, from 0")
		return
	}
	if pi.Link, err = p.rack.Pool.Link(c.Slot); err != nil {
		p.doc.Problem(at("slot"), "%v", err)
		return
	}
	if p.numbers.First.Check() != nil {
		return
	}
	if pi.VLAN, err = p.numbers.ID(c.Slot); err != nil {
		p.doc.Problem(at("slot"), "%v", err)
		return
	}
	if _, err := p.serverInterface(pi); err != nil && p.config.Server.Interface != "" {
		p.doc.Problem("server.vlan_name", "%v", err)
	}
	p.boot(&pi)
	p.host(&pi, at)
	p.rack.Pis = append(p.rack.Pis, pi)
}

// boot works out the Pi's export and command line.
func (p *parser) boot(pi *Pi) {
	if p.config.Export == "" {
		return // reported
	}
	path, _ := expand(p.config.Export, map[string]string{
		"client": pi.Link.Client.String(), "name": pi.Name, "slot": strconv.Itoa(pi.Slot),
	})
	pi.Export = nfsroot.Export{Path: path, Client: pi.Link.Client}
	boot := nfsroot.Boot{
		Before: p.before,
		IP: nfsroot.IPConfig{
			Client: pi.Link.Client, Bits: pi.Link.Network.Bits(),
			Device: p.config.Device, Autoconf: nfsroot.AutoconfOff,
		},
		Root:  nfsroot.Root{Server: pi.Link.Server, Path: path, Options: p.config.NFSOptions},
		After: p.after,
	}
	if p.config.Gateway == "server" {
		boot.IP.Gateway = pi.Link.Server
	}
	var err error
	if pi.Cmdline, err = boot.Cmdline(); err == nil {
		_, err = nfsroot.FormatCmdlineTxt(pi.Cmdline)
	}
	// What is wrong with one Pi's line is usually wrong with all of them.
	if err != nil && !p.badLine {
		p.badLine = true
		p.doc.Problem("cmdline", "the command line of %s: %v", pi.Name, err)
	}
}

// host works out the Pi's own interfaces.
func (p *parser) host(pi *Pi, at func(string) string) {
	pi.Host = vlan.Host{Name: pi.Name, RootDevice: p.config.Device}
	c := p.config.Public
	if c == nil {
		return
	}
	addr, err := publicAddress(c.Address, pi.Slot)
	if err != nil {
		p.doc.Problem(at("slot"), "public.address: %v", err)
		return
	}
	pi.Public = netip.PrefixFrom(addr, c.PrefixLength)
	public := vlan.Interface{Parent: p.config.Device, ID: vlan.ID(c.VLAN), Addresses: []netip.Prefix{pi.Public}}
	if c.Gateway.IsValid() {
		public.Gateways = []netip.Addr{c.Gateway}
	}
	if err := public.Check(); err != nil && public.ID.Check() == nil && pi.Public.IsValid() {
		p.doc.Problem(at("slot"), "its public interface: %v", err)
	}
	pi.Host.Interfaces = []vlan.Interface{public}
}

// unique reports what two Pis cannot have in common.
func (p *parser) unique() {
	seen := map[string]string{portName(p.config.Server.Switch, p.config.Server.SwitchPort): "the fileserver"}
	if c := p.config.Public; c != nil && c.SwitchPort != 0 {
		seen[portName(c.Switch, c.SwitchPort)] = "the public gateway"
	}
	for _, s := range p.config.Switches {
		for _, number := range s.Trunks {
			seen[portName(s.Name, number)] = "a trunk"
		}
	}
	once := func(path, what, name string) {
		if !p.doc.Read(path) {
			return
		}
		if other, taken := seen[what]; taken {
			p.doc.Problem(path, "%s is %s's already", what, other)
			return
		}
		seen[what] = name
	}
	for i, c := range p.config.Pis {
		at := func(key string) string { return fmt.Sprintf("pis[%d].%s", i, key) }
		once(at("name"), fmt.Sprintf("name %q", strings.ToLower(c.Name)), c.Name)
		once(at("slot"), fmt.Sprintf("slot %d", c.Slot), c.Name)
		of := c.Switch
		if of == "" {
			of = p.config.Server.Switch
		}
		once(at("switch_port"), portName(of, c.SwitchPort), c.Name)
		if mac, err := nfsroot.ParseMAC(c.MAC); err == nil && c.MAC != "" {
			once(at("mac"), "MAC "+mac.String(), c.Name)
		}
		if serial, err := nfsroot.ParseSerial(c.Serial); err == nil && c.Serial != "" {
			once(at("serial"), "serial "+serial.String(), c.Name)
		}
	}
	slots, shared := map[int]bool{}, map[int]bool{} // a slot twice has been reported
	for _, pi := range p.rack.Pis {
		shared[pi.Slot] = slots[pi.Slot]
		slots[pi.Slot] = true
	}
	exports := map[string]string{}
	for _, pi := range p.rack.Pis {
		if other, taken := exports[pi.Export.Path]; taken && pi.Export.Path != "" && !shared[pi.Slot] {
			p.doc.Problem("export", "%s would be the root of both %s and %s: name {client}, {name} or {slot} in it", pi.Export.Path, other, pi.Name)
		}
		exports[pi.Export.Path] = pi.Name
	}
}

func portName(of string, port int) string {
	if of == "" {
		return fmt.Sprintf("switch port %d", port)
	}
	return fmt.Sprintf("port %d of %s", port, of)
}

func (p *parser) sites() {
	for i, s := range p.config.Sites {
		at := fmt.Sprintf("sites[%d]", i)
		if len(s.Names) == 0 {
			p.doc.Problem(at+".names", "missing: the names that the site is reached by")
		}
		if s.Scheme != "http" && s.Scheme != "https" {
			p.doc.Problem(at+".scheme", "want http or https, not %q", s.Scheme)
		}
	}
}

// plan works out the VLANs of the whole rack.
func (p *parser) plan() {
	c := p.config
	plan := vlan.Plan{Private: p.numbers, Server: vlan.Host{Name: "the fileserver"}}
	if c.Public != nil {
		plan.Public = vlan.ID(c.Public.VLAN)
	}
	ports := map[string][]vlan.Port{}
	var all []vlan.ID // what trunks carry
	if plan.Public != 0 {
		all = append(all, plan.Public)
	}
	for _, pi := range p.rack.Pis {
		plan.Hosts = append(plan.Hosts, pi.Host)
		private, _ := p.serverInterface(pi) // checked
		plan.Server.Interfaces = append(plan.Server.Interfaces, private)
		port := vlan.Port{Number: pi.Port, Description: pi.Name, PVID: pi.VLAN, Untagged: []vlan.ID{pi.VLAN}}
		if plan.Public != 0 {
			port.Tagged = []vlan.ID{plan.Public}
		}
		ports[pi.Switch] = append(ports[pi.Switch], port)
		all = append(all, pi.VLAN)
	}
	ports[c.Server.Switch] = append(ports[c.Server.Switch], vlan.Port{
		Number: c.Server.SwitchPort, Description: "fileserver", Trunk: true, Tagged: without(all, plan.Public),
	})
	for _, s := range c.Switches {
		for _, number := range s.Trunks {
			ports[s.Name] = append(ports[s.Name], vlan.Port{Number: number, Description: "trunk", Trunk: true, Tagged: all})
		}
	}
	if c.Public != nil && c.Public.SwitchPort != 0 {
		ports[c.Public.Switch] = append(ports[c.Public.Switch],
			vlan.Port{Number: c.Public.SwitchPort, Description: "public gateway", Trunk: true, Tagged: []vlan.ID{plan.Public}})
	}
	names := c.Switches
	if len(names) == 0 {
		// One switch that nobody has named.
		names = []Switch{{Name: "switch", Port: "{port}"}}
		ports["switch"] = ports[""]
	}
	for _, s := range names {
		list := ports[s.Name]
		slices.SortFunc(list, func(a, b vlan.Port) int { return a.Number - b.Number })
		for i := range list {
			list[i].Name, _ = expand(s.Port, map[string]string{"port": strconv.Itoa(list[i].Number)})
		}
		plan.Switches = append(plan.Switches, vlan.Switch{Name: s.Name, Ports: list})
	}
	p.rack.VLANs = plan
}

// without returns the list without an id.
func without(list []vlan.ID, id vlan.ID) []vlan.ID {
	return slices.DeleteFunc(slices.Clone(list), func(other vlan.ID) bool { return other == id })
}

// expand replaces each {key} of a template by its value.
func expand(template string, values map[string]string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		key, after, closed := strings.Cut(rest, "}")
		value, known := values[key]
		if !closed || !known {
			keys := make([]string, 0, len(values))
			for k := range values {
				keys = append(keys, "{"+k+"}")
			}
			slices.Sort(keys)
			return "", fmt.Errorf("%q: only %s can be named in braces", template, strings.Join(keys, ", "))
		}
		b.WriteString(value)
		template = after
	}
}

// isLabel reports whether s can be a label of a host's name (RFC 1123 section 2.1).
func isLabel(s string) bool {
	if len(s) < 1 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
