package muninconf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/munin/node"
)

// verdicts are all of them, in the order of the graph.
var verdicts = []node.Verdict{node.Reachable, node.Slow, node.Unreachable, node.Denied, node.WrongName, node.NoPlugins, node.TLSRequired}

// Service probes the inventory's hosts again and again, and shows what it found
// as a munin node.
type Service struct {
	*Program
	// Munin and Metrics are where to listen; Metrics may be "".
	Munin, Metrics string
	Interval       time.Duration
	Logger         *slog.Logger
	// Reload asks for the inventory to be read again.
	Reload <-chan os.Signal

	mu      sync.Mutex
	targets []node.Target
	reports []node.Report
}

// Run serves until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	_, m, err := s.inventory()
	if err != nil {
		return err
	}
	s.targets = targets(m)
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.Munin)
	if err != nil {
		return err
	}
	server := node.Server{Name: strings.TrimSuffix(name, "."), Plugins: []node.Plugin{{Name: "munin_nodes", Multigraph: true, Graphs: s.graphs}}, Logger: s.Logger}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(ctx, listener) })
	if s.Metrics != "" {
		if err := s.metrics(ctx, group); err != nil {
			listener.Close()
			return errors.Join(err, group.Wait())
		}
	}
	group.Go(func() error { return s.watchdog(ctx) })
	s.Logger.Info("serving", "munin", listener.Addr().String(), "hosts", len(s.targets))
	s.notify(daemon.SdNotifyReady)
	group.Go(func() error { return s.loop(ctx) })
	err = group.Wait()
	s.notify(daemon.SdNotifyStopping)
	return err
}

func (s *Service) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.Logger.Warn("systemd was not told", "state", state, "error", err)
	}
}

// loop probes at each interval, and after each reload.
func (s *Service) loop(ctx context.Context) error {
	ticker := time.NewTicker(s.Interval)
	defer ticker.Stop()
	for {
		s.probe(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.Reload:
			s.reload()
		}
	}
}

func (s *Service) probe(ctx context.Context) {
	s.mu.Lock()
	list := s.targets
	s.mu.Unlock()
	reports, err := (&node.Prober{}).Probe(ctx, list)
	if err != nil {
		return // ctx ended
	}
	for _, r := range reports {
		if r.Err != nil {
			s.Logger.Warn("host", "name", r.Target.Name, "verdict", r.Verdict, "error", r.Err)
		}
	}
	s.mu.Lock()
	s.reports = reports
	s.mu.Unlock()
}

// reload keeps the inventory that it has when the new one is wrong.
func (s *Service) reload() {
	s.notify(daemon.SdNotifyReloading)
	defer s.notify(daemon.SdNotifyReady)
	_, m, err := s.inventory()
	if err != nil {
		s.Logger.Error("inventory not read again: the old one stays", "error", err)
		return
	}
	s.mu.Lock()
	s.targets = targets(m)
	s.mu.Unlock()
	s.Logger.Info("inventory read again", "hosts", len(s.targets))
}

func (s *Service) watchdog(ctx context.Context) error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return err
	}
	ticker := time.NewTicker(every / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.notify(daemon.SdNotifyWatchdog)
		}
	}
}

// count returns how many hosts have each verdict, and the estimate for all.
func (s *Service) count() (map[node.Verdict]int, node.Estimate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[node.Verdict]int{}
	for _, r := range s.reports {
		counts[r.Verdict]++
	}
	return counts, node.EstimateRound(s.reports, 0)
}

// graphs is the plugin.
func (s *Service) graphs(context.Context) ([]node.Graph, error) {
	counts, estimate := s.count()
	hosts := node.Graph{Name: "munin_nodes", Attributes: []node.Attribute{{Key: "graph_title", Value: "Munin nodes"}, {Key: "graph_category", Value: "munin"}, {Key: "graph_vlabel", Value: "hosts"}, {Key: "graph_args", Value: "--base 1000 --lower-limit 0"}}}
	for _, v := range verdicts {
		hosts.Fields = append(hosts.Fields, node.Field{Name: fieldName(v), Attributes: []node.Attribute{{Key: "label", Value: string(v)}, {Key: "draw", Value: "AREASTACK"}}, Values: node.Now(float64(counts[v]))})
	}
	round := node.Graph{Name: "munin_round", Attributes: []node.Attribute{{Key: "graph_title", Value: "Least time for a round of munin-update"}, {Key: "graph_category", Value: "munin"}, {Key: "graph_vlabel", Value: "seconds"}},
		Fields: []node.Field{{Name: "total", Attributes: []node.Attribute{{Key: "label", Value: "all hosts"}, {Key: "warning", Value: fmt.Sprintf(":%.0f", node.Round.Seconds())}}, Values: node.Now(estimate.Total.Seconds())},
			{Name: "longest", Attributes: []node.Attribute{{Key: "label", Value: "longest host"}}, Values: node.Now(estimate.Longest.Seconds())}}}
	return []node.Graph{hosts, round}, nil
}

func fieldName(v node.Verdict) string {
	return strings.ToLower(strings.ReplaceAll(string(v), " ", "_"))
}

// metrics serves the same figures as Prometheus text.
func (s *Service) metrics(ctx context.Context, group *errgroup.Group) error {
	listener, err := net.Listen("tcp", s.Metrics)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	for _, v := range verdicts {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "muninconf_hosts", Help: "Hosts by verdict.", ConstLabels: prometheus.Labels{"verdict": string(v)}}, func() float64 {
			counts, _ := s.count()
			return float64(counts[v])
		}))
	}
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "muninconf_round_seconds", Help: "Least time that a round of munin-update takes."}, func() float64 {
		_, estimate := s.count()
		return estimate.Total.Seconds()
	}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	s.Logger.Info("serving", "metrics", listener.Addr().String())
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Close()
	})
	return nil
}
