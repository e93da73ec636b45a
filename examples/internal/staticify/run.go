package staticify

import (
	"context"
	"log/slog"
	"sync"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/staticify"
)

// Run is `staticify run`.
type Run struct {
	daemon.Flags
}

// Run keeps the site's pages published until ctx ends. SIGHUP reads the
// configuration again.
func (r *Run) Run(ctx context.Context, s *Source, std cli.Streams) error {
	k := &keeper{source: s, log: daemon.Logger(std.Err), next: make(chan *staticify.Site, 1)}
	site, err := k.read()
	if err != nil {
		return err
	}
	k.next <- site
	readable()
	return daemon.Service{Run: k.run, Reload: k.reload, Figures: k.figures, Logger: k.log}.Serve(ctx, r.Flags)
}

// keeper runs a site, and another one when the configuration changed.
type keeper struct {
	source *Source
	log    *slog.Logger
	next   chan *staticify.Site

	mu      sync.Mutex
	current *staticify.Site
}

func (k *keeper) read() (*staticify.Site, error) {
	config, err := k.source.MustConfig()
	if err != nil {
		return nil, err
	}
	return config.site(k.source.State, k.log)
}

func (k *keeper) reload(ctx context.Context) error {
	site, err := k.read()
	if err != nil {
		return err
	}
	select {
	case k.next <- site:
	case <-ctx.Done():
	}
	return nil
}

// run runs each site until there is another. What was counted goes from one to
// the next by the state directory, and what is published stays meanwhile.
func (k *keeper) run(ctx context.Context, ready func()) error {
	site := <-k.next
	for {
		k.mu.Lock()
		k.current = site
		k.mu.Unlock()
		limited, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() {
			if _, err := site.RunOnce(limited); err != nil && limited.Err() == nil {
				k.log.Error("first round", "error", err)
			}
			ready()
			done <- site.Run(limited)
		}()
		select {
		case err := <-done:
			cancel()
			return err
		case site = <-k.next:
		}
		cancel()
		if err := <-done; err != nil {
			return err
		}
	}
}

// figures are the counters of the site that runs now.
func (k *keeper) figures() []daemon.Figure {
	k.mu.Lock()
	site := k.current
	k.mu.Unlock()
	if site == nil {
		return nil
	}
	c := site.Counters()
	figures := []daemon.Figure{
		{Name: "staticify_files", Help: "Pages that are files.", Value: float64(site.Published())},
		{Name: "staticify_renders_total", Help: "Pages that the origin answered in full, or as unchanged.", Counter: true, Value: float64(c.Renders)},
		{Name: "staticify_changed_total", Help: "Renders that gave a page that was new or different.", Counter: true, Value: float64(c.Changed)},
		{Name: "staticify_generations_total", Help: "Generations made.", Counter: true, Value: float64(c.Generations)},
		{Name: "staticify_errors_total", Help: "Rounds in which something did not work.", Counter: true, Value: float64(c.Errors)},
	}
	for reason, n := range c.Refusals {
		figures = append(figures, daemon.Figure{
			Name: "staticify_refusals_total", Help: "Renders that were not for everybody.", Counter: true, Labels: map[string]string{"reason": reason}, Value: float64(n),
		})
	}
	return figures
}
