package muninconf

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/munin/node"
)

// verdicts are all of them, in the order of the graph.
var verdicts = []node.Verdict{node.Reachable, node.Slow, node.Unreachable, node.Denied, node.WrongName, node.NoPlugins, node.TLSRequired}

// Monitor probes the inventory's hosts again and again.
type Monitor struct {
	*Program
	Interval time.Duration
	Logger   *slog.Logger

	mu      sync.Mutex
	targets []node.Target
	reports []node.Report
	changed chan struct{}
}

// Serve runs until ctx ends, and shows what it found as a munin node, at [::1]
// port 4949 unless the flags say where.
func (m *Monitor) Serve(ctx context.Context, flags daemon.Flags) error {
	if m.Interval <= 0 {
		return &cli.UsageError{Err: fmt.Errorf("--interval %v: leave some time between the rounds", m.Interval)}
	}
	m.changed = make(chan struct{}, 1)
	if err := m.reload(ctx); err != nil {
		return err
	}
	if flags.Munin == "" {
		flags.Munin = "[::1]:4949"
	}
	return daemon.Service{Run: m.run, Reload: m.reload, Figures: m.figures, Logger: m.Logger}.Serve(ctx, flags)
}

// reload reads the inventory, and keeps the one that it has when it is wrong.
func (m *Monitor) reload(context.Context) error {
	list, err := m.Program.targets()
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.targets = list
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // a round is due already
	}
	return nil
}

// run probes at each interval, and after each reload.
func (m *Monitor) run(ctx context.Context, ready func()) error {
	ready()
	ticker := time.NewTicker(m.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-m.changed:
		}
		m.probe(ctx)
	}
}

func (m *Monitor) probe(ctx context.Context) {
	m.mu.Lock()
	list := m.targets
	m.mu.Unlock()
	reports, err := (&node.Prober{}).Probe(ctx, list)
	if err != nil {
		return // ctx ended
	}
	for _, r := range reports {
		if r.Err != nil {
			m.Logger.Warn("host", "name", r.Target.Name, "verdict", r.Verdict, "error", r.Err)
		}
	}
	m.mu.Lock()
	m.reports = reports
	m.mu.Unlock()
}

// figures are how many hosts have each verdict, and the estimate for all.
func (m *Monitor) figures() []daemon.Figure {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := map[node.Verdict]int{}
	for _, r := range m.reports {
		counts[r.Verdict]++
	}
	var list []daemon.Figure
	for _, v := range verdicts {
		list = append(list, daemon.Figure{Name: "muninconf_hosts", Help: "Hosts by verdict.", Labels: map[string]string{"verdict": string(v)}, Value: float64(counts[v])})
	}
	estimate := node.EstimateRound(m.reports, 0)
	return append(list,
		daemon.Figure{Name: "muninconf_round_seconds", Help: "Least time that a round of munin-update takes.", Value: estimate.Total.Seconds()},
		daemon.Figure{Name: "muninconf_longest_seconds", Help: "Time that the slowest host takes.", Value: estimate.Longest.Seconds()})
}
