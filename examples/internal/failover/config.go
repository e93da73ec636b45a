package failover

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/dns01hook"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Config is failover.yaml.
type Config struct {
	Site     string       `yaml:"site"`    // scheme and host of the pages: https://www.example.org
	CAFile   string       `yaml:"ca_file"` // roots for https, in place of the system's
	Primary  []netip.Addr `yaml:"primary"`
	Standby  []netip.Addr `yaml:"standby"`
	DNS      DNS          `yaml:"dns"`
	Pages    Pages        `yaml:"pages"`
	Mirrors  []Mirror     `yaml:"mirrors"`
	Load     Load         `yaml:"load"`
	Services []Service    `yaml:"services"`
}

// DNS is where the addresses of the site are changed and looked for.
type DNS struct {
	Zone        string        `yaml:"zone"`
	Names       []string      `yaml:"names"`
	TTL         time.Duration `yaml:"ttl"`         // that the records have when flipped, and must have before; 0 is a minute
	FormerTTL   time.Duration `yaml:"former_ttl"`  // that they may have had before they were first looked at; 0 is a day
	Nameservers []string      `yaml:"nameservers"` // addresses; empty: found by the resolvers
	Resolvers   []string      `yaml:"resolvers"`   // that must show a flip; empty: none, and those of /etc/resolv.conf find the servers
	Wait        time.Duration `yaml:"wait"`        // for a flip to arrive; 0 is ten minutes
	Provider    Provider      `yaml:"provider"`
}

// Provider is one of its keys.
type Provider struct {
	RFC2136      *dns01hook.RFC2136 `yaml:"rfc2136"`
	MythicBeasts *dns01hook.Mythic  `yaml:"mythicbeasts"`
}

// Pages are those to compare.
type Pages struct {
	Logs     []string         `yaml:"logs"`     // access logs, compressed with gzip or not
	Format   string           `yaml:"format"`   // as in staticify/accesslog; empty: combined
	Count    int              `yaml:"count"`    // most asked for; 0 is 100
	Parallel int              `yaml:"parallel"` // at once; 0 is 4
	Headers  []string         `yaml:"headers"`  // that must be equal; empty: Content-Type and Location
	Ignore   []*regexp.Regexp `yaml:"ignore"`   // parts of a page that may differ
}

// Defaults of a configuration.
const (
	defaultTTL       = time.Minute
	defaultFormerTTL = 24 * time.Hour
	defaultWait      = 10 * time.Minute
	defaultPages     = 100
	defaultParallel  = 4
	maxPages         = 100_000
	maxParallel      = 64
)

// A Site is a configuration that has been checked.
type Site struct {
	Config
	page        *url.URL // of which pages only have the path to differ
	roots       *x509.CertPool
	zone        string
	names       []string
	nameservers []nameserver
	resolvers   []nameserver // never empty when there is a zone
	setter      acme.RecordSetter
	dial        dialFunc
	state       string // directory
	now         func() time.Time
	interval    time.Duration // between questions to one server while a flip is under way
}

// Options are the flags that commands share.
type Options struct {
	Config string // file; "" is looked for
	State  string // directory; "" is the default
}

const defaultState = "/var/lib/berryrack/failover"

// Open reads a configuration, and reports all that is wrong with it. Where there
// is none the site is a simulation in this process, until ctx ends.
func Open(ctx context.Context, o Options, std cli.Streams) (*Site, error) {
	name, data, err := cli.ConfigFile("failover", o.Config, nil)
	if err != nil {
		return nil, err
	}
	if data == nil {
		state := cmp.Or(o.State, simulatedState)
		fmt.Fprintf(std.Err, "failover: no configuration: this is a simulation, with its state in %s\n", state)
		return simulate(ctx, state)
	}
	s, err := read(name, data)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	if o.State != "" {
		s.state = o.State
	}
	return s, nil
}

// read makes a site of a configuration file.
func read(name string, data []byte) (*Site, error) {
	var d net.Dialer
	s := &Site{dial: d.DialContext, state: defaultState, now: time.Now, interval: watchInterval}
	doc, _ := strictyaml.Decode(name, data, &s.Config)
	s.defaults()
	provider := s.check(doc)
	return s, errors.Join(doc.Err(), provider)
}

func (s *Site) defaults() {
	s.DNS.TTL = cmp.Or(s.DNS.TTL, defaultTTL)
	s.DNS.FormerTTL = cmp.Or(s.DNS.FormerTTL, defaultFormerTTL)
	s.DNS.Wait = cmp.Or(s.DNS.Wait, defaultWait)
	s.Load.Duration = cmp.Or(s.Load.Duration, defaultLoad)
	s.Load.P99 = cmp.Or(s.Load.P99, defaultP99)
	s.Load.Errors = cmp.Or(s.Load.Errors, defaultErrors)
	s.Pages.Count = cmp.Or(s.Pages.Count, defaultPages)
	s.Pages.Parallel = cmp.Or(s.Pages.Parallel, defaultParallel)
	if len(s.Pages.Headers) == 0 {
		s.Pages.Headers = []string{"Content-Type", "Location"}
	}
}

