package dnssecd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
)

// runner runs what one configuration wants, and then the next.
type runner struct {
	options Options
	manager *manager.Manager
	server  *server.Server

	mutex   sync.Mutex
	site    *site
	rebound chan struct{} // listen or tsig changed
	bound   []string      // what could be listened on last, of serve
}

// Run serves and looks after the zones until ctx ends.
func Run(ctx context.Context, o Options, flags daemon.Flags, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	m, err := s.manager(o)
	if err != nil {
		return err
	}
	r := &runner{options: o, manager: m, site: s, rebound: make(chan struct{}, 1)}
	r.server = &server.Server{TSIG: s.secrets(), Logger: o.Log}
	m.Server = r.server
	return permitted(daemon.Service{Run: r.run, Reload: r.reload, Figures: r.figures, Logger: o.Log}.Serve(ctx, flags))
}

// run looks after the zones, and serves: with other sockets and keys when the
// configuration has changed.
func (r *runner) run(ctx context.Context, ready func()) error {
	group, ctx := errgroup.WithContext(ctx)
	var both sync.WaitGroup
	both.Add(2)
	group.Go(func() error { return r.manager.Run(ctx, sync.OnceFunc(both.Done)) })
	group.Go(func() error {
		serving := sync.OnceFunc(both.Done)
		for ctx.Err() == nil {
			if err := r.serve(ctx, serving); err != nil {
				return err
			}
		}
		return nil
	})
	go func() {
		both.Wait()
		if ctx.Err() == nil {
			ready()
		}
	}()
	err := group.Wait()
	if ctx.Err() != nil && err == nil {
		return nil
	}
	return err
}

// serve answers on all addresses until ctx ends or the configuration wants others.
func (r *runner) serve(ctx context.Context, serving func()) error {
	r.mutex.Lock()
	listen := r.site.Listen
	r.server.TSIG = r.site.secrets() // nothing is served now
	r.mutex.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, address := range listen {
		tcp, udp, err := bind(address)
		if err != nil {
			cancel()
			return r.stay(listen, errors.Join(err, group.Wait()))
		}
		r.options.Log.Info("serving", "address", tcp.Addr().String())
		group.Go(func() error { return r.server.Serve(ctx, udp, tcp) })
	}
	serving()
	r.bound = listen
	select {
	case <-ctx.Done():
	case <-r.rebound:
	}
	cancel()
	return group.Wait()
}

// stay goes back to the addresses before, when those that a configuration brought
// cannot be listened on.
func (r *runner) stay(listen []string, err error) error {
	if r.bound == nil || slices.Equal(listen, r.bound) {
		return err
	}
	r.options.Log.Error("cannot listen where the configuration says", "error", err, "stays", r.bound)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if slices.Equal(r.site.Listen, listen) {
		r.site.Listen = r.bound
	}
	return nil
}

// bind opens a TCP and a UDP socket with one port.
func bind(address string) (net.Listener, net.PacketConn, error) {
	for {
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: is another server there? listen in dnssecd.yaml says where", err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return tcp, udp, nil
		}
		err = errors.Join(err, tcp.Close())
		if _, port, _ := net.SplitHostPort(address); port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// reload takes over the zones of a configuration that was read again.
func (r *runner) reload(context.Context) error {
	s, err := read(r.options.Config, io.Discard)
	if err != nil {
		return err
	}
	if (s.PassphraseFile != "") != (r.site.PassphraseFile != "") {
		return errors.New("passphrase_file came or went: that needs a restart")
	}
	if err := r.manager.Configure(s.zones); err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	old := r.site
	r.site = s
	if !slices.Equal(old.Listen, s.Listen) || !slices.Equal(old.keys, s.keys) {
		select {
		case r.rebound <- struct{}{}:
		default:
		}
	}
	return nil
}

func (r *runner) figures() []daemon.Figure {
	c := r.manager.Counters()
	counter := func(name, help string, value uint64) daemon.Figure {
		return daemon.Figure{Name: "dnssecd_" + name + "_total", Help: help, Counter: true, Value: float64(value)}
	}
	figures := []daemon.Figure{
		counter("turns", "Times that a zone was looked after.", c.Turns.Load()),
		counter("signatures", "Signatures that were made.", c.Signed.Load()),
		counter("signatures_reused", "Signatures that were taken over from an earlier version of a zone.", c.Reused.Load()),
		counter("keys", "Keys that were made.", c.KeysMade.Load()),
		counter("errors", "Things that went wrong.", c.Errors.Load()),
		counter("updates", "Dynamic updates that were carried out.", c.Updates.Load()),
		counter("updates_refused", "Dynamic updates that were not.", c.UpdatesRefused.Load()),
		counter("notifies_received", "NOTIFY messages of primaries.", c.Notified.Load()),
		counter("notify_errors", "Secondaries that could not be notified.", c.NotifyErrors.Load()),
		counter("transfers_in", "Versions of zones that came from a primary.", c.Fetched.Load()),
		counter("transfer_errors", "Transfers from a primary that failed.", c.FetchErrors.Load()),
		counter("lodged", "DS sets that a registrar was asked for.", c.Lodged.Load()),
		counter("lodge_errors", "Requests to a registrar that failed.", c.LodgeErrors.Load()),
	}
	if at, ok := r.manager.EarliestExpiry(); ok {
		figures = append(figures, daemon.Figure{
			Name: "dnssecd_expiry_seconds", Help: "Time until the first signature of any zone ends.", Value: time.Until(at).Seconds(),
		})
	}
	return figures
}
