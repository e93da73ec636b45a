package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// HTTP01 proves control by http-01 (RFC 8555 section 8.3), for names whose DNS
// cannot be changed from here.
type HTTP01 struct {
	// Webroot is a directory that a web server serves for all the names: files are
	// put into .well-known/acme-challenge below it.
	Webroot string
	// Listen, without Webroot, is where to listen while it lasts; empty is ":80".
	Listen string
}

const (
	wellKnown  = "/.well-known/acme-challenge/"
	httpIdle   = 5 * time.Second
	maxHeaders = 1 << 14
)

// token is the form of one (RFC 8555 section 8.3): it becomes a file's name.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// checkTokens refuses what cannot be the name of a file.
func checkTokens(tokens map[string]string) error {
	for t := range tokens {
		if !token.MatchString(t) {
			return errors.New("manager: the authority's token has not the form of RFC 8555")
		}
	}
	return nil
}

// presentHTTP presents tokens; one order at a time listens.
func (m *Manager) presentHTTP(ctx context.Context, c Certificate, s *state, tokens map[string]string) (func() error, error) {
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	if c.HTTP01.Webroot != "" {
		s.Presented = presented{c.HTTP01.Webroot, slices.Sorted(maps.Keys(tokens))}
		if err := m.save(c, *s); err != nil {
			return nil, err
		}
		if err := c.HTTP01.write(tokens); err != nil {
			return nil, errors.Join(err, s.withdraw())
		}
		return s.withdraw, nil
	}
	unlock, err := m.lock(ctx, "http-01")
	if err != nil {
		return nil, err
	}
	withdraw, err := c.HTTP01.listen(ctx, tokens)
	if err != nil {
		unlock()
		return nil, err
	}
	return func() error {
		defer unlock()
		return withdraw()
	}, nil
}

// withdraw removes the files that are presented.
func (s *state) withdraw() error {
	if s.Presented.Webroot == "" {
		return nil
	}
	root, err := os.OpenRoot(s.Presented.Webroot)
	if errors.Is(err, fs.ErrNotExist) { // and the files with it
		s.Presented = presented{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("manager: webroot: %w", err)
	}
	defer root.Close()
	var errs []error
	for _, t := range s.Presented.Tokens {
		if err := root.Remove(tokenPath(t)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("manager: webroot: %w", err))
		}
	}
	if len(errs) == 0 {
		s.Presented = presented{}
	}
	return errors.Join(errs...)
}

// write writes files. Whoever may write into the webroot cannot have us write
// anywhere else by a symbolic link.
func (h *HTTP01) write(tokens map[string]string) error {
	root, err := os.OpenRoot(h.Webroot)
	if err != nil {
		return fmt.Errorf("manager: webroot: %w", err)
	}
	defer root.Close()
	err = root.MkdirAll(filepath.Dir(tokenPath("t")), 0o755)
	for t, text := range tokens {
		if err == nil {
			err = root.WriteFile(tokenPath(t), []byte(text), 0o644)
		}
	}
	if err != nil {
		return fmt.Errorf("manager: webroot: %w", err)
	}
	return nil
}

// tokenPath is where a token's file is below the webroot.
func tokenPath(token string) string { return filepath.FromSlash(wellKnown[1:] + token) }

func (h *HTTP01) listen(ctx context.Context, tokens map[string]string) (func() error, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", cmp.Or(h.Listen, ":80"))
	if err != nil {
		return nil, fmt.Errorf("manager: http-01: %w; if a web server is there, give its webroot", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wellKnown+"{token}", func(w http.ResponseWriter, r *http.Request) {
		text, ok := tokens[r.PathValue("token")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write([]byte(text))
	})
	server := &http.Server{Handler: mux, ReadTimeout: httpIdle, WriteTimeout: httpIdle, MaxHeaderBytes: maxHeaders}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	return func() error {
		err := server.Close()
		<-done
		return err
	}, nil
}
