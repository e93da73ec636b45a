// Package daemon is what the example programs that run on have in common: a
// logger, systemd's notifications and watchdog, SIGHUP, and figures for
// Prometheus and munin.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Flags are those of every command that runs on.
type Flags struct {
	Metrics string `placeholder:"ADDR" help:"Serve Prometheus text at http://ADDR/metrics."`
	Munin   string `placeholder:"ADDR" help:"Serve the same figures as a munin node at ADDR."`
}

// Service is a program that runs on.
type Service struct {
	// Run works until ctx ends, and calls ready once it serves. It drains
	// before it returns.
	Run func(ctx context.Context, ready func()) error
	// Reload reads the configuration again, on SIGHUP. When it fails the old
	// one stays. Nil: SIGHUP does nothing.
	Reload func(ctx context.Context) error
	// Figures returns what the program counts. Nil: nothing.
	Figures func() []Figure
	// Logger is told what happens; it must be set.
	Logger *slog.Logger
}

// Figure is one number of a program.
type Figure struct {
	Name    string // as Prometheus wants it: prog_things_total
	Help    string
	Counter bool // it only grows
	Labels  map[string]string
	Value   float64
}

// Logger returns a logger that writes text to a terminal, and JSON elsewhere.
func Logger(w io.Writer) *slog.Logger {
	if cli.IsTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

// Serve runs the service until ctx ends or it fails, and tells systemd (as
// sd_notify(3) says) when it is ready, reloads, and stops.
func (s Service) Serve(ctx context.Context, flags Flags) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)

	outer, cancel := context.WithCancel(ctx)
	defer cancel() // ends what serves figures when Run was never begun
	group, ctx := errgroup.WithContext(outer)
	if flags.Metrics != "" {
		if err := s.metrics(ctx, group, flags.Metrics); err != nil {
			return err
		}
	}
	if flags.Munin != "" {
		if err := s.munin(ctx, group, flags.Munin); err != nil {
			return err
		}
	}
	done := make(chan struct{})
	ready := func() { s.notify(daemon.SdNotifyReady) }
	group.Go(func() error {
		defer close(done)
		return s.Run(ctx, ready)
	})
	group.Go(func() error { return s.signals(ctx, done, reload) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) && context.Cause(ctx) != nil {
		return nil // drained, as it was told to
	}
	return err
}

// signals answers SIGHUP and systemd's watchdog until Run is done.
func (s Service) signals(ctx context.Context, done <-chan struct{}, reload <-chan os.Signal) error {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	var tick <-chan time.Time
	if every > 0 {
		ticker := time.NewTicker(every / 2)
		defer ticker.Stop()
		tick = ticker.C
	}
	stop := ctx.Done()
	for {
		select {
		case <-done:
			if stop != nil && ctx.Err() != nil {
				s.notify(daemon.SdNotifyStopping) // Run was faster
			}
			return nil
		case <-stop:
			s.notify(daemon.SdNotifyStopping)
			stop = nil // once
		case <-tick:
			s.notify(daemon.SdNotifyWatchdog)
		case <-reload:
			s.reload(ctx)
		}
	}
}

func (s Service) reload(ctx context.Context) {
	if s.Reload == nil || ctx.Err() != nil {
		return
	}
	s.notify(daemon.SdNotifyReloading)
	defer s.notify(daemon.SdNotifyReady)
	if err := s.Reload(ctx); err != nil {
		s.Logger.Error("the old configuration stays", "error", err)
		return
	}
	s.Logger.Info("configuration read again")
}

func (s Service) notify(state string) {
	if state == daemon.SdNotifyReloading {
		// RELOADING wants the time of the monotonic clock, for Type=notify-reload.
		state += fmt.Sprintf("\nMONOTONIC_USEC=%d", monotonic().Microseconds())
	}
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.Logger.Warn("systemd was not told", "state", state, "error", err)
	}
}

// metrics serves the figures.
func (s Service) metrics(ctx context.Context, group *errgroup.Group, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector(s.Figures))
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

// collector hands figures to Prometheus as they are when it asks.
type collector func() []Figure

// Describe describes nothing: which figures there are may change.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	if c == nil {
		return
	}
	for _, f := range c() {
		kind := prometheus.GaugeValue
		if f.Counter {
			kind = prometheus.CounterValue
		}
		metrics <- prometheus.MustNewConstMetric(prometheus.NewDesc(f.Name, f.Help, nil, f.Labels), kind, f.Value)
	}
}
