package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/munin/node"
)

// result is what one kind of attack came to, as the hostile Pi tells it.
type result struct {
	Attack   string
	Tried    int
	Breaches []string
}

// order and target are what the hostile Pi is told.
type order struct {
	Own        target
	Others     []target
	Device     string
	VLANs      []uint16
	Management []string
	Secret     string
}

type target struct {
	Server, Client fmt.Stringer
	Export         string
}

// samples are what the frontend's munin node said, every second.
type samples struct {
	mu    sync.Mutex
	times []time.Time
	// values by field: the figures of one multigraph plugin.
	values map[string][]float64
	fields []string
}

// take asks the node as munin-update does, until ctx ends.
func (s *samples) take(ctx context.Context, w world) {
	s.values = map[string][]float64{}
	for sleep(ctx, time.Second) {
		if err := s.fetch(ctx, w); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "day: munin node:", err)
		}
	}
}

func (s *samples) fetch(ctx context.Context, w world) error {
	conn, err := w.dial(ctx, nil, nodeAddress)
	if err != nil {
		return err
	}
	client, err := node.NewClient(ctx, conn, node.Limits{})
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Cap(ctx, "multigraph"); err != nil {
		return err
	}
	graphs, err := client.Fetch(ctx, "figures")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.times)
	s.times = append(s.times, time.Now())
	for _, g := range graphs {
		for _, f := range g.Fields {
			if len(f.Values) == 0 {
				continue
			}
			key := g.Name + " " + f.Name
			if _, seen := s.values[key]; !seen {
				s.fields = append(s.fields, key)
			}
			s.values[key] = append(append(s.values[key], make([]float64, n-len(s.values[key]))...), f.Values[0].Number)
		}
	}
	return nil
}

// report writes what was seen, and returns an error when it was not as it must be.
func (d *day) report() error {
	if err := os.MkdirAll(d.out, 0o755); err != nil {
		return err
	}
	var breaches []string
	for _, a := range d.attacks {
		breaches = append(breaches, a.Breaches...)
	}
	text := d.text(breaches)
	fmt.Print("\n", text)
	err := errors.Join(
		os.WriteFile(filepath.Join(d.out, "report.md"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(d.out, "munin.svg"), []byte(d.graph()), 0o644))
	switch {
	case err != nil:
		return err
	case d.visitors.failures > 0:
		return fmt.Errorf("%d visitors had an error", d.visitors.failures)
	case d.names.bogus.Load() > 0:
		return fmt.Errorf("%d answers were not validated, the last: %s", d.names.bogus.Load(), *d.names.problem.Load())
	case len(breaches) > 0:
		return fmt.Errorf("%s could do what it must not: %s", hostile, strings.Join(breaches, "; "))
	}
	return nil
}

func (d *day) text(breaches []string) string {
	var b strings.Builder
	v := &d.visitors
	visited := time.Since(d.events[5].at).Seconds()
	fmt.Fprintf(&b, "# The day\n\n| | |\n|---|---:|\n")
	row := func(what string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", what, value) }
	row("visitors at a time", v.number)
	row("their connections in all", v.connections.Load())
	row("requests", v.requests.Load())
	row("requests a second that were asked for", v.rate)
	row("requests a second", fmt.Sprintf("%.0f", float64(v.requests.Load())/visited))
	row("visitors' errors", v.failures)
	row("answered in the median", v.latency(0.5).Round(time.Millisecond/10))
	row("99 of 100 within", v.latency(0.99).Round(time.Millisecond))
	row("the slowest", v.latency(1).Round(time.Millisecond))
	for _, server := range slices.Sorted(maps.Keys(v.by)) {
		row("answers of "+server, v.by[server])
	}
	row("connections with the first certificate", v.serials[d.renewed[0]])
	row("with the renewed one", v.serials[d.renewed[1]])
	row("the ZSK, before and after", fmt.Sprintf("%x, %x", d.names.keys[0][:4], d.names.keys[1][:4]))
	row("names asked of a validating resolver", d.names.asked.Load())
	row("answers that were bogus, or none", d.names.bogus.Load())
	for _, a := range d.attacks {
		row(fmt.Sprintf("%s, %s: tried", hostile, a.Attack), a.Tried)
	}
	row("of these, it could", len(breaches))
	b.WriteString("\n| s | what happened | took |\n|---:|---|---:|\n")
	for _, e := range d.events {
		fmt.Fprintf(&b, "| %.0f | %s | %.1f s |\n", e.at.Sub(d.began).Seconds(), e.what, e.took.Seconds())
	}
	for _, e := range append(v.errors, breaches...) {
		fmt.Fprintf(&b, "\n- %s", e)
	}
	return b.String()
}
