package staticify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/nginx"
)

// Once is `staticify once`: one round of what run does.
type Once struct {
	DryRun bool `short:"n" help:"Render, and print what would be published. Exits with 3 when there is something."`
	JSON   bool `name:"json" help:"Print one JSON document."`
}

// Run prints what was done.
func (o *Once) Run(ctx context.Context, s *Source, std cli.Streams) error {
	config, err := s.MustConfig()
	if err != nil {
		return err
	}
	site, err := config.site(s.State, daemon.Logger(std.Err))
	if err != nil {
		return err
	}
	shelf := &shelf{Publisher: site.Publisher}
	if o.DryRun {
		if err := site.Restore(); err != nil {
			return err
		}
		// Without a state directory nothing is saved, places in logs included.
		site.Publisher, site.Server, site.State = shelf, nil, ""
	}
	readable()
	report, err := site.RunOnce(ctx)
	if o.JSON {
		err = errors.Join(err, printJSON(std.Out, report))
	} else {
		err = errors.Join(err, shelf.print(std.Out), printReport(std.Out, report))
	}
	switch {
	case err == nil && len(shelf.pages) > 0:
		return cli.ErrDifferent
	case err == nil && !o.DryRun && report.Published == 0 && len(report.Refused) > 0:
		return errors.New("no page is a file, for these reasons")
	}
	return err
}

// readable has the web server, which is another user, read what is published.
func readable() { syscall.Umask(0o022) }

// shelf takes pages and publishes none.
type shelf struct {
	staticify.Publisher // for what it accepts
	pages               []*staticify.Page
}

func (s *shelf) Publish(_ context.Context, pages []*staticify.Page) error {
	s.pages = pages
	return nil
}

func (s *shelf) print(w io.Writer) error {
	for _, p := range s.pages {
		if _, err := fmt.Fprintf(w, "publish %s\t# %d bytes\n", p.Key, len(p.Body)); err != nil {
			return err
		}
	}
	return nil
}

func printReport(w io.Writer, r staticify.Report) error {
	for _, o := range r.Refused {
		fmt.Fprintf(w, "# %s: from the origin: %s %s\n", o.Key, o.Reason, o.Detail)
	}
	for _, o := range r.Left {
		fmt.Fprintf(w, "# %s: %s\n", o.Key, o.Reason)
	}
	_, err := fmt.Fprintf(w, "# %d pages are files, %d were rendered, %d refused, %d left\n", r.Published, r.Rendered, len(r.Refused), len(r.Left))
	return err
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// Purge is `staticify purge`.
type Purge struct {
	DryRun bool     `short:"n" help:"Print what would be done. Exits with 3."`
	URLs   []string `arg:"" name:"url" help:"Pages, by path or URL."`
}

// Run takes the pages away at once; a process that runs is told to render them
// anew.
func (p *Purge) Run(s *Source, std cli.Streams) error {
	config, err := s.MustConfig()
	if err != nil {
		return err
	}
	keys, err := config.targets(p.URLs)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	if p.DryRun {
		for _, key := range keys {
			fmt.Fprintf(std.Out, "staticify purge '%s'\n", strings.ReplaceAll(key.String(), "'", `'\''`))
		}
		return cli.ErrDifferent
	}
	site, err := config.site(s.State, daemon.Logger(std.Err))
	if err != nil {
		return err
	}
	return site.Purge(keys...)
}

// Status is `staticify status`.
type Status struct {
	JSON bool `name:"json" help:"Print one JSON document."`
}

// Run prints what the process that runs has written down. When that is too old,
// nothing is being served: the exit status says so.
func (c *Status) Run(s *Source, std cli.Streams) error {
	config, err := s.MustConfig()
	if err != nil {
		return err
	}
	snapshot, err := staticify.ReadSnapshot(s.State)
	if err != nil {
		return fmt.Errorf("%w: has `staticify run` run with this --state?", err)
	}
	if c.JSON {
		err = printJSON(std.Out, snapshot)
	} else {
		err = printSnapshot(std.Out, snapshot)
	}
	maxAge := config.MaxAge
	if maxAge == 0 {
		maxAge = staticify.DefaultMaxAge
	}
	if age := time.Since(snapshot.Time); err == nil && age > maxAge {
		fmt.Fprintf(std.Err, "staticify: that was %v ago: nothing is running, and no page is a file\n", age.Round(time.Second))
		return cli.ErrDifferent
	}
	return err
}

func printSnapshot(w io.Writer, s staticify.Snapshot) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "PAGE\tAGE\tRENDERED IN\tBYTES\n")
	for _, p := range s.Pages {
		fmt.Fprintf(t, "%s\t%v\t%v\t%d\n", p.Key, s.Time.Sub(p.Rendered).Round(time.Second), p.Took.Round(time.Millisecond), p.Bytes)
	}
	for _, o := range s.Refused {
		fmt.Fprintf(t, "%s\t-\t%s\t%s\n", o.Key, o.Reason, o.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	c := s.Counters
	_, err := fmt.Fprintf(w, "%d files at %s; %d renders, %d changed, %d generations, %d rounds with errors\n",
		len(s.Pages), s.Time.Format(time.RFC3339), c.Renders, c.Changed, c.Generations, c.Errors)
	if s.LastError != "" {
		_, err = fmt.Fprintf(w, "last error: %s\n", s.LastError)
	}
	return err
}

// Server is `staticify config`.
type Server struct {
	Server string `arg:"" enum:"nginx,apache" help:"nginx or apache."`
}

// Run prints what the server must include, as it is without any page.
func (c *Server) Run(s *Source, std cli.Streams) error {
	config, err := s.MustConfig()
	if err != nil {
		return err
	}
	config.Server = c.Server
	if err := config.layout().Validate(); err != nil {
		return &cli.UsageError{Err: err}
	}
	// A server resolves other paths against a directory of its own.
	dir, err := filepath.Abs(cmp.Or(config.ServerConfig, filepath.Join(s.State, "conf")))
	if err != nil {
		return err
	}
	if c.Server == "apache" {
		vhost, err := config.apache().VirtualHost()
		fmt.Fprintf(std.Out, "# In the VirtualHost, before its rewrite rules: Include %s/vhost.conf\n# It needs: a2enmod asis rewrite\n%s", dir, vhost)
		return err
	}
	contents, err := config.nginx().Contents(nginx.Table{})
	fmt.Fprintf(std.Out, "# In the http block: include %s/http.conf;\n%s\n# In the server block of %s, in place of location /: include %s/server.conf;\n%s",
		dir, contents["http.conf"], config.Origin.Host, dir, contents["server.conf"])
	return err
}
