package munin

import (
	"errors"
	"math"
	"slices"
	"strings"
)

// check reports what is wrong with m, which is t in settings; t knows the lines.
func (m *Master) check(t tree, ps *problems) {
	c := checker{t: t, ps: ps, groups: map[string]string{}, files: make(map[string]string, len(t))}
	sections := t.sorted()
	for _, s := range sections {
		c.place(s)
		for key, v := range s.settings {
			c.setting(s, key, v)
		}
	}
	for _, s := range sections {
		c.collision(s)
	}
	c.contacts(m)
	for i := range m.Hosts {
		c.host(&m.Hosts[i])
	}
	c.tls("", m.TLS)
}

type checker struct {
	t      tree
	ps     *problems
	groups map[string]string // paths of groups, by their lower case
	files  map[string]string // hosts, by what munin names their lock and state files
}

// add reports a problem of a key, at its line when it has one.
func (c *checker) add(name, key, format string, args ...any) {
	var at position
	if s := c.t[name]; s != nil {
		if at = s.at; s.settings[key].at.line != 0 {
			at = s.settings[key].at
		}
	}
	c.ps.add(at, name, key, format, args...)
}

func (c *checker) place(s *section) {
	for i, group := range s.groups {
		if rule := groupRule(group); rule != "" {
			c.add(s.name(), "", "group %s: %s", printable(group), rule)
		}
		path := strings.Join(s.groups[:i+1], ";")
		c.group(s, path)
		c.shadow(s, s.groups[:i], group)
	}
	if rule := hostRule(s.host); s.host != "" && rule != "" {
		c.add(s.name(), "", "host %s: %s", printable(s.host), rule)
	}
	if s.host != "" {
		c.shadow(s, s.groups, s.host)
	}
}

// shadow reports a group or a host that has the name of a setting beside it:
// munin-html and munin-limits hold both in one hash.
func (c *checker) shadow(s *section, parent []string, name string) {
	set := len(parent) == 0 && isRootKey(name)
	if p := c.t[placeName(parent, "")]; p != nil && !set {
		for key := range p.settings {
			first, _, _ := strings.Cut(key, ".")
			set = set || first == name
		}
	}
	if set {
		c.add(s.name(), "", "%s is also a setting there, and munin's programs would take the one for the other: rename it", printable(name))
	}
}

// group reports a second group whose path differs in case alone.
func (c *checker) group(s *section, path string) {
	lower := strings.ToLower(path)
	if other, ok := c.groups[lower]; ok && other != path {
		c.add(s.name(), "", "group %s is also written %s: choose one", printable(path), printable(other))
	}
	if _, ok := c.groups[lower]; !ok {
		c.groups[lower] = path
	}
}

// groupRule returns why a group's name is not one for both parsers, for
// munin-cgi-graph and for a directory.
func groupRule(name string) string {
	switch {
	case name == "":
		return "an empty name"
	case strings.Trim(name, letters+digits+"_.,=&-") != "":
		return "use letters, digits and _ . , = & - alone: munin would collect the data and not show it, or leave its directory"
	case strings.HasPrefix(name, "."), strings.Contains(name, ".."):
		return "a leading dot or two dots together lead out of munin's directory, or hide in it"
	case len(name) > 100:
		return "longer than 100 characters: it becomes part of a file's name"
	}
	return ""
}

// hostRule returns why a host's name is none (RFC 1123, section 2.1).
func hostRule(name string) string {
	if len(name) > 150 {
		return "longer than 150 characters: it becomes part of a file's name"
	}
	if strings.Trim(name, letters+digits+"-.") != "" {
		return "munin stops at any character other than letters, digits, hyphens and dots, and collects from no host at all: rename it, here and on the node"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "each part between dots has 1 to 63 characters and neither begins nor ends with a hyphen"
		}
	}
	return ""
}

// collision reports hosts that munin would mix: they differ in case alone, or
// share the lock and state files, whose names have hyphens for semicolons.
func (c *checker) collision(s *section) {
	if s.host == "" {
		return
	}
	name := s.name()
	if group, ok := c.groups[strings.ToLower(name)]; ok {
		c.add(name, "", "there is also a group %s: munin-html would mix the two", printable(group))
	}
	file := strings.ToLower(strings.ReplaceAll(name, ";", "-"))
	other, ok := c.files[file]
	switch {
	case !ok:
		c.files[file] = name
	case strings.EqualFold(other, name):
		c.add(name, "", "it differs from %s in case alone: rename one", printable(other))
	default:
		c.add(name, "", "munin would use one lock and one state file (munin-%s) for it and %s, and skip one of them: rename one", printable(file), printable(other))
	}
}

func (c *checker) setting(s *section, key string, v setting) {
	name := s.name()
	if rule := valueRule(v.value); rule != "" {
		c.add(name, key, "%s", rule)
	}
	if v.earlier.line != 0 {
		c.add(name, key, "set before, at %s:%d: munin takes the last one", v.earlier.file, v.earlier.line)
	}
	if rule := keyRule(s, key); rule != "" {
		c.add(name, key, "%s", rule)
	}
	if err := checkMeaning(s, key, v.value); err != nil && v.value != "" {
		c.add(name, key, "%s: %v", printable(v.value), err)
	}
}

