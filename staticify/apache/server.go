package apache

import (
	"context"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/install"
)

// Server is a httpd whose configuration we keep. It is not safe for use from several goroutines.
type Server struct {
	Config        Config   // of the site
	Dir           string   // holds vhost.conf, which the site's VirtualHost includes
	TestCommand   []string // nil means apache2ctl configtest
	ReloadCommand []string // nil means apache2ctl graceful

	done bool
}

// Configure writes the configuration, has the server test it, and reloads the server, the first time. When that is
// refused (a *[staticify.ConfigError]) the old file is put back. It is the same for all pages.
func (s *Server) Configure(ctx context.Context, _ []*staticify.Page) error {
	if s.done {
		return nil
	}
	data, err := s.Config.VirtualHost()
	if err == nil {
		err = install.Files(ctx, s.Dir, map[string][]byte{"vhost.conf": data}, s.test(), s.reload())
	}
	s.done = err == nil
	return err
}

// Check has httpd test its whole configuration. The error is a *[staticify.ConfigError].
func (s *Server) Check(ctx context.Context) error { return install.Run(ctx, s.test()) }

// Reload has httpd read its configuration again. The error is a *[staticify.ConfigError].
func (s *Server) Reload(ctx context.Context) error { return install.Run(ctx, s.reload()) }

func (s *Server) test() []string {
	if s.TestCommand == nil {
		return []string{"apache2ctl", "configtest"}
	}
	return s.TestCommand
}

func (s *Server) reload() []string {
	if s.ReloadCommand == nil {
		return []string{"apache2ctl", "graceful"}
	}
	return s.ReloadCommand
}
