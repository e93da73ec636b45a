// Package dnssecd is the program of that name: it composes dnssec/manager,
// dnssec/server and a configuration.
package dnssecd

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/parent"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/secondary"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/update"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/miekg/dns"
)

//go:embed dnssecd.yaml
var defaultConfig []byte

// Config is dnssecd.yaml.
type Config struct {
	Listen         []string          `yaml:"listen"`
	TSIG           []TSIG            `yaml:"tsig"`
	Policies       map[string]Policy `yaml:"policies"`
	Parent         Parent            `yaml:"parent"`
	PassphraseFile string            `yaml:"passphrase_file"` // seals private keys
	Poll           duration          `yaml:"poll"`
	Zones          []Zone            `yaml:"zones"`
}

// TSIG is a key and the file that its secret is in.
type TSIG struct {
	Name       string `yaml:"name"`
	Algorithm  string `yaml:"algorithm"`
	SecretFile string `yaml:"secret_file"`
}

// Parent is how the parents of zones are asked.
type Parent struct {
	Servers   []string `yaml:"servers"`
	Resolvers []string `yaml:"resolvers"`
}

// Policy is how zones are signed.
type Policy struct {
	Alg               uint8    `yaml:"alg"`
	CSK               bool     `yaml:"csk"`
	Parent            string   `yaml:"parent"`
	KSKLifetime       duration `yaml:"ksk_lifetime"`
	ZSKLifetime       duration `yaml:"zsk_lifetime"`
	KeyTTL            duration `yaml:"key_ttl"`
	ZoneTTL           duration `yaml:"zone_ttl"`
	DSTTL             duration `yaml:"ds_ttl"`
	ZonePropagation   duration `yaml:"zone_propagation"`
	ParentPropagation duration `yaml:"parent_propagation"`
	PublishSafety     duration `yaml:"publish_safety"`
	RetireSafety      duration `yaml:"retire_safety"`
	Purge             duration `yaml:"purge"`
	Validity          duration `yaml:"validity"`
	Refresh           duration `yaml:"refresh"`
	Jitter            duration `yaml:"jitter"`
	Denial            string   `yaml:"denial"`
	ZONEMD            bool     `yaml:"zonemd"`
	Serial            string   `yaml:"serial"`
}

// Zone is a zone to keep signed.
type Zone struct {
	Name          string     `yaml:"name"`
	File          string     `yaml:"file"`
	Primary       *Primary   `yaml:"primary"`
	Policy        string     `yaml:"policy"`
	AllowTransfer []string   `yaml:"allow_transfer"`
	AllowUpdate   []string   `yaml:"allow_update"`
	Notify        []string   `yaml:"notify"`
	Registrar     *Registrar `yaml:"registrar"`
}

// Primary is a hidden primary.
type Primary struct {
	Server string `yaml:"server"`
	TSIG   string `yaml:"tsig"`
}

// Registrar is a program that lodges DS records.
type Registrar struct {
	Command []string `yaml:"command"`
	Timeout duration `yaml:"timeout"`
}

// duration is a duration with the units s, m, h, d, w and y besides, or unlimited.
// One of zero that is given is -1, as zero is the default of what is not.
type duration time.Duration

var units = map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour, 'y': 365 * 24 * time.Hour}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *duration) UnmarshalText(text []byte) error {
	value, err := parseDuration(string(text))
	if err != nil {
		return fmt.Errorf("want a duration such as 90d, 12h or 30s, or unlimited, not %q", text)
	}
	*d = duration(value)
	return nil
}

func parseDuration(text string) (time.Duration, error) {
	if text == "unlimited" {
		return rollover.Unlimited, nil
	}
	value, err := time.ParseDuration(text)
	if last := len(text) - 1; last > 0 && units[text[last]] > 0 {
		n, parseErr := strconv.ParseUint(text[:last], 10, 16)
		value, err = time.Duration(n)*units[text[last]], parseErr
	}
	switch {
	case err != nil:
		return 0, err
	case value < 0 || value > 100*units['y']:
		return 0, fmt.Errorf("%v is out of range", value)
	case value == 0:
		return -1, nil
	}
	return value, nil
}

// site is a configuration that was read.
type site struct {
	Config
	zones  []manager.Zone
	keys   []secondary.Key // TSIG
	secret *keystore.Secret
}

