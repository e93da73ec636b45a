package munin

import (
	"slices"
	"strconv"
	"strings"
)

// AppendText appends m as munin.conf has it: sorted, so that equal masters give
// equal bytes and a change of one host changes its own lines. It appends
// nothing, and returns what [Master.Validate] says, when m is not valid.
func (m *Master) AppendText(b []byte) ([]byte, error) {
	t, err := m.valid()
	if err != nil {
		return b, err
	}
	return appendSections(b, t.sorted()), nil
}

// Validate returns every problem of m, each with its host and its rule, joined:
// what munin would refuse, read otherwise than meant, or collect and not show.
func (m *Master) Validate() error {
	_, err := m.valid()
	return err
}

// valid returns m as munin would hold it.
func (m *Master) valid() (tree, error) {
	var ps problems
	t := m.tree(&ps)
	m.check(t, &ps)
	return t, ps.join()
}

func appendSections(b []byte, sections []*section) []byte {
	for i, s := range sections {
		indent := ""
		if len(s.groups) > 0 {
			if i > 0 {
				b = append(b, '\n')
			}
			b = append(append(append(b, '['), s.name()...), "]\n"...)
			indent = "    "
		}
		for _, key := range s.keys() {
			b = appendSetting(append(b, indent...), key, s.settings[key].value)
		}
	}
	return b
}

func appendSetting(b []byte, key, value string) []byte {
	b = append(append(b, key...), ' ')
	return append(append(b, strings.ReplaceAll(value, "#", `\#`)...), '\n')
}

// encoder puts settings into one section.
type encoder struct {
	*section
	ps *problems
}

// set adds a setting; an empty value is none.
func (e encoder) set(key, value string) {
	if value != "" {
		e.settings[key] = setting{value: value}
	}
}

func (e encoder) list(key string, values []string) { e.set(key, strings.Join(values, " ")) }

// rest adds the settings that have no field, each with the prefix.
func (e encoder) rest(prefix string, settings map[string]string) {
	for key, value := range settings {
		key = prefix + key
		if _, ok := e.settings[key]; ok {
			e.ps.add(position{}, e.name(), key, "it is set by its field and again in Settings: keep one")
		}
		e.settings[key] = setting{value: value}
	}
}

func (e encoder) tls(t *TLS) {
	if t == nil {
		return
	}
	e.set("tls", string(t.Mode))
	e.set("tls_certificate", t.Certificate)
	e.set("tls_private_key", t.PrivateKey)
	e.set("tls_ca_certificate", t.CACertificate)
	e.set("tls_match", t.Match)
	if t.VerifyCertificate {
		e.set("tls_verify_certificate", "yes")
	}
	if t.VerifyDepth != 0 {
		e.set("tls_verify_depth", strconv.Itoa(t.VerifyDepth))
	}
}

// tree returns m as munin would hold it, and reports what cannot be said in
// settings at all.
func (m *Master) tree(ps *problems) tree {
	t := make(tree, len(m.Hosts)+len(m.Groups)+1)
	if len(m.Settings) > 0 || len(m.Contacts) > 0 || m.TLS != nil {
		e := encoder{t.at(nil, "", position{}), ps}
		e.tls(m.TLS)
		for i := range m.Contacts {
			e.contact(&m.Contacts[i])
		}
		e.rest("", m.Settings)
	}
	for i := range m.Groups {
		if g := &m.Groups[i]; newPlace(t, g.Name, "", ps) {
			encoder{t.at(strings.Split(g.Name, ";"), "", position{}), ps}.group(g)
		}
	}
	for i := range m.Hosts {
		if h := &m.Hosts[i]; newPlace(t, h.Group, h.Name, ps) {
			encoder{t.at(strings.Split(h.Group, ";"), h.Name, position{}), ps}.host(h)
		}
	}
	return t
}

// newPlace reports whether a group or host can be written, once.
func newPlace(t tree, group, host string, ps *problems) bool {
	name := group + ";" + host
	switch {
	case group == "":
		ps.add(position{}, name, "", "no group: every host is in one")
		return false
	case t[name] != nil:
		ps.add(position{}, name, "", "it is listed twice: munin would mix the two")
		return false
	}
	return true
}

func (e encoder) contact(c *Contact) {
	prefix := "contact." + c.Name + "."
	if e.settings[prefix+"command"].value != "" {
		e.ps.add(position{}, "", prefix+"command", "the contact is listed twice")
	}
	e.set(prefix+"command", c.Command)
	e.list(prefix+"always_send", c.AlwaysSend)
	if c.MaxMessages != 0 {
		e.set(prefix+"max_messages", strconv.Itoa(c.MaxMessages))
	}
	e.rest(prefix, c.Settings)
}

func (e encoder) group(g *Group) {
	e.list("node_order", g.NodeOrder)
	e.list("contacts", g.Contacts)
	e.rest("", g.Settings)
}

func (e encoder) host(h *Host) {
	e.set("address", h.Address.String())
	if h.Port != 0 {
		e.set("port", strconv.Itoa(int(h.Port)))
	}
	if h.UseNodeName {
		e.set("use_node_name", "yes")
	}
	if h.NoUpdate {
		e.set("update", "no")
	}
	if h.LocalAddress.IsValid() {
		e.set("local_address", IPAddress(h.LocalAddress).String())
	}
	e.tls(h.TLS)
	e.list("contacts", h.Contacts)
	for name, s := range h.Services {
		e.service(name+".", s)
	}
	e.rest("", h.Settings)
	if h.Name == "" {
		e.ps.add(position{}, e.name(), "", "the host has no name")
	}
}

func (e encoder) service(prefix string, s Service) {
	e.set(prefix+"graph_title", s.Title)
	e.list(prefix+"graph_order", s.Order)
	for name, f := range s.Fields {
		field := prefix + name + "."
		e.set(field+"label", f.Label)
		e.limit(field+"warning", f.Warning)
		e.limit(field+"critical", f.Critical)
		e.list(field+"sum", f.Sum)
		e.list(field+"stack", f.Stack)
		e.rest(field, f.Settings)
	}
	e.rest(prefix, s.Settings)
}

func (e encoder) limit(key string, l Limit) {
	if !l.IsZero() {
		e.set(key, l.String())
	}
}

// sortHosts orders hosts and groups as they are written.
func (m *Master) sortHosts() {
	slices.SortFunc(m.Hosts, func(a, b Host) int { return strings.Compare(a.FullName(), b.FullName()) })
	slices.SortFunc(m.Groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(m.Contacts, func(a, b Contact) int { return strings.Compare(a.Name, b.Name) })
}
