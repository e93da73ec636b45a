package certd

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
)

// reloadPatience is how long a reload waits until orders under way have ended.
const reloadPatience = 30 * time.Second

// keeper keeps the certificates of a configuration, and of the next one.
type keeper struct {
	options Options
	next    chan candidate

	mu      sync.Mutex
	current *manager.Manager
}

// candidate is a configuration that is to replace the one in use.
type candidate struct {
	site   *site
	result chan error // whether it has
}

func newKeeper(o Options) *keeper { return &keeper{options: o, next: make(chan candidate, 1)} }

// Run keeps the certificates of the configuration until ctx ends.
func Run(ctx context.Context, o Options, flags daemon.Flags, std cli.Streams) error {
	s, err := parse(o.Config, std.Err)
	if err == nil {
		err = s.wantsSomething()
	}
	if err != nil {
		return err
	}
	k := newKeeper(o)
	run := func(ctx context.Context, ready func()) error { return k.run(ctx, s, ready) }
	return daemon.Service{Run: run, Reload: k.reload, Figures: k.figures, Logger: o.Log}.Serve(ctx, flags)
}

func (s *site) wantsSomething() error {
	if len(s.Certificates) == 0 {
		return &cli.UsageError{Err: errors.New("no certificates are configured: name some under certificates in certd.yaml")}
	}
	return nil
}

// reload reads the configuration again, and has run use it.
func (k *keeper) reload(ctx context.Context) error {
	s, err := parse(k.options.Config, io.Discard)
	if err == nil {
		err = s.wantsSomething()
	}
	if err == nil {
		_, err = s.manager(k.options)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reloadPatience, errors.New("for now: orders under way are ended first"))
	defer cancel()
	c := candidate{s, make(chan error, 1)}
	select {
	case k.next <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-c.result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// generation is a configuration that is ready for use.
type generation struct {
	*site
	manager *manager.Manager
	at      *sockets
}

// prepare makes a configuration ready for use, with the sockets of the one before
// where they are the same.
func (k *keeper) prepare(ctx context.Context, s *site, held *sockets) (*generation, error) {
	if err := s.create(); err != nil {
		return nil, err
	}
	m, err := s.manager(k.options)
	if err != nil {
		return nil, err
	}
	at, err := s.open(ctx, m.Certificates, held)
	return &generation{s, m, at}, err
}

// run keeps what one configuration wants, until there is another that can be
// used. Between the two nothing runs.
func (k *keeper) run(ctx context.Context, s *site, ready func()) error {
	g, err := k.prepare(ctx, s, nil)
	if err != nil {
		return err
	}
	defer func() { g.at.close() }()
	for {
		next, err := k.serve(ctx, g, ready)
		if next == nil {
			return err
		}
		better, err := k.prepare(ctx, next.site, g.at)
		if err == nil {
			if better.at != g.at {
				g.at.close()
			}
			g = better
		}
		next.result <- err
	}
}

// serve keeps the certificates until ctx ends, or until there is a candidate.
func (k *keeper) serve(ctx context.Context, g *generation, ready func()) (*candidate, error) {
	m := g.manager
	if err := discardSimulated(m); err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.current = m
	k.mu.Unlock()
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, err := g.answer(limited, m, m.Certificates, g.at, cancel)
	if err != nil {
		return nil, err
	}
	defer stop()
	done := make(chan error, 1)
	go func() { done <- m.Run(limited) }()
	ready()
	select {
	case err := <-done:
		if ctx.Err() == nil {
			err = errors.Join(err, context.Cause(limited))
		}
		return nil, err
	case next := <-k.next:
		cancel(nil)
		return &next, <-done
	}
}

func (k *keeper) figures() []daemon.Figure {
	k.mu.Lock()
	m := k.current
	k.mu.Unlock()
	if m == nil {
		return nil
	}
	status, err := m.Status()
	if err != nil {
		return nil
	}
	var figures []daemon.Figure
	for _, s := range status {
		labels := map[string]string{"certificate": s.Name}
		failing := 0.0
		if s.LastError != "" {
			failing = 1
		}
		expires := 0.0
		if !s.Expires.IsZero() {
			expires = float64(s.Expires.Unix())
		}
		figures = append(figures,
			daemon.Figure{Name: "certd_expires_seconds", Help: "When the certificate ends, in seconds since 1970; 0 when there is none.", Labels: labels, Value: expires},
			daemon.Figure{Name: "certd_renewal_seconds", Help: "When the next one will be ordered.", Labels: labels, Value: float64(s.Renewal.Unix())},
			daemon.Figure{Name: "certd_failing", Help: "Whether the last attempt failed.", Labels: labels, Value: failing})
	}
	return figures
}
