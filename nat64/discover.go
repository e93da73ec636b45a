package nat64

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	defaultWait = 2 * time.Second
	// routerWait is how much longer a router may take than the DNS: it is preferred (RFC 9872).
	routerWait = 100 * time.Millisecond
	// refreshEarly is how long before its TTL ends a prefix is asked for again (RFC 7050, section 3).
	refreshEarly = 10 * time.Second
	minRefresh   = time.Second
	firstRetry   = 2 * time.Second
	lastRetry    = 5 * time.Minute
	// recheck is after what time a network without a prefix is asked again.
	recheck = time.Minute
	// flightTime is what a discovery for all callers of Prefixes may take.
	flightTime = 30 * time.Second
)

// A Source is where a prefix is known from.
type Source string

const (
	RouterAdvertisement Source = "router advertisement" // RFC 8781, preferred (RFC 9872)
	DNS64Answer         Source = "DNS64"                // RFC 7050
)

// A Found is a prefix that the network announces.
type Found struct {
	// Prefix is what IPv4 addresses are to be embedded in.
	Prefix Prefix
	// Source is how it is known.
	Source Source
	// Expires is when it must not be used any more, unless it is announced again.
	Expires time.Time
	// Paired says that an announcement is beyond doubt: by a router, or by AAAA records for both
	// addresses of ipv4only.arpa. A single AAAA record that can be read in one way only is believed too.
	Paired bool
	// From is the router, or the resolver.
	From string
}

// A Discoverer learns the NAT64 prefixes of the network. The zero Discoverer
// is ready for use, and safe for concurrent use.
//
// Router Advertisements come from the kernel over netlink, on Linux, without
// any privilege, where the kernel reads them (accept_ra is 1, or 2 on a host
// that forwards). Where another program does, such as systemd-networkd, and on
// other systems, there is only the DNS.
type Discoverer struct {
	// Servers are the network's resolvers, with ports. Nil: those of /etc/resolv.conf.
	Servers []string
	// Wait is how long Discover listens for a Router Advertisement when the DNS knows no prefix. 0: 2 s.
	// When it knows one, Discover listens for 100 ms, or for Wait if that is less.
	Wait time.Duration
	// Logger tells what fails while another way still works. Nil: silent.
	Logger *slog.Logger

	listen func(context.Context, chan<- advertised) error // the kernel's, unless a test has another
	query  func(context.Context) ([]Found, error)

	mu     sync.Mutex
	cached answer
	flight chan struct{} // closed when the discovery for all callers is done; nil when there is none
}

// An answer is what was found when, or why nothing was.
type answer struct {
	found []Found
	err   error
	at    time.Time
	renew time.Time // when to ask again, while this is still good
	until time.Time
}

// An advertised is a PREF64 option that a router has sent.
type advertised struct {
	prefix   Prefix
	lifetime time.Duration // 0 withdraws
	from     string        // the router's address and interface
}

