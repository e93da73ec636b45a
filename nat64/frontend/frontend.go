package frontend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var errLoop = errors.New("connection came from this frontend")

// kind is what a listener's clients speak.
type kind int

const (
	kindTLS kind = iota
	kindHTTP
)

// A Frontend is a reverse proxy. [New] makes one. It serves once; its other
// methods are safe for concurrent use.
type Frontend struct {
	// Logger tells of backends that go and come, and clients that cannot be served. Nil: silent.
	// It must not change once the frontend serves.
	Logger *slog.Logger

	routes    atomic.Pointer[routes]
	counters  counters
	outgoing  sync.Map // our ends of the connections to backends, by ends
	pipes     pipes
	buffers   sync.Pool // *[]byte, for ClientHellos
	copies    copies
	pseudonym string // in Via

	mu       sync.Mutex
	backends map[backendKey]*backend
	clients  map[netip.Addr]int
	tracked  map[tracked]struct{} // connections that the sweeper looks at
	start    func(*backend)       // starts to probe; nil unless serving
}

// New returns a frontend for the configuration, or all that is wrong with it.
func New(config Config) (*Frontend, error) {
	f := &Frontend{
		pseudonym: "berryrack-" + rand.Text()[:12],
		clients:   map[netip.Addr]int{},
		tracked:   map[tracked]struct{}{},
	}
	f.buffers.New = func() any { buf := make([]byte, 0, 2048); return &buf }
	if err := f.Update(config); err != nil {
		return nil, err
	}
	return f, nil
}

// Update changes to another configuration, or returns all that is wrong with
// it and changes nothing. New connections and requests go by the new
// configuration; those that there are stay with their backends until they end.
// Listen is not looked at, and the limits of HTTP headers stay those that it
// began to serve with.
func (f *Frontend) Update(config Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	config.Limits = config.Limits.withDefaults()
	f.mu.Lock()
	defer f.mu.Unlock()
	next := &routes{config: config, sites: map[string]*site{}}
	kept := map[backendKey]*backend{}
	for _, s := range config.Sites {
		built := &site{Site: s}
		for _, addr := range s.Backends {
			built.backends = append(built.backends, f.backend(kept, &config, &s, addr))
		}
		built.http = f.newTransport(built)
		next.all = append(next.all, built)
		for _, name := range s.Names {
			next.sites[canonical(name)] = built
		}
	}
	previous := f.routes.Swap(next)
	for key, b := range f.backends {
		if kept[key] == nil && b.stop != nil {
			b.stop()
		}
	}
	f.backends = kept
	f.startProbes()
	if previous != nil {
		for _, s := range previous.all {
			s.http.CloseIdleConnections()
		}
	}
	return nil
}

// backend returns the backend that is in use for the address, or a new one.
func (f *Frontend) backend(kept map[backendKey]*backend, c *Config, s *Site, addr netip.Addr) *backend {
	b := &backend{addr: addr}
	if s.Health.TCP {
		probed := kindTLS
		if s.Ports.TLS == 0 && (s.Ports.HTTP != 0 || len(c.Listen.TLS) == 0 && len(c.Listen.HTTP) > 0) {
			probed = kindHTTP
		}
		b.probe, b.every = netip.AddrPortFrom(addr, s.port(probed)), s.Health.Interval
	}
	key := b.key()
	switch {
	case kept[key] != nil:
		return kept[key]
	case f.backends[key] != nil:
		b = f.backends[key]
	}
	kept[key] = b
	return b
}

// startProbes starts to probe the backends that are not probed yet.
func (f *Frontend) startProbes() {
	if f.start == nil {
		return
	}
	for _, b := range f.backends {
		if b.stop == nil && b.probe.IsValid() {
			f.start(b)
		}
	}
}

// ListenAndServe listens as the configuration says, and serves.
func (f *Frontend) ListenAndServe(ctx context.Context) error {
	tls, plain, err := f.routes.Load().config.Listen.Open()
	if err != nil {
		return err
	}
	return f.Serve(ctx, tls, plain)
}

// Open listens on all addresses, or on none.
func (l Listen) Open() (tls, plain []net.Listener, err error) {
	open := func(addrs []string) (listeners []net.Listener) {
		for _, addr := range addrs {
			listener, failed := net.Listen(network(addr), addr)
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("frontend: %w", failed))
				continue
			}
			listeners = append(listeners, listener)
		}
		return listeners
	}
	tls, plain = open(l.TLS), open(l.HTTP)
	if len(l.TLS)+len(l.HTTP) == 0 {
		err = errors.New("frontend: nowhere to listen")
	}
	if err != nil {
		for _, listener := range slices.Concat(tls, plain) {
			listener.Close()
		}
		return nil, nil, err
	}
	return tls, plain, nil
}

// network keeps "[::]:443" from taking the IPv4 port that "0.0.0.0:443" wants.
func network(addr string) string {
	ap, err := netip.ParseAddrPort(addr)
	switch {
	case err != nil:
		return "tcp"
	case ap.Addr().Is4():
		return "tcp4"
	}
	return "tcp6"
}

