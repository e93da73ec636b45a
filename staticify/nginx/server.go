package nginx

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/install"
)

// Server is an nginx whose configuration we keep. It is not safe for use from several goroutines.
//
// Its configuration is the same from day to day: what is published and for how long is in the file system. It changes,
// and the server is reloaded, only when a page comes whose headers are not those of most pages.
type Server struct {
	Config Config // of the site
	// Dir holds http.conf and server.conf, which the main configuration includes in its http block and the site's server
	// block, and table.json, by which a new process knows what the server knows of headers.
	Dir           string
	TestCommand   []string      // nil means nginx -t
	ReloadCommand []string      // nil means nginx -s reload
	Every         time.Duration // between two reloads; 0 means a minute

	table Table
	tried time.Time
}

// Configure writes the configuration for these pages when the present one does not have them all, has the server test
// it, and reloads the server. When that is refused (a *[staticify.ConfigError]) the old files are put back. Pages that the server does not know
// are answered by the origin.
func (s *Server) Configure(ctx context.Context, pages []*staticify.Page) error {
	if s.tried.IsZero() {
		s.table = readTable(filepath.Join(s.Dir, tableFile))
	}
	table, changed := s.table.With(pages)
	if !changed && !s.tried.IsZero() {
		return nil
	}
	if !s.tried.IsZero() && time.Since(s.tried) < cmp.Or(s.Every, time.Minute) {
		return nil
	}
	s.tried = time.Now()
	contents, err := s.Config.Contents(table)
	if err == nil {
		contents[tableFile], err = table.encode()
	}
	if err == nil {
		err = install.Files(ctx, s.Dir, contents, s.test(), s.reload())
	}
	if err != nil {
		return err
	}
	s.table = table
	return nil
}

// Contents returns the two files by name.
func (c Config) Contents(t Table) (map[string][]byte, error) {
	http, err := c.HTTP(t)
	if err != nil {
		return nil, err
	}
	server, err := c.Server(t)
	return map[string][]byte{"http.conf": http, "server.conf": server}, err
}

// Check has nginx test its whole configuration. The error is a *[staticify.ConfigError].
func (s *Server) Check(ctx context.Context) error { return install.Run(ctx, s.test()) }

// Reload has nginx read its configuration again. The error is a *[staticify.ConfigError].
func (s *Server) Reload(ctx context.Context) error { return install.Run(ctx, s.reload()) }

func (s *Server) test() []string {
	if s.TestCommand == nil {
		return []string{"nginx", "-t", "-q"}
	}
	return s.TestCommand
}

func (s *Server) reload() []string {
	if s.ReloadCommand == nil {
		return []string{"nginx", "-s", "reload"}
	}
	return s.ReloadCommand
}