// check adds what is wrong to the document's problems, fills in what is not, and
// returns what is wrong with the provider.
func (s *Site) check(d *strictyaml.Document) error {
	if len(s.Primary) == 0 {
		d.Problem("primary", "no address given")
	}
	if len(s.Standby) == 0 {
		d.Problem("standby", "no address given")
	}
	for i, addr := range s.Standby {
		if slices.ContainsFunc(s.Primary, func(p netip.Addr) bool { return p.Unmap() == addr.Unmap() }) {
			d.Problem(fmt.Sprintf("standby[%d]", i), "%s is an address of the primary", addr.Unmap())
		}
	}
	s.checkSite(d)
	s.checkDNS(d)
	if s.Pages.Count < 0 || s.Pages.Count > maxPages {
		d.Problem("pages.count", "want 1 to %d", maxPages)
	}
	if _, err := accesslog.ParseFormat(s.Pages.Format); err != nil {
		d.Problem("pages.format", "%v", err)
	}
	if s.Pages.Parallel < 0 || s.Pages.Parallel > maxParallel {
		d.Problem("pages.parallel", "want 1 to %d", maxParallel)
	}
	s.Load.check(d)
	for i := range s.Mirrors {
		s.Mirrors[i].check(d, fmt.Sprintf("mirrors[%d]", i))
	}
	for i := range s.Services {
		s.Services[i].check(d, fmt.Sprintf("services[%d]", i))
	}
	return s.chooseProvider(d)
}

func (s *Site) checkSite(d *strictyaml.Document) {
	if s.Site == "" && len(s.Pages.Logs) > 0 {
		d.Problem("site", "not given: want the scheme and host of the pages, such as https://www.example.org")
	}
	if s.Site != "" {
		u, err := parseURL(s.Site)
		if err != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			d.Problem("site", "want scheme and host alone, such as https://www.example.org, not %q", s.Site)
		}
		s.page = u
	}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		s.roots = x509.NewCertPool()
		if err != nil {
			d.Problem("ca_file", "%v", err)
		} else if !s.roots.AppendCertsFromPEM(pem) {
			d.Problem("ca_file", "%s: no certificate in it", s.CAFile)
		}
	}
}

// parseURL reads the URL of something that http or https serves.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("want http://HOST/... or https://HOST/..., not %q", text)
	}
	return u, nil
}

func (s *Site) checkDNS(d *strictyaml.Document) {
	if s.DNS.Zone == "" {
		if len(s.DNS.Names) > 0 {
			d.Problem("dns.zone", "not given")
		}
		return
	}
	var err error
	if s.zone, err = acme.CanonicalName(s.DNS.Zone); err != nil {
		d.Problem("dns.zone", "%v", err)
		return
	}
	if len(s.DNS.Names) == 0 {
		d.Problem("dns.names", "none given: which names are to be flipped?")
	}
	for i, name := range s.DNS.Names {
		name, err := acme.CanonicalName(name)
		switch {
		case err != nil:
			d.Problem(fmt.Sprintf("dns.names[%d]", i), "%v", err)
		case slices.Contains(s.names, name):
			d.Problem(fmt.Sprintf("dns.names[%d]", i), "%s is given twice", name)
		case !acme.InZone(name, s.zone):
			d.Problem(fmt.Sprintf("dns.names[%d]", i), "%s is not in the zone %s", name, s.zone)
		}
		s.names = append(s.names, name)
	}
	for _, ttl := range []struct {
		path  string
		value time.Duration
	}{{"dns.ttl", s.DNS.TTL}, {"dns.former_ttl", s.DNS.FormerTTL}, {"dns.wait", s.DNS.Wait}} {
		if ttl.value < time.Second {
			d.Problem(ttl.path, "want at least 1s")
		}
	}
	s.nameservers = servers(d, "dns.nameservers", s.DNS.Nameservers)
	s.resolvers = servers(d, "dns.resolvers", s.DNS.Resolvers)
	if len(s.DNS.Resolvers) == 0 && len(s.nameservers) == 0 {
		s.systemResolvers(d)
	}
}

// servers reads addresses with or without port.
func servers(d *strictyaml.Document, path string, texts []string) (servers []nameserver) {
	for i, text := range texts {
		addr, err := netip.ParseAddrPort(text)
		if bare, bad := netip.ParseAddr(text); bad == nil {
			addr, err = netip.AddrPortFrom(bare, 53), nil
		}
		if err != nil {
			d.Problem(fmt.Sprintf("%s[%d]", path, i), "want an IP address, or [address]:port, not %q", text)
		}
		servers = append(servers, nameserver{addr: addr})
	}
	return servers
}

func (s *Site) systemResolvers(d *strictyaml.Document) {
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if errors.Is(err, fs.ErrNotExist) {
		d.Problem("dns.nameservers", "none given, and there is no /etc/resolv.conf that names a resolver to find them")
		return
	}
	if err != nil {
		d.Problem("dns.resolvers", "%v", err)
		return
	}
	s.resolvers = servers(d, "dns.resolvers", config.Servers)
}

func (s *Site) chooseProvider(d *strictyaml.Document) error {
	p := s.DNS.Provider
	var provider acme.Provider
	var err error
	switch {
	case p.RFC2136 != nil && p.MythicBeasts != nil:
		err = d.Errorf("dns.provider", "two providers; want one")
	case p.RFC2136 != nil:
		provider, err = p.RFC2136.Provider(d, "dns.provider.rfc2136")
	case p.MythicBeasts != nil:
		provider, err = p.MythicBeasts.Provider(d, "dns.provider.mythicbeasts")
	}
	if err == nil && provider != nil {
		s.setter = provider.(acme.RecordSetter)
	}
	return err
}
