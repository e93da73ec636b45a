package munin

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Decode returns what munin makes of files that it reads in this order: of a
// setting that stands twice the last one holds. The error joins, with files and
// lines, what would stop munin and what [Master.Validate] refuses; the Master
// is then what remains.
func Decode(files ...*File) (*Master, error) {
	var ps problems
	t := tree{}
	for _, f := range files {
		f.load(t, &ps)
	}
	m := t.master()
	m.check(t, &ps)
	return m, ps.join()
}

// decoder takes settings out of one section.
type decoder struct {
	*section
	left map[string]string // settings that no field took yet
}

func (d *decoder) take(key string) string {
	value := d.left[key]
	delete(d.left, key)
	return value
}

func (d *decoder) list(key string) []string {
	if value := d.take(key); value != "" {
		return strings.Fields(value)
	}
	return nil
}

// parsed takes a setting whose text has a meaning; check reports one that has
// none.
func parsed[T any](d *decoder, key string, parse func(string) (T, error)) T {
	var none T
	value, ok := d.left[key]
	if !ok {
		return none
	}
	delete(d.left, key)
	result, err := parse(value)
	if err != nil {
		return none
	}
	return result
}

// isSaid takes a boolean that has the value, and leaves one that has the other,
// which munin would have without it.
func (d *decoder) isSaid(key string, value bool) bool {
	on, ok := parseBool(d.left[key])
	if !ok || on != value {
		return false
	}
	delete(d.left, key)
	return true
}

func (d *decoder) number(key string) int { return parsed(d, key, parseNumber) }

// parseNumber reads a whole number from 1 to 65535.
func parseNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("not a number from 1 to 65535")
	}
	return int(n), nil
}

func (d *decoder) tls() *TLS {
	t := TLS{
		Mode:          TLSMode(d.take("tls")),
		Certificate:   d.take("tls_certificate"),
		PrivateKey:    d.take("tls_private_key"),
		CACertificate: d.take("tls_ca_certificate"),
		Match:         d.take("tls_match"),
		VerifyDepth:   d.number("tls_verify_depth"),

		VerifyCertificate: d.isSaid("tls_verify_certificate", true),
	}
	if t == (TLS{}) {
		return nil
	}
	return &t
}

func (d *decoder) rest() map[string]string {
	if len(d.left) == 0 {
		return nil
	}
	return d.left
}

// master makes fields of the settings.
func (t tree) master() *Master {
	m := &Master{}
	for _, s := range t {
		d := &decoder{section: s, left: make(map[string]string, len(s.settings))}
		for key, v := range s.settings {
			d.left[key] = v.value
		}
		switch {
		case len(s.groups) == 0:
			m.TLS, m.Contacts = d.tls(), d.contacts()
			m.Settings = d.rest()
		case s.host == "":
			m.Groups = append(m.Groups, Group{
				Name:      strings.Join(s.groups, ";"),
				NodeOrder: d.list("node_order"),
				Contacts:  d.list("contacts"),
				Settings:  d.rest(),
			})
		default:
			m.Hosts = append(m.Hosts, d.decodeHost())
		}
	}
	m.sortHosts()
	return m
}

func (d *decoder) contacts() []Contact {
	byName := map[string]*Contact{}
	for key := range d.settings {
		rest, ok := strings.CutPrefix(key, "contact.")
		name, word, dotted := strings.Cut(rest, ".")
		if !ok || !dotted || strings.Contains(word, ".") {
			continue
		}
		c := byName[name]
		if c == nil {
			c = &Contact{Name: name}
			byName[name] = c
		}
		switch word {
		case "command":
			c.Command = d.take(key)
		case "always_send":
			c.AlwaysSend = d.list(key)
		case "max_messages":
			c.MaxMessages = d.number(key)
		default:
			put(&c.Settings, word, d.take(key))
		}
	}
	var contacts []Contact
	for _, c := range byName {
		contacts = append(contacts, *c)
	}
	return contacts
}

func (d *decoder) decodeHost() Host {
	h := Host{
		Group:        strings.Join(d.groups, ";"),
		Name:         d.host,
		Address:      parsed(d, "address", confAddress),
		Port:         uint16(d.number("port")),
		UseNodeName:  d.isSaid("use_node_name", true),
		NoUpdate:     d.isSaid("update", false),
		LocalAddress: parsed(d, "local_address", parseLocal),
		TLS:          d.tls(),
		Contacts:     d.list("contacts"),
	}
	for key := range d.left {
		d.service(key, &h.Services)
	}
	h.Settings = d.rest()
	return h
}

func parseLocal(s string) (netip.Addr, error) { return netip.ParseAddr(strings.Trim(s, "[]")) }

// service takes a key that is of a service or of its field.
func (d *decoder) service(key string, services *map[string]Service) {
	service, word, ok := cutLast(key, ".")
	if !ok || word == "" || strings.Contains(key, ":") {
		return
	}
	if *services == nil {
		*services = map[string]Service{}
	}
	prefix, field, ok := cutLast(service, ".")
	if isGraphWord(word) || !ok {
		s := (*services)[service]
		d.graph(&s, key, word)
		(*services)[service] = s
		return
	}
	s := (*services)[prefix]
	f := s.Fields[field]
	d.field(&f, key, word)
	if s.Fields == nil {
		s.Fields = map[string]Field{}
	}
	s.Fields[field] = f
	(*services)[prefix] = s
}

func (d *decoder) graph(s *Service, key, word string) {
	switch word {
	case "graph_title":
		s.Title = d.take(key)
	case "graph_order":
		s.Order = d.list(key)
	default:
		put(&s.Settings, word, d.take(key))
	}
}

func (d *decoder) field(f *Field, key, word string) {
	switch word {
	case "label":
		f.Label = d.take(key)
	case "warning":
		f.Warning = parsed(d, key, parseLimit)
	case "critical":
		f.Critical = parsed(d, key, parseLimit)
	case "sum":
		f.Sum = d.list(key)
	case "stack":
		f.Stack = d.list(key)
	default:
		put(&f.Settings, word, d.take(key))
	}
}

func put(settings *map[string]string, key, value string) {
	if *settings == nil {
		*settings = map[string]string{}
	}
	(*settings)[key] = value
}

var errLimit = errors.New("no limit: munin takes it for 0:0 and always warns; write min:max, with one of them left out where the end is open")

// parseLimit reads "min:max", or "max".
func parseLimit(s string) (Limit, error) {
	low, high, ok := strings.Cut(s, ":")
	if !ok {
		low, high = "", s
	}
	var l Limit
	for _, end := range []struct {
		text string
		into **float64
	}{{low, &l.Min}, {high, &l.Max}} {
		if end.text == "" {
			continue
		}
		n, err := strconv.ParseFloat(end.text, 64)
		if err != nil || strings.Trim(end.text, digits+"+-.") != "" {
			return Limit{}, errLimit
		}
		*end.into = &n
	}
	if l.IsZero() {
		return Limit{}, errLimit
	}
	return l, nil
}