// checkMeaning returns why a value is none for its key. The address is looked
// at with its host.
func checkMeaning(s *section, key, value string) (err error) {
	dots := strings.Count(key, ".")
	word := lastWord(key)
	switch {
	case isBoolean(word):
		if _, ok := parseBool(value); !ok {
			err = errors.New("not yes or no: munin reads no file at all because of it")
		}
	case key == "port", key == "tls_verify_depth", dots == 2 && word == "max_messages":
		_, err = parseNumber(value)
	case s.host != "" && key == "local_address":
		_, err = parseLocal(value)
	case s.host != "" && dots > 1 && (word == "warning" || word == "critical"):
		_, err = parseLimit(value)
	}
	return err
}

func keyRule(s *section, key string) string {
	words := strings.Split(key, ".")
	last := words[len(words)-1]
	switch {
	case !isKeyword(last):
		return "no setting of munin's, which reads no file at all because of it"
	case strings.Trim(key, letters+digits+"_.:-") != "", slices.Contains(words, ""):
		return "a key is words of letters, digits, hyphens and underscores, set off by single dots"
	case s.host == "" && strings.Contains(key, ":"):
		return "a colon, which only a host's services have"
	case s.host != "" && key == "host_name":
		return "munin-update would store the host's data under that name and munin-html look for it under the other: rename the host"
	case s.host != "" && len(words) == 2 && isFieldWord(last) && !strings.Contains(key, ":"):
		return "no field: write service.field." + last + ", or munin ignores it"
	}
	return ""
}

// isFieldWord reports whether the word has a meaning for a field alone.
func isFieldWord(word string) bool {
	switch word {
	case "warning", "critical", "label", "draw", "cdef", "type", "negative", "sum", "stack", "unknown_limit":
		return true
	}
	return false
}

// valueRule returns why a value would not be read as it is.
func valueRule(value string) string {
	switch {
	case value == "":
		return "no value"
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "a control character or line end in the value"
	case strings.HasSuffix(value, `\`):
		return "a backslash at the end joins the next line to this one"
	case trim(value) != value:
		return "munin cuts blanks from a value's ends"
	}
	return ""
}

func (c *checker) contacts(m *Master) {
	known := map[string]bool{"none": true}
	for _, contact := range m.Contacts {
		known[contact.Name] = true
		if contact.Name == "" || strings.Trim(contact.Name, letters+digits+"_-") != "" {
			c.add("", "contact."+contact.Name+".command", "a contact's name has letters, digits, underscores and hyphens")
		}
		if contact.Command == "" {
			c.add("", "contact."+contact.Name+".command", "the contact has no command: munin-limits would skip it")
		}
		if contact.MaxMessages < 0 {
			c.add("", "contact."+contact.Name+".max_messages", "a negative number of messages")
		}
	}
	if len(m.Contacts) == 0 {
		return // they are in a file that was not given
	}
	for _, g := range m.Groups {
		c.known(known, g.Name+";", g.Contacts)
	}
	for i := range m.Hosts {
		c.known(known, m.Hosts[i].FullName(), m.Hosts[i].Contacts)
	}
}

func (c *checker) known(known map[string]bool, name string, contacts []string) {
	for _, contact := range contacts {
		if !known[contact] {
			c.add(name, "contacts", "there is no contact %s", printable(contact))
		}
	}
}

func (c *checker) host(h *Host) {
	name := h.FullName()
	s := c.t[name]
	if s == nil {
		return // reported where it was left out
	}
	c.address(h, name, s)
	c.tls(name, h.TLS)
	for service, what := range h.Services {
		for field, f := range what.Fields {
			c.limit(name, service+"."+field+".warning", f.Warning)
			c.limit(name, service+"."+field+".critical", f.Critical)
		}
	}
}

func (c *checker) address(h *Host, name string, s *section) {
	if h.Address.IsZero() {
		c.noAddress(h, name, s)
		return
	}
	if err := h.Address.check(); err != nil {
		c.add(name, "address", "%s: %v", printable(h.Address.String()), err)
	}
	ip, ok := h.Address.IP()
	if ok && h.LocalAddress.IsValid() && ip.Is4() != h.LocalAddress.Is4() {
		c.add(name, "local_address", "%v and the address %v are of different families: munin could not connect", h.LocalAddress, ip)
	}
}

// noAddress says why a host has none: none was said, or one that is not valid.
func (c *checker) noAddress(h *Host, name string, s *section) {
	said, ok := s.settings["address"]
	_, err := confAddress(said.value)
	switch {
	case !ok && h.NoUpdate:
	case !ok:
		c.add(name, "address", "%v", errNoAddress)
	case err != nil && said.value != "":
		c.add(name, "address", "%s: %v", printable(said.value), err)
	case err == nil:
		c.add(name, "address", "it is set in Settings: use Address")
	}
}

func (c *checker) tls(name string, t *TLS) {
	if t == nil {
		return
	}
	switch t.Mode {
	case "", TLSDisabled, TLSAuto, TLSEnabled, TLSParanoid:
	default:
		c.add(name, "tls", "%s is none of disabled, auto, enabled and paranoid", printable(string(t.Mode)))
	}
	if t.VerifyDepth < 0 {
		c.add(name, "tls_verify_depth", "a negative depth")
	}
}

func (c *checker) limit(name, key string, l Limit) {
	for _, end := range []*float64{l.Min, l.Max} {
		if end != nil && (math.IsNaN(*end) || math.IsInf(*end, 0)) {
			c.add(name, key, "a limit is a finite number: leave the end out where it is open")
		}
	}
	if l.Min != nil && l.Max != nil && *l.Min > *l.Max {
		c.add(name, key, "the least value is greater than the greatest")
	}
}
