package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/berryrack/berryrack/staticify"
)

// Server is an nginx whose configuration we keep. It is not safe for use from several goroutines.
//
// Its configuration is the same from day to day: what is published and for how long is in the file system. It changes,
// and the server is reloaded, only when a page comes whose headers are not those of most pages.
type Server struct {
	Config Config
	// Dir holds http.conf and server.conf, which the main configuration includes in its http block and the site's server
	// block.
	Dir           string
	TestCommand   []string      // nil means nginx -t
	ReloadCommand []string      // nil means nginx -s reload
	Every         time.Duration // between two reloads; 0 means a minute

	table Table
	tried time.Time
}

// RefusedError is a configuration that the server's own test, or the command that reloads it, did not accept.
type RefusedError struct {
	Command []string
	Output  string // what the command printed
	Foreign bool   // it refuses the configuration without our change too
	Err     error
}

func (e *RefusedError) Error() string {
	whose := "our change was taken back"
	if e.Foreign {
		whose = "it refuses its configuration without our change too, which was taken back"
	}
	return fmt.Sprintf("nginx: %s: %v; %s: %s", strings.Join(e.Command, " "), e.Err, whose, strings.TrimSpace(e.Output))
}

func (e *RefusedError) Unwrap() error { return e.Err }

// Configure writes the configuration for these pages when the present one does not have them all, has the server test
// it, and reloads the server. When that is refused the old files are put back. Pages that the server does not know
// are answered by the origin.
func (s *Server) Configure(ctx context.Context, pages []*staticify.Page) error {
	table, changed := s.table.With(pages)
	if !changed && !s.tried.IsZero() {
		return nil
	}
	every := s.Every
	if every == 0 {
		every = time.Minute
	}
	if !s.tried.IsZero() && time.Since(s.tried) < every {
		return nil
	}
	s.tried = time.Now()
	if err := s.install(ctx, table); err != nil {
		return err
	}
	s.table = table
	return nil
}

// install replaces both files, and has the server use them.
func (s *Server) install(ctx context.Context, t Table) error {
	wanted, err := s.Config.Contents(t)
	if err != nil {
		return err
	}
	present, err := s.read()
	if err != nil || equal(present, wanted) {
		return err
	}
	if err := s.write(wanted); err != nil {
		return errors.Join(err, s.write(present))
	}
	refused := s.Check(ctx)
	if refused == nil {
		refused = s.Reload(ctx)
	}
	if refused == nil {
		return nil
	}
	// Whatever ended ctx must not leave the files as they are.
	if err := s.write(present); err != nil {
		return errors.Join(refused, err)
	}
	var r *RefusedError
	if errors.As(refused, &r) {
		r.Foreign = s.Check(ctx) != nil
	}
	return refused
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

// Check has nginx test its whole configuration.
func (s *Server) Check(ctx context.Context) error {
	if s.TestCommand == nil {
		return run(ctx, []string{"nginx", "-t", "-q"})
	}
	return run(ctx, s.TestCommand)
}

// Reload has nginx read its configuration again.
func (s *Server) Reload(ctx context.Context) error {
	if s.ReloadCommand == nil {
		return run(ctx, []string{"nginx", "-s", "reload"})
	}
	return run(ctx, s.ReloadCommand)
}

func run(ctx context.Context, command []string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return &RefusedError{Command: command, Output: string(output[:min(len(output), 4096)]), Err: err}
	}
	return nil
}

// read returns the present files; one that is missing is nil.
func (s *Server) read() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range []string{"http.conf", "server.conf"} {
		data, err := os.ReadFile(filepath.Join(s.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

func equal(a, b map[string][]byte) bool {
	return bytes.Equal(a["http.conf"], b["http.conf"]) && bytes.Equal(a["server.conf"], b["server.conf"])
}

// write puts the files in their places, each in one step. Between the two steps nginx would not find some pages, or
// not accept the configuration: neither serves a wrong page.
func (s *Server) write(files map[string][]byte) error {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	for name, data := range files {
		if err := replace(filepath.Join(s.Dir, name), data); err != nil {
			return err
		}
	}
	return syncDir(s.Dir)
}

// replace writes a file beside its place and renames it; nil data removes it.
func replace(path string, data []byte) error {
	if data == nil {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