// read reads a configuration file, says which when none was named, and reports
// all that is wrong with it.
func read(file string, diagnostics io.Writer) (*site, error) {
	name, data, err := cli.ConfigFile("dnssecd", file, defaultConfig)
	if err != nil {
		return nil, err
	}
	if file == "" {
		fmt.Fprintf(diagnostics, "dnssecd: reading %s\n", name)
	}
	s := &site{}
	d, _ := strictyaml.Decode(name, data, &s.Config) // its errors are in d
	s.check(d)
	if err := d.Err(); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return s, nil
}

func (s *site) check(d *strictyaml.Document) {
	if len(s.Listen) == 0 {
		d.Problem("listen", "nowhere to listen: name addresses with ports, as in [\"[::1]:5300\"]")
	}
	for i, address := range s.Listen {
		if _, _, err := net.SplitHostPort(address); err != nil {
			d.Problem(fmt.Sprintf("listen[%d]", i), "%v", err)
		}
	}
	s.checkTSIG(d)
	if s.PassphraseFile != "" {
		var err error
		if s.secret, err = keystore.PassphraseFile(s.PassphraseFile); err != nil {
			d.Problem("passphrase_file", "%v", err)
		}
	}
	policies := map[string]manager.Policy{"": {}, "default": {}}
	for name, p := range s.Policies {
		policies[name] = p.policy(d, "policies."+name)
	}
	if p, ok := s.Policies["default"]; ok {
		policies[""] = p.policy(d, "policies.default")
	}
	seen := map[wire.Name]bool{}
	for i := range s.Config.Zones {
		at := fmt.Sprintf("zones[%d]", i)
		z := s.zone(d, at, &s.Config.Zones[i], policies)
		if seen[z.Origin] && z.Origin != "" {
			d.Problem(at, "a second zone %s", z.Origin)
		}
		seen[z.Origin] = true
		s.zones = append(s.zones, z)
	}
}

func (s *site) checkTSIG(d *strictyaml.Document) {
	for i, t := range s.TSIG {
		at := fmt.Sprintf("tsig[%d]", i)
		secret, err := cli.Secret(t.SecretFile)
		if err != nil {
			d.Problem(at+".secret_file", "%v", err)
		} else if octets, err := base64.StdEncoding.DecodeString(secret); err != nil || len(octets) == 0 {
			d.Problem(at+".secret_file", "the secret is not base64: tsig-keygen or openssl rand -base64 32 make one")
		}
		if _, err := wire.ParseName(t.Name); err != nil || t.Name == "" {
			d.Problem(at+".name", "%q is no name of a key", t.Name)
		}
		if _, ok := dns.StringToAlgorithm[t.Algorithm]; ok || !slices.Contains([]string{"", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}, t.Algorithm) {
			d.Problem(at+".algorithm", "%q is none of hmac-sha256, hmac-sha384, hmac-sha512, hmac-sha224 and hmac-sha1", t.Algorithm)
		}
		s.keys = append(s.keys, secondary.Key{Name: dns.CanonicalName(t.Name), Algorithm: t.Algorithm, Secret: secret})
	}
}

// known reports a TSIG key that is not configured.
func (s *site) known(d *strictyaml.Document, at, name string) {
	if !slices.ContainsFunc(s.keys, func(k secondary.Key) bool { return k.Name == dns.CanonicalName(name) }) {
		d.Problem(at, "no key %q under tsig", name)
	}
}

// choice is one of a few words, the first one when it is empty.
func choice[T any](d *strictyaml.Document, at, word string, words []string, values []T) T {
	if word == "" {
		return values[0]
	}
	if i := slices.Index(words, word); i >= 0 {
		return values[i]
	}
	d.Problem(at, "%q is none of %s", word, strings.Join(words, ", "))
	return values[0]
}

