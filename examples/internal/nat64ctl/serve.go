package nat64ctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/dns64"
	"github.com/berryrack/berryrack/nat64/frontend"
)

// DNS64 is `nat64ctl dns64`.
type DNS64 struct {
	Listen   string         `required:"" placeholder:"ADDR" help:"Where to answer, such as [::1]:53."`
	Upstream []string       `required:"" placeholder:"ADDR" help:"The resolvers to ask, with ports, in this order."`
	Prefix   nat64.Prefix   `help:"NAT64 prefix. Default: what is discovered, also when it changes."`
	Allow    []netip.Prefix `placeholder:"NET" help:"Who may ask. Default: this machine only."`
	OptOut   []string       `placeholder:"NAME" help:"Names that nothing is synthesized for, nor below them."`
	Rate     int            `help:"Queries a second that one client may ask. 0: 1000; negative: no limit."`
	daemon.Flags
}

// Run answers until ctx ends.
func (c *DNS64) Run(ctx context.Context, std cli.Streams) error {
	logger := daemon.Logger(std.Err)
	table, err := c.table(ctx)
	if err != nil {
		return err
	}
	forwarder := &dns64.Forwarder{Servers: c.Upstream}
	defer forwarder.Close()
	h := &dns64.Handler{Upstream: forwarder, Table: table, Allow: c.Allow, OptOut: c.OptOut, Rate: c.Rate, Logger: logger}
	return daemon.Service{
		Logger:  logger,
		Figures: func() []daemon.Figure { return dns64Figures(h.Stats()) },
		Run: func(ctx context.Context, ready func()) error {
			tcp, err := net.Listen("tcp", c.Listen)
			if err != nil {
				return err
			}
			udp, err := net.ListenPacket("udp", tcp.Addr().String())
			if err != nil {
				tcp.Close()
				return err
			}
			if !c.Prefix.IsValid() {
				following, stop := context.WithCancel(ctx)
				var follower sync.WaitGroup
				follower.Go(func() { follow(following, new(nat64.Discoverer), h, logger) })
				defer follower.Wait()
				defer stop()
			}
			logger.Info("serving", "dns64", tcp.Addr().String(), "prefix", table.Prefixes()[0].String())
			ready()
			return (&dns64.Server{Handler: h}).Serve(ctx, udp, tcp)
		},
	}.Serve(ctx, c.Flags)
}

func (c *DNS64) table(ctx context.Context) (*nat64.Table, error) {
	if c.Prefix.IsValid() {
		return nat64.TableOf(c.Prefix), nil
	}
	found, err := new(nat64.Discoverer).Discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("no --prefix is given, and none was discovered: %w", err)
	}
	return nat64.TableOf(found[0].Prefix), nil
}

// follow gives the handler the network's prefix each time that it changes,
// until ctx ends. While there is none, the last one stays.
func follow(ctx context.Context, d *nat64.Discoverer, h *dns64.Handler, logger *slog.Logger) {
	for found, err := range d.Watch(ctx) {
		switch {
		case err != nil:
			logger.Warn("discovery", "error", err)
		case len(found) > 0:
			logger.Info("discovered", "prefix", found[0].Prefix.String(), "source", string(found[0].Source))
			h.UseTable(nat64.TableOf(found[0].Prefix))
		}
	}
}

func dns64Figures(s dns64.Stats) []daemon.Figure {
	return []daemon.Figure{
		counter("nat64ctl_dns64_queries_total", "Queries that came.", s.Queries),
		counter("nat64ctl_dns64_synthesized_total", "Answers with records that were made here.", s.Synthesized),
		counter("nat64ctl_dns64_refused_total", "Queries of clients that may not ask.", s.Refused),
		counter("nat64ctl_dns64_limited_total", "Queries beyond a limit.", s.Limited),
		counter("nat64ctl_dns64_failed_total", "Queries that no upstream answered.", s.Failed),
	}
}

func counter(name, help string, value uint64) daemon.Figure {
	return daemon.Figure{Name: name, Help: help, Counter: true, Value: float64(value)}
}

