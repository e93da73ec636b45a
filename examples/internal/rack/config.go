package rack

import (
	_ "embed"
	"net/netip"
)

// Story is the rack.yaml of the rack that pirack knows without a file.
//
//go:embed story.yaml
var Story []byte

// Config is rack.yaml.
type Config struct {
	Pool       netip.Prefix `yaml:"pool"`
	FirstVLAN  uint16       `yaml:"first_vlan"`
	Export     string       `yaml:"export"`
	Keep       []string     `yaml:"keep"` // what is each Pi's own, relative to its root, besides rootfs.DefaultKeep
	Server     Server       `yaml:"server"`
	Device     string       `yaml:"device"`
	Cmdline    Cmdline      `yaml:"cmdline"`
	Gateway    string       `yaml:"gateway"`
	NFSOptions []string     `yaml:"nfs_options"`
	Public     *Public      `yaml:"public"`
	Resolvers  []netip.Addr `yaml:"resolvers"`
	Switches   []Switch     `yaml:"switches"`
	Munin      Munin        `yaml:"munin"`
	Sites      []Site       `yaml:"sites"`
	Pis        []PiConfig   `yaml:"pis"`
}

// Server is the fileserver.
type Server struct {
	Interface  string `yaml:"interface"`
	VLANName   string `yaml:"vlan_name"` // of an interface, with {vlan}, {name} or {slot}; "" is INTERFACE.VLAN
	Switch     string `yaml:"switch"`
	SwitchPort int    `yaml:"switch_port"`
}

// Cmdline is what stands around the generated part of a command line.
type Cmdline struct {
	Before string `yaml:"before"`
	After  string `yaml:"after"`
}

// Public is the VLAN that all Pis share.
type Public struct {
	VLAN         uint16     `yaml:"vlan"`
	Address      string     `yaml:"address"`
	PrefixLength int        `yaml:"prefix_length"`
	Gateway      netip.Addr `yaml:"gateway"`
	Switch       string     `yaml:"switch"`
	SwitchPort   int        `yaml:"switch_port"` // towards the gateway
}

// Switch is one that Pis are plugged into.
type Switch struct {
	Name    string `yaml:"name"`
	Dialect string `yaml:"dialect"`
	Address string `yaml:"address"`
	Port    string `yaml:"port"`
	PoE     string `yaml:"poe"`
	Trunks  []int  `yaml:"trunks"` // ports to other switches; they carry every VLAN
	SNMP    *SNMP  `yaml:"snmp"`
}

// SNMP is how a switch is asked and told.
type SNMP struct {
	Version       int    `yaml:"version"`
	User          string `yaml:"user"`
	AuthFile      string `yaml:"auth_file"`
	PrivFile      string `yaml:"priv_file"`
	CommunityFile string `yaml:"community_file"`

	config string // the file that this is in
}

// Munin is who may collect the Pis' graphs.
type Munin struct {
	Masters []netip.Addr `yaml:"masters"`
}

// Site is a web site that the Pis serve.
type Site struct {
	Names  []string `yaml:"names"`
	Scheme string   `yaml:"scheme"`
}

// PiConfig is a Pi and where it is plugged in.
type PiConfig struct {
	Name       string `yaml:"name"`
	Slot       int    `yaml:"slot"`
	SwitchPort int    `yaml:"switch_port"`
	Switch     string `yaml:"switch"`
	MAC        string `yaml:"mac"`
	Serial     string `yaml:"serial"`
}