// Serve serves the clients of the listeners, which accept *net.TCPConn, until
// ctx ends. It then closes the listeners, gives connections the time of
// Limits.Drain to end, resets the rest, and returns nil. It returns before ctx
// ends only if a listener fails.
func (f *Frontend) Serve(parent context.Context, tls, plain []net.Listener) error {
	limits := f.routes.Load().config.Limits
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	work, endWork := context.WithCancel(context.WithoutCancel(ctx)) // probes, sweeps and dials go on while it drains
	defer endWork()
	var background, clients, accepting sync.WaitGroup
	f.startServing(work, &background)
	background.Go(func() { f.sweep(work) })

	web := f.newHTTPServer(limits)
	web.BaseContext = func(net.Listener) context.Context { return work }
	for _, l := range tls {
		accepting.Go(func() { cancel(f.acceptTLS(ctx, work, l, &clients)) })
	}
	for _, l := range plain {
		accepting.Go(func() { cancel(web.Serve(&admission{l, f, &clients})) })
	}
	<-ctx.Done()
	drain, endDrain := context.WithTimeout(context.WithoutCancel(ctx), limits.Drain)
	defer endDrain()
	for _, l := range tls {
		l.Close()
	}
	if web.Shutdown(drain) != nil {
		web.Close()
	}
	accepting.Wait()
	context.AfterFunc(drain, endWork)
	f.wait(drain, &clients)
	endWork()
	background.Wait()
	f.stopServing()
	if parent.Err() == nil {
		return fmt.Errorf("frontend: %w", context.Cause(ctx))
	}
	return nil
}

// startServing lets backends be probed until work ends.
func (f *Frontend) startServing(work context.Context, background *sync.WaitGroup) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start = func(b *backend) {
		probing, stop := context.WithCancel(work)
		b.stop = stop
		background.Go(func() { f.watch(probing, b) })
	}
	f.startProbes()
}

func (f *Frontend) stopServing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.start = nil
	f.pipes.closeIdle()
	for _, s := range f.routes.Load().all {
		s.http.CloseIdleConnections()
	}
}

// wait waits for the clients until ctx ends, and then resets their connections.
func (f *Frontend) wait(ctx context.Context, clients *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { clients.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	for again := time.NewTicker(10 * time.Millisecond); ; { // some may just be about to be relayed
		for _, t := range f.allTracked() {
			t.abort()
		}
		select {
		case <-done:
			again.Stop()
			return
		case <-again.C:
		}
	}
}

func (f *Frontend) info(message string, args ...any)  { f.log(slog.LevelInfo, message, args...) }
func (f *Frontend) warn(message string, args ...any)  { f.log(slog.LevelWarn, message, args...) }
func (f *Frontend) debug(message string, args ...any) { f.log(slog.LevelDebug, message, args...) }

func (f *Frontend) log(level slog.Level, message string, args ...any) {
	if f.Logger != nil {
		f.Logger.Log(context.Background(), level, message, args...)
	}
}

// isOwn reports whether the client is this frontend, at the other end of a
// connection to a backend.
func (f *Frontend) isOwn(c client) bool {
	_, own := f.outgoing.Load(ends{local: c.remote, remote: c.local})
	return own
}

// copies are the buffers of HTTP bodies.
type copies struct{ pool sync.Pool }

const copySize = 32 << 10

func (c *copies) Get() []byte {
	if buf, ok := c.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, copySize)
}

func (c *copies) Put(buf []byte) { c.pool.Put(&buf) }

// An activity is what the sweeper knows of a connection.
type activity struct {
	octets atomic.Uint64 // both ways
	swept  uint64        // octets when the sweeper last saw some move, and when that was
	since  time.Time
}

// A tracked connection is reset when it is idle: TLS clients' pairs, and HTTP clients.
type tracked interface {
	idleSince(now time.Time, idle time.Duration) bool
	abort()
}

// sweep resets connections that nothing has moved on for Limits.Idle, be it
// that both sides are silent or that one takes nothing.
func (f *Frontend) sweep(ctx context.Context) {
	for {
		idle := f.routes.Load().config.Limits.Idle
		select {
		case <-ctx.Done():
			return
		case now := <-time.After(idle / 8):
			for _, t := range f.allTracked() {
				if t.idleSince(now, idle) {
					f.counters.idle.Add(1)
					t.abort()
				}
			}
		}
	}
}

// idleSince reports whether nothing has moved for the given time. Only the
// sweeper asks.
func (a *activity) idleSince(now time.Time, idle time.Duration) bool {
	if octets := a.octets.Load(); octets != a.swept || a.since.IsZero() {
		a.swept, a.since = octets, now
	}
	return now.Sub(a.since) >= idle
}

func (f *Frontend) allTracked() []tracked {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]tracked, 0, len(f.tracked))
	for t := range f.tracked {
		all = append(all, t)
	}
	return all
}

func (f *Frontend) track(t tracked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tracked[t] = struct{}{}
}

func (f *Frontend) forget(t tracked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tracked, t)
}