// Reverse is `nat64ctl frontend`.
type Reverse struct {
	File string `short:"f" placeholder:"frontend.yaml" help:"The sites. Without it: /etc/berryrack/nat64ctl.yaml or else this machine's own web server, on loopback."`
	daemon.Flags
}

func (c *Reverse) read() (name string, config frontend.Config, err error) {
	name, data, err := cli.ConfigFile("nat64ctl", c.File, Frontend)
	if err != nil {
		return name, config, err
	}
	if config, err = ReadFrontend(name, data); err != nil {
		err = &cli.UsageError{Err: err}
	}
	return name, config, err
}

// Run serves until ctx ends and the connections are drained. SIGHUP reads the
// sites again.
func (c *Reverse) Run(ctx context.Context, std cli.Streams) error {
	logger := daemon.Logger(std.Err)
	name, config, err := c.read()
	if err != nil {
		return err
	}
	if c.File == "" {
		logger.Info("reading", "file", name)
	}
	f, err := frontend.New(config)
	if err != nil {
		return err
	}
	f.Logger = logger
	var reading sync.Mutex
	return daemon.Service{
		Logger:  logger,
		Figures: func() []daemon.Figure { return frontendFigures(f.Stats()) },
		Reload: func(context.Context) error {
			reading.Lock()
			defer reading.Unlock()
			_, next, err := c.read()
			if err != nil {
				return err
			}
			if !slices.Equal(next.Listen.TLS, config.Listen.TLS) || !slices.Equal(next.Listen.HTTP, config.Listen.HTTP) {
				return errors.New("listen has changed: that takes a restart")
			}
			return f.Update(next)
		},
		Run: func(ctx context.Context, ready func()) error {
			tls, plain, err := config.Listen.Open()
			if err != nil {
				return err
			}
			logger.Info("serving", "tls", addrs(tls), "http", addrs(plain), "sites", len(config.Sites))
			ready()
			return f.Serve(ctx, tls, plain)
		},
	}.Serve(ctx, c.Flags)
}

func addrs(listeners []net.Listener) []string {
	all := make([]string, len(listeners))
	for i, l := range listeners {
		all[i] = l.Addr().String()
	}
	return all
}

func frontendFigures(s frontend.Stats) []daemon.Figure {
	const prefix = "nat64ctl_frontend_"
	figures := []daemon.Figure{
		counter(prefix+"accepted_total", "Connections of clients.", s.Accepted),
		{Name: prefix + "active", Help: "Connections of clients now.", Value: float64(s.Active)},
		counter(prefix+"http_requests_total", "HTTP requests that were passed on.", s.Requests),
		counter(prefix+"to_clients_octets_total", "Octets of TLS connections to clients.", s.ToClients),
		counter(prefix+"to_backends_octets_total", "Octets of TLS connections to backends.", s.ToBackends),
	}
	for _, closed := range []struct {
		why   string
		count uint64
	}{
		{"limit", s.Limited}, {"slow", s.Slow}, {"junk", s.Junk}, {"no_site", s.NoSite}, {"no_backend", s.NoBackend}, {"loop", s.Loops}, {"idle", s.Idle},
	} {
		f := counter(prefix+"closed_total", "Connections and requests that were not served, by reason.", closed.count)
		f.Labels = map[string]string{"reason": closed.why}
		figures = append(figures, f)
	}
	for _, b := range s.Backends {
		labels := map[string]string{"backend": b.Addr.String()}
		up := 0.0
		if b.Up {
			up = 1
		}
		figures = append(figures,
			daemon.Figure{Name: prefix + "backend_up", Help: "Whether the backend answers.", Labels: labels, Value: up},
			daemon.Figure{Name: prefix + "backend_active", Help: "Connections to the backend now.", Labels: labels, Value: float64(b.Active)},
			daemon.Figure{Name: prefix + "backend_connections_total", Help: "Connections to the backend.", Counter: true, Labels: labels, Value: float64(b.Total)},
			daemon.Figure{Name: prefix + "backend_failed_total", Help: "Connections that the backend did not accept.", Counter: true, Labels: labels, Value: float64(b.Failed)})
	}
	return figures
}
