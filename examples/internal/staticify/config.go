// Package staticify is what the program staticify does: a site from a
// configuration, and the commands over package staticify.
package staticify

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/render"
)

// Config is a site: where its pages come from, what is asked for, and where the
// files go.
type Config struct {
	Origin         Origin        `yaml:"origin"`
	Logs           []string      `yaml:"logs"`
	LogFormat      string        `yaml:"log_format"` // combined when left out
	Publish        []string      `yaml:"publish"`    // roots, each with all files
	Server         string        `yaml:"server"`     // nginx or apache
	MaxAge         time.Duration `yaml:"max_age"`
	Important      []string      `yaml:"important"` // targets that are always files
	Budget         Budget        `yaml:"budget"`
	Query          Query         `yaml:"query"`
	CookiesIgnored []string      `yaml:"cookies_ignored"`
	ServerRoot     string        `yaml:"server_root"`   // publish[0] as the web server sees it
	ServerConfig   string        `yaml:"server_config"` // directory of the files that it includes
	ServerTest     []string      `yaml:"server_test"`
	ServerReload   []string      `yaml:"server_reload"`
}

// Origin is the server that makes the pages.
type Origin struct {
	URL  string `yaml:"url"`
	Host string `yaml:"host"` // the site's name, sent as Host
	// Scheme is http or https, by which visitors come: the origin is told by
	// X-Forwarded-Proto, and files are for that scheme alone.
	Scheme    string   `yaml:"scheme"`
	AllowVary []string `yaml:"allow_vary"` // request headers that answers may vary on: Cookie
}

// Budget is what rendering may cost.
type Budget struct {
	CPU      float64 `yaml:"cpu"` // processors
	Parallel int     `yaml:"parallel"`
	Pages    int     `yaml:"pages"`
}

// Query is which parameters of a request make a page.
type Query struct {
	Ignore []string `yaml:"ignore"`
	Keep   []string `yaml:"keep"`
}

// Parse reads a configuration. The error names all problems with line and
// column.
func Parse(name string, data []byte) (*Config, error) {
	var c Config
	d, err := strictyaml.Decode(name, data, &c)
	if err != nil && d == nil {
		return nil, err
	}
	c.checkOrigin(d)
	c.checkPlaces(d)
	c.checkBudget(d)
	c.checkRules(d)
	c.checkServer(d)
	return &c, d.Err()
}

// checkServer leaves to the server's package what it knows best.
func (c *Config) checkServer(d *strictyaml.Document) {
	if s := c.Origin.Scheme; s != "" && s != "http" && s != "https" {
		d.Problem("origin.scheme", "want http or https, not %q", s)
	}
	for key, path := range map[string]string{"server_root": c.ServerRoot, "server_config": c.ServerConfig} {
		if path != "" && !filepath.IsAbs(path) {
			d.Problem(key, "want an absolute path, not %q", path)
		}
	}
	for key, command := range map[string][]string{"server_test": c.ServerTest, "server_reload": c.ServerReload} {
		if d.Given(key) && len(command) == 0 {
			d.Problem(key, "want a command and its arguments, as a list")
		}
	}
	if d.Err() == nil {
		if err := c.layout().Validate(); err != nil {
			d.Problem("server", "%v", err)
		}
	}
}

func (c *Config) checkOrigin(d *strictyaml.Document) {
	u, err := url.Parse(c.Origin.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		d.Problem("origin.url", "want http://HOST:PORT or https://HOST:PORT, not %q", c.Origin.URL)
	}
	if c.Origin.Host == "" || strings.ContainsAny(c.Origin.Host, "/ \t@") {
		d.Problem("origin.host", "want the site's name as visitors know it, not %q", c.Origin.Host)
	}
}

func (c *Config) checkPlaces(d *strictyaml.Document) {
	if len(c.Publish) == 0 {
		d.Problem("publish", "want at least one directory to publish to")
	}
	for i, root := range c.Publish {
		if !filepath.IsAbs(root) {
			d.Problem(fmt.Sprintf("publish[%d]", i), "want an absolute path, not %q", root)
		}
	}
	if len(c.Logs) == 0 && len(c.Important) == 0 {
		d.Problem("logs", "want at least one access log, or important pages: nothing says what to publish")
	}
	for i, log := range c.Logs {
		if !filepath.IsAbs(log) {
			d.Problem(fmt.Sprintf("logs[%d]", i), "want an absolute path, not %q", log)
		}
	}
	if c.Server != "" && c.Server != "nginx" && c.Server != "apache" {
		d.Problem("server", "want nginx or apache, not %q", c.Server)
	}
	if _, err := accesslog.ParseFormat(c.LogFormat); err != nil {
		d.Problem("log_format", "%v", err)
	}
}

func (c *Config) checkBudget(d *strictyaml.Document) {
	// Less leaves no time to render in, and more makes a directory for each 10 s of it.
	if d.Given("max_age") && (c.MaxAge < 5*time.Second || c.MaxAge > time.Hour) {
		d.Problem("max_age", "want 5s to 1h, not %v", c.MaxAge)
	}
	b := c.Budget
	for key, bad := range map[string]bool{
		"budget.cpu": !(b.CPU >= 0 && b.CPU <= 1024), "budget.parallel": b.Parallel < 0 || b.Parallel > 1024,
		"budget.pages": b.Pages < 0 || b.Pages > 100_000,
	} {
		if bad {
			d.Problem(key, "want a number above 0 that a machine can do")
		}
	}
}

func (c *Config) checkRules(d *strictyaml.Document) {
	query := c.query(d)
	if err := (staticify.Query{Ignore: c.Query.Ignore}).Validate(); err != nil {
		d.Problem("query.ignore", "%v", err)
	}
	if err := (staticify.Query{Ignore: []string{}, Keep: c.Query.Keep}).Validate(); err != nil {
		d.Problem("query.keep", "%v", err)
	}
	for i, target := range c.Important {
		if _, err := query.Canonical(target); err != nil {
			d.Problem(fmt.Sprintf("important[%d]", i), "%q can be no page: %v", target, err)
		}
	}
}

// query is the rules, with the defaults where the file does not say.
func (c *Config) query(d *strictyaml.Document) staticify.Query {
	q := staticify.Query{Ignore: c.Query.Ignore, Keep: c.Query.Keep}
	if d.Given("query.ignore") && q.Ignore == nil {
		q.Ignore = []string{}
	}
	c.Query.Ignore = q.Ignore
	return q
}

// Rules are the query rules of package staticify.
func (c *Config) Rules() staticify.Query {
	return staticify.Query{Ignore: c.Query.Ignore, Keep: c.Query.Keep}
}

// ranker counts what is asked for, with eight counters for each page that may be
// one.
func (c *Config) ranker() staticify.Ranker {
	return staticify.Ranker{Query: c.Rules(), UserAgent: render.UserAgent, Capacity: max(8192, 8*c.Budget.Pages)}
}

// Pages are the keys of the important pages, each once.
func (c *Config) Pages() ([]staticify.Key, error) {
	return keys(c.Rules(), c.Important)
}

func keys(query staticify.Query, targets []string) ([]staticify.Key, error) {
	var all []staticify.Key
	seen := map[staticify.Key]bool{}
	for _, target := range targets {
		key, err := query.Canonical(target)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", target, err)
		}
		if !seen[key] {
			all = append(all, key)
		}
		seen[key] = true
	}
	return all, nil
}
