package munin

import (
	"net/netip"
	"strconv"
)

// Master is what munin.conf and its includedir say: the master's own settings
// and the hosts that it collects from. The zero Master says nothing, which is
// valid: munin's defaults and no host.
//
// A Master is a plain value; its methods do not change it.
type Master struct {
	// Settings are global settings without a field here, such as dbdir, htmldir
	// or max_processes, by munin's keys.
	Settings map[string]string
	// TLS is the default of all hosts; nil leaves munin's, which is disabled.
	TLS      *TLS
	Contacts []Contact // whom hosts and groups may name
	// Groups are settings of whole groups. A group that has none need not be
	// listed: its hosts name it.
	Groups []Group
	Hosts  []Host // in any order: files are sorted
}

// Contact is who munin-limits tells of a crossed threshold.
type Contact struct {
	// Name has letters, digits, underscores and hyphens.
	Name string
	// Command is what the master's shell runs, with munin's ${var:...} in it.
	Command string
	// AlwaysSend lists states that are told at each run and not only when they
	// change: "ok", "warning", "critical", "unknown".
	AlwaysSend []string
	// MaxMessages is how many messages one run of Command gets; 0 is no limit.
	MaxMessages int
	// Settings are other settings of the contact, such as text.
	Settings map[string]string
}

// Group is what holds for a group as a whole.
type Group struct {
	// Name is the path, its parts set off by semicolons: "customers;web".
	Name string
	// NodeOrder lists hosts in the order of the pages; nil is alphabetical.
	NodeOrder []string
	// Contacts are names of contacts, or "none"; nil is all of them.
	Contacts []string
	// Settings are other settings of the group, by munin's keys.
	Settings map[string]string
}

// Host is one [group;host] section.
type Host struct {
	// Group is the path, its parts set off by semicolons. It is required.
	Group string
	// Name has letters, digits, hyphens and dots, as a host's name has: one
	// other character stops the collection of all hosts. Unless UseNodeName is
	// set the node must know itself by it.
	Name    string
	Address Address
	// Port is the node's; 0 is 4949.
	Port uint16
	// UseNodeName asks the node for the plugins of the name in its banner.
	UseNodeName bool
	// NoUpdate is "update no": munin does not connect, and Address is optional.
	// A virtual host, whose Services add up other hosts' data, is such a one.
	NoUpdate bool
	// LocalAddress is where the master connects from; the zero Addr leaves it
	// to the kernel. It must be of the family of Address.
	LocalAddress netip.Addr
	// TLS is nil for what Master says.
	TLS *TLS
	// Contacts are names of contacts, or "none"; nil is what the group says.
	Contacts []string
	// Services are what the master says of a plugin's graph, by its name.
	Services map[string]Service
	// Settings are other settings of the host, by munin's keys.
	Settings map[string]string
}

// FullName returns the group and the name, as munin's own tools print them.
func (h *Host) FullName() string { return h.Group + ";" + h.Name }

// Endpoint returns the host and the port that munin connects to, for net.Dial;
// ok is false for a host without an address and for one that is reached by a
// command.
func (h *Host) Endpoint() (host, port string, ok bool) {
	if port = strconv.Itoa(int(h.Port)); h.Port == 0 {
		port = "4949"
	}
	switch h.Address.kind {
	case ipAddress:
		return h.Address.ip.String(), port, true
	case nameAddress:
		return h.Address.text, port, true
	}
	return "", "", false
}

// Service is what the master says of one graph: a correction of what the plugin
// says, or, for a virtual host, the whole graph.
type Service struct {
	// Title is graph_title; "" leaves the plugin's.
	Title string
	// Order is graph_order: fields, or aliases of others' data as in
	// "fii=example.org;fii.example.org:load.load".
	Order []string
	// Fields are by the name of the data source.
	Fields map[string]Field
	// Settings are other settings of the graph, such as graph_args.
	Settings map[string]string
}

// Field is what the master says of one data source of a graph.
type Field struct {
	Label             string // in the graph's legend
	Warning, Critical Limit  // outside of which munin-limits tells the contacts
	// Sum and Stack name other hosts' data, each as
	// "group;host:service.field" or, for Stack, "name=group;host:service.field".
	Sum, Stack []string
	// Settings are other settings of the field, such as draw or cdef.
	Settings map[string]string
}

// Limit is the range of values that need no message, from Min to Max. A nil end
// is open; the zero Limit is none.
type Limit struct{ Min, Max *float64 }

// IsZero reports whether there is no limit.
func (l Limit) IsZero() bool { return l.Min == nil && l.Max == nil }

// String returns the limit as munin.conf has it: "min:max".
func (l Limit) String() string {
	text := []byte{}
	if l.Min != nil {
		text = strconv.AppendFloat(text, *l.Min, 'f', -1, 64)
	}
	text = append(text, ':')
	if l.Max != nil {
		text = strconv.AppendFloat(text, *l.Max, 'f', -1, 64)
	}
	return string(text)
}

// TLSMode is how much the master insists on TLS.
type TLSMode string

const (
	TLSDisabled TLSMode = "disabled" // no TLS: munin's default
	TLSAuto     TLSMode = "auto"     // TLS where the node can, else plain text
	TLSEnabled  TLSMode = "enabled"  // TLS, whoever the node is
	TLSParanoid TLSMode = "paranoid" // TLS, with a verified certificate
)

// TLS is how the master encrypts its connections. Paths are the master's.
type TLS struct {
	// Mode is "" for what is said elsewhere.
	Mode TLSMode
	// Certificate, PrivateKey and CACertificate are PEM files; "" leaves
	// munin's defaults in /etc/munin.
	Certificate, PrivateKey, CACertificate string
	// VerifyCertificate refuses a node whose certificate the CA did not sign.
	VerifyCertificate bool
	// VerifyDepth is how long the chain may be; 0 is munin's 5.
	VerifyDepth int
	// Match is a Perl expression that a dump of the node's certificate matches.
	Match string
}