// Discover returns the network's prefixes, those of routers first. It fails
// with [ErrNoPrefix] where there is none, as far as the network says, and
// otherwise with what kept it from asking.
func (d *Discoverer) Discover(ctx context.Context) ([]Found, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, ended := d.events(ctx)
	defer func() { cancel(); <-ended }()
	known := prefixes{}
	asked := make(chan answer, 1)
	go func() {
		found, err := d.Ask(ctx)
		asked <- answer{found: found, err: err}
	}()
	var timeout <-chan time.Time
	var failed error
	for {
		select {
		case event := <-events:
			known.advertise(event, time.Now())
			if timeout != nil && len(known.routers) > 0 {
				return known.list(time.Now()), nil
			}
		case a := <-asked:
			known.dns, failed = a.found, a.err
			if len(known.routers) > 0 {
				return known.list(time.Now()), nil
			}
			wait := cmp.Or(d.Wait, defaultWait)
			if len(known.dns) > 0 {
				wait = min(wait, routerWait)
			}
			timeout = time.After(wait)
		case <-timeout:
			if found := known.list(time.Now()); len(found) > 0 {
				return found, nil
			}
			return nil, cmp.Or(failed, ErrNoPrefix)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Ask asks the resolvers only (RFC 7050), and remembers nothing.
func (d *Discoverer) Ask(ctx context.Context) ([]Found, error) {
	if d.query != nil {
		return d.query(ctx)
	}
	return d.askServers(ctx)
}

// events listens to the routers until ctx ends, and then closes ended.
func (d *Discoverer) events(ctx context.Context) (events <-chan advertised, ended <-chan struct{}) {
	listen := d.listen
	if listen == nil {
		listen = listenToRouters
	}
	c, done := make(chan advertised), make(chan struct{})
	go func() {
		defer close(done)
		if err := listen(ctx, c); err != nil && ctx.Err() == nil {
			d.log("no router advertisements", err)
		}
	}()
	return c, done
}

func (d *Discoverer) log(message string, err error) {
	if d.Logger != nil {
		d.Logger.Warn(message, "error", err)
	}
}

// prefixes are those that are known now.
type prefixes struct {
	routers []Found
	dns     []Found
}

// advertise takes in what a router says: a lifetime of 0 withdraws (RFC 8781, section 4).
func (p *prefixes) advertise(a advertised, now time.Time) {
	f := Found{a.prefix, RouterAdvertisement, now.Add(a.lifetime), true, a.from}
	i := slices.IndexFunc(p.routers, func(known Found) bool { return known.Prefix == f.Prefix && known.From == f.From })
	switch {
	case a.lifetime == 0 && i >= 0:
		p.routers = slices.Delete(p.routers, i, i+1)
	case a.lifetime == 0:
	case i >= 0:
		p.routers[i] = f // in its place: saying it again changes nothing
	default:
		p.routers = append(p.routers, f)
	}
}

// list returns what has not expired, each prefix once: the routers' first,
// then pairs, then what is only likely.
func (p *prefixes) list(now time.Time) []Found {
	expired := func(f Found) bool { return !now.Before(f.Expires) }
	p.routers = slices.DeleteFunc(p.routers, expired)
	p.dns = slices.DeleteFunc(p.dns, expired)
	var all []Found
	for _, f := range slices.Concat(p.routers, p.dns) {
		if !slices.ContainsFunc(all, func(other Found) bool { return other.Prefix == f.Prefix }) {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Found) int {
		if a.Paired == b.Paired {
			return 0
		}
		if a.Paired {
			return -1
		}
		return 1
	})
	return all
}

// next returns when something that is known expires.
func (p *prefixes) next() (at time.Time) {
	for _, f := range slices.Concat(p.routers, p.dns) {
		if at.IsZero() || f.Expires.Before(at) {
			at = f.Expires
		}
	}
	return at
}

// Watch discovers until ctx or the loop ends. It yields the prefixes that are
// known each time that they change, also when there are none any more, and at
// first; prefixes are asked for again before they expire. With an error the
// prefixes are still those that are known: the network did not answer, and is
// asked again, ever less often.
func (d *Discoverer) Watch(ctx context.Context) iter.Seq2[[]Found, error] {
	return func(yield func([]Found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		events, ended := d.events(ctx)
		defer func() { cancel(); <-ended }()
		w := watcher{d: d, retry: firstRetry, ask: time.Now()}
		for ctx.Err() == nil {
			if !w.step(ctx, events, yield) {
				return
			}
		}
	}
}

// A watcher is the state of one Watch.
type watcher struct {
	d       *Discoverer
	known   prefixes
	last    []Prefix
	started bool
	ask     time.Time // when the DNS is to be asked
	retry   time.Duration
}

// step waits for one thing to happen and reports whether to go on.
func (w *watcher) step(ctx context.Context, events <-chan advertised, yield func([]Found, error) bool) bool {
	wake := w.ask
	if at := w.known.next(); !at.IsZero() && at.Before(wake) {
		wake = at
	}
	timer := time.NewTimer(time.Until(wake))
	defer timer.Stop()
	var failed error
	select {
	case <-ctx.Done():
		return false
	case event := <-events:
		w.known.advertise(event, time.Now())
	case <-timer.C:
		if !time.Now().Before(w.ask) {
			failed = w.refresh(ctx)
		}
	}
	if ctx.Err() != nil {
		return false
	}
	found := w.known.list(time.Now())
	w.d.remember(found, failed)
	current := make([]Prefix, len(found))
	for i, f := range found {
		current[i] = f.Prefix
	}
	if w.started && failed == nil && slices.Equal(current, w.last) {
		return true
	}
	w.started, w.last = true, current
	return yield(found, failed)
}

// refresh asks the DNS, and decides when to do so again.
func (w *watcher) refresh(ctx context.Context) error {
	found, err := w.d.Ask(ctx)
	now := time.Now()
	switch {
	case err != nil && !errors.Is(err, ErrNoPrefix):
		w.ask = now.Add(w.retry)
		w.retry = min(2*w.retry, lastRetry)
		return fmt.Errorf("nat64: prefixes not refreshed: %w", err)
	case len(found) == 0:
		w.ask = now.Add(recheck)
	default:
		early := found[0].Expires
		for _, f := range found {
			if f.Expires.Before(early) {
				early = f.Expires
			}
		}
		w.ask = now.Add(max(minRefresh, early.Sub(now)-min(refreshEarly, early.Sub(now)/4)))
	}
	w.known.dns, w.retry = found, firstRetry
	return nil
}

// remember keeps what Prefixes returns.
func (d *Discoverer) remember(found []Found, err error) {
	now := time.Now()
	a := answer{found: found, err: err, at: now, renew: now.Add(recheck), until: now.Add(2 * recheck)}
	if len(found) > 0 {
		a.err, a.until = nil, found[0].Expires
		for _, f := range found {
			if f.Expires.Before(a.until) {
				a.until = f.Expires
			}
		}
		a.renew = a.until.Add(-min(refreshEarly, a.until.Sub(now)/4))
	} else if err == nil {
		a.err = ErrNoPrefix
	} else if !errors.Is(err, ErrNoPrefix) {
		a.renew, a.until = now.Add(firstRetry), now.Add(firstRetry)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(found) == 0 && !errors.Is(a.err, ErrNoPrefix) && now.Before(d.cached.until) {
		d.cached.renew = a.renew // what is known is still good
		return
	}
	d.cached = a
}

// Prefixes is Discover with a memory: until the first prefix expires, or for
// two minutes when there is none, it returns what it knows, and asks again in
// the background before that ends. One discovery serves all callers, and goes
// on for the next one when a caller's ctx ends. A [Discoverer.Watch] that is
// running keeps the memory up to date; without it, a Router Advertisement that
// comes between two discoveries is missed.
func (d *Discoverer) Prefixes(ctx context.Context) ([]Found, error) {
	for {
		a, fresh, flight := d.remembered()
		if fresh {
			return a.found, a.err
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, context.Cause(ctx) // this says nothing about the network
		}
	}
}

// remembered returns what is known if that is fresh, and a discovery, if one
// is needed, that is closed when it is done.
func (d *Discoverer) remembered() (a answer, fresh bool, flight <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.flight == nil && !now.Before(d.cached.renew) {
		d.flight = make(chan struct{})
		go d.fly(d.flight)
	}
	return d.cached, now.Before(d.cached.until), d.flight
}

// fly discovers for all callers of Prefixes.
func (d *Discoverer) fly(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), flightTime)
	defer cancel()
	found, err := d.Discover(ctx)
	d.remember(found, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flight = nil
	close(done)
}

// last returns what was found last.
func (d *Discoverer) last() []Found {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cached.found
}

// forget makes the next Prefixes discover anew, unless what is known is newer
// than since.
func (d *Discoverer) forget(since time.Time) (forgotten bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cached.at.After(since) {
		return false
	}
	d.cached.renew, d.cached.until = time.Time{}, time.Time{}
	return true
}

// readPrefixes reads prefixes from the AAAA records of ipv4only.arpa (RFC
// 7050, section 3). An address may carry either well-known address in several
// places: the places where both are found, in two addresses, are right. What
// is left is believed if it has one reading.
func readPrefixes(addrs []netip.Addr) (found []Found) {
	type reading struct {
		prefix Prefix
		v4     [4]byte
	}
	readings := make([][]reading, len(addrs))
	seen := map[Prefix][2]bool{}
	for i, addr := range addrs {
		if !addr.Is6() || addr.Is4In6() {
			continue
		}
		hi, lo := halves(addr)
		if lo>>56 != 0 {
			continue // octet 8 (RFC 6052, section 2.2)
		}
		b := addr.As16()
		for _, n := range Lengths() {
			v4 := embedded(hi, lo, uint8(n))
			p, err := masked(b[:], uint8(n))
			if err != nil || v4 != ipv4Only170 && v4 != ipv4Only171 {
				continue
			}
			readings[i] = append(readings[i], reading{p, v4})
			both := seen[p]
			both[v4[3]-ipv4Only170[3]] = true
			seen[p] = both
		}
	}
	add := func(p Prefix, paired bool) {
		if !slices.ContainsFunc(found, func(f Found) bool { return f.Prefix == p }) {
			found = append(found, Found{Prefix: p, Source: DNS64Answer, Paired: paired})
		}
	}
	isPair := func(r reading) bool { return seen[r.prefix] == [2]bool{true, true} }
	for _, rs := range readings {
		for _, r := range rs {
			if isPair(r) {
				add(r.prefix, true)
			}
		}
	}
	for _, rs := range readings {
		if len(rs) == 1 && !isPair(rs[0]) {
			add(rs[0].prefix, false)
		}
	}
	return found
}
