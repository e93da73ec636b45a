package staticify

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/apache"
	"github.com/berryrack/berryrack/staticify/nginx"
	"github.com/berryrack/berryrack/staticify/publish"
	"github.com/berryrack/berryrack/staticify/render"
)

// checkedLayout is a server's, which can tell what is wrong with it.
type checkedLayout interface {
	staticify.Layout
	Validate() error
}

func (c *Config) layout() checkedLayout {
	if c.Server == "apache" {
		return c.apache()
	}
	return c.nginx()
}

func (c *Config) nginx() nginx.Config {
	return nginx.Config{
		Host: c.Origin.Host, Scheme: c.Origin.Scheme, Root: c.root(), Origin: c.Origin.URL, MaxAge: c.MaxAge, Query: c.Rules(), Cookies: c.CookiesIgnored,
	}
}

func (c *Config) apache() apache.Config {
	return apache.Config{Host: c.Origin.Host, Scheme: c.Origin.Scheme, Root: c.root(), MaxAge: c.MaxAge, Query: c.Rules(), Cookies: c.CookiesIgnored}
}

// root is where the web server finds the files.
func (c *Config) root() string {
	if c.ServerRoot == "" && len(c.Publish) > 0 {
		return c.Publish[0]
	}
	return c.ServerRoot
}

// server is the web server whose configuration is kept in dir.
func (c *Config) server(dir string) staticify.Server {
	dir = cmp.Or(c.ServerConfig, dir)
	if c.Server == "apache" {
		return &apache.Server{Config: c.apache(), Dir: dir, TestCommand: c.ServerTest, ReloadCommand: c.ServerReload}
	}
	return &nginx.Server{Config: c.nginx(), Dir: dir, TestCommand: c.ServerTest, ReloadCommand: c.ServerReload}
}

func (c *Config) publisher() *publish.Publisher {
	return &publish.Publisher{Roots: c.Publish, Layout: c.layout(), MaxAge: c.MaxAge}
}

// site is what all commands work on.
func (c *Config) site(state string, logger *slog.Logger) (*staticify.Site, error) {
	origin, err := url.Parse(c.Origin.URL)
	format, formatErr := accesslog.ParseFormat(c.LogFormat)
	important, importantErr := c.Pages()
	if err := errors.Join(err, formatErr, importantErr); err != nil {
		return nil, err
	}
	ranker := c.ranker()
	s := &staticify.Site{
		Ranker:    &ranker,
		Important: important,
		Budget:    staticify.Budget{CPU: c.Budget.CPU, Parallel: c.Budget.Parallel, Pages: c.Budget.Pages},
		Renderer:  c.renderer(origin),
		Publisher: c.publisher(), Server: c.server(filepath.Join(state, "conf")),
		MaxAge: c.MaxAge, State: state, Logger: logger,
	}
	for _, path := range c.Logs {
		place := filepath.Join(state, "log"+url.PathEscape(path))
		s.Logs = append(s.Logs, &accesslog.Follower{Path: path, Format: format, State: place})
	}
	return s, nil
}

func (c *Config) renderer(origin *url.URL) *render.Renderer {
	r := &render.Renderer{Origin: origin, Host: c.Origin.Host, AllowVary: c.Origin.AllowVary, MaxAge: c.MaxAge, Timeout: min(20*time.Second, cmp.Or(c.MaxAge, staticify.DefaultMaxAge)/3)}
	if c.Origin.Scheme != "" {
		r.Header = http.Header{"X-Forwarded-Proto": {c.Origin.Scheme}}
	}
	return r
}

// targets makes keys of what is typed: a path, or a URL of the site.
func (c *Config) targets(typed []string) ([]staticify.Key, error) {
	targets := make([]string, len(typed))
	var errs []error
	for i, t := range typed {
		targets[i] = t
		if strings.HasPrefix(t, "/") {
			continue
		}
		u, err := url.Parse(t)
		switch {
		case err != nil:
			errs = append(errs, err)
		case u.Host != c.Origin.Host || u.Scheme != "http" && u.Scheme != "https":
			errs = append(errs, fmt.Errorf("%q: want a path, or a URL of %s", t, c.Origin.Host))
		default:
			targets[i] = u.RequestURI()
		}
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	return keys(c.Rules(), targets)
}