func (p Policy) policy(d *strictyaml.Document, at string) manager.Policy {
	if p.Alg != 0 && !supported(dnssec.Algorithm(p.Alg)) {
		d.Problem(at+".alg", "algorithm %d is none of 8, 13, 14 and 15", p.Alg)
	}
	m := manager.Policy{
		Policy: rollover.Policy{
			Algorithm: dnssec.Algorithm(p.Alg), CSK: p.CSK,
			Parent: choice(d, at+".parent", p.Parent, []string{"person", "registrar", "cds"},
				[]rollover.Parent{rollover.ByPerson, rollover.ByRegistrar, rollover.ByCDS}),
			KSKLifetime: time.Duration(p.KSKLifetime), ZSKLifetime: time.Duration(p.ZSKLifetime),
			KeyTTL: time.Duration(p.KeyTTL), ZoneTTL: time.Duration(p.ZoneTTL), DSTTL: time.Duration(p.DSTTL),
			ZonePropagation: time.Duration(p.ZonePropagation), ParentPropagation: time.Duration(p.ParentPropagation),
			PublishSafety: time.Duration(p.PublishSafety), RetireSafety: time.Duration(p.RetireSafety), Purge: time.Duration(p.Purge),
		},
		Denial: choice(d, at+".denial", p.Denial, []string{"nsec", "nsec3", "nsec3-opt-out"},
			[]dnssec.Denial{dnssec.NSEC, dnssec.NSEC3, dnssec.NSEC3OptOut}),
		ZONEMD: p.ZONEMD,
		Serial: choice(d, at+".serial", p.Serial, []string{"increment", "unixtime", "date"},
			[]dnssec.SerialPolicy{dnssec.IncrementSerial, dnssec.UnixSerial, dnssec.DateSerial}),
		Validity: time.Duration(p.Validity), Refresh: time.Duration(p.Refresh), Jitter: time.Duration(p.Jitter),
	}
	return m
}

func supported(a dnssec.Algorithm) bool {
	return slices.Contains([]dnssec.Algorithm{dnssec.RSASHA256, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519}, a)
}

// zone makes a zone of its configuration.
func (s *site) zone(d *strictyaml.Document, at string, c *Zone, policies map[string]manager.Policy) manager.Zone {
	z := manager.Zone{File: c.File, Transfer: c.AllowTransfer}
	var err error
	if z.Origin, err = wire.ParseName(c.Name); err != nil || c.Name == "" {
		d.Problem(at+".name", "%q is no name of a zone", c.Name)
		return z
	}
	var ok bool
	if z.Policy, ok = policies[c.Policy]; !ok {
		d.Problem(at+".policy", "no policy %q under policies", c.Policy)
	}
	for i, name := range c.AllowTransfer {
		s.known(d, fmt.Sprintf("%s.allow_transfer[%d]", at, i), name)
	}
	for i, text := range c.AllowUpdate {
		grant, err := update.ParseGrant(text)
		if err != nil {
			d.Problem(fmt.Sprintf("%s.allow_update[%d]", at, i), "%v", err)
			continue
		}
		s.known(d, fmt.Sprintf("%s.allow_update[%d]", at, i), grant.Key)
		z.Update = append(z.Update, grant)
	}
	for _, address := range c.Notify {
		z.Secondaries = append(z.Secondaries, withPort(address))
	}
	if c.Primary != nil {
		z.Primary = s.primary(d, at+".primary", c.Primary)
	}
	if c.Registrar != nil {
		z.Registrar = &parent.Hook{Command: c.Registrar.Command, Timeout: time.Duration(c.Registrar.Timeout)}
		z.Policy.Parent = rollover.ByRegistrar
		if len(c.Registrar.Command) == 0 {
			d.Problem(at+".registrar.command", "no program: name it and its arguments, as in [/usr/local/bin/lodge-ds]")
		}
	}
	if err := z.Check(); err != nil {
		d.Problem(at, "%v", err)
	}
	return z
}

func (s *site) primary(d *strictyaml.Document, at string, c *Primary) *transfer.Client {
	client := &transfer.Client{Server: withPort(c.Server)}
	if c.TSIG == "" {
		return client
	}
	s.known(d, at+".tsig", c.TSIG)
	for _, key := range s.keys {
		if key.Name == dns.CanonicalName(c.TSIG) {
			client.Key = transfer.Key{Name: key.Name, Algorithm: key.Algorithm, Secret: key.Secret}
		}
	}
	return client
}

// withPort adds port 53 to an address that has none.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil || address == "" {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), "53")
}

// secrets is the TSIG secrets by the names of their keys.
func (s *site) secrets() map[string]string {
	secrets := map[string]string{}
	for _, key := range s.keys {
		secrets[key.Name] = key.Secret
	}
	return secrets
}

// defaultState is where state is kept.
var defaultState = filepath.Join("/var/lib/berryrack", "dnssecd")
