package nat64

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/nat64/internal/route"
)

const (
	// resolutionDelay is how long one address family waits for the other's answer (RFC 8305, section 3).
	resolutionDelay = 50 * time.Millisecond
	// attemptDelay is between the starts of two attempts (RFC 8305, section 5).
	attemptDelay = 250 * time.Millisecond
	// rediscoverAfter is how old prefixes must be that lead nowhere, to be asked for again.
	rediscoverAfter = time.Second
)

// A Dialer connects to IPv6 hosts, and to IPv4 hosts through the network's
// NAT64 where this machine has no route to them: to IPv4 literals (RFC 8305,
// section 7.1), to names without AAAA records or a DNS64, and to names whose
// AAAA records are there but do not work (section 7.2). It orders addresses
// and staggers attempts as Happy Eyeballs does, for which answers of a DNS64
// count as the IPv4 addresses that they carry. With an IPv4 route, IPv4
// addresses are dialed as such.
//
// The zero Dialer is ready for use. Its DialContext is what http.Transport and
// others want. Fields must not change while it is in use.
type Dialer struct {
	// Dialer makes the connections. Nil: a zero net.Dialer. Its Resolver finds the addresses.
	Dialer *net.Dialer
	// Table says which prefix carries which IPv4 address. Nil: the prefixes that are discovered carry all.
	Table *Table
	// Discoverer discovers them. Nil: the Dialer has one of its own. Unless its Watch runs, Router
	// Advertisements are heard only while prefixes are asked for.
	Discoverer *Discoverer
	// Guard refuses addresses that are not public, with the known prefixes in addition to its own. If
	// these cannot be learned, IPv6 addresses are refused too: one could be in a prefix. Nil: all are dialed.
	Guard *Guard

	own Discoverer
}

// DialContext connects to the address, "host:port", as net.Dialer does.
// Networks other than tcp and udp, with 4 or 6 or nothing behind them, and
// addresses without a host are left to net.Dialer. For tcp4 and udp4 the host
// is IPv4, though packets may go through a NAT64; tcp6 and udp6 use IPv6 only.
// With a Guard, all that cannot be judged by an address is refused.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Guard == nil && network == "tcp" && isIPv6Literal(address) {
		return d.base().DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || !isInternet(network) {
		if d.Guard != nil {
			return nil, fmt.Errorf("nat64: guard: %s %q is not a host and port over TCP or UDP", network, address)
		}
		return d.base().DialContext(ctx, network, address)
	}
	if timeout := d.base().Timeout; timeout > 0 { // it is for all attempts together
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	started := time.Now()
	conn, carried, err := d.dial(ctx, network, host, port)
	if err == nil || !carried || ctx.Err() != nil || d.Table != nil || !d.discoverer().forget(started.Add(-rediscoverAfter)) {
		return conn, err
	}
	// The prefix may have changed since it was discovered.
	if conn, _, again := d.dial(ctx, network, host, port); again == nil {
		return conn, nil
	}
	return nil, err
}

// isIPv6Literal reports whether the address is an IPv6 address and a port.
func isIPv6Literal(address string) bool {
	if len(address) == 0 || address[0] != '[' {
		return false
	}
	ap, err := netip.ParseAddrPort(address)
	return err == nil && !ap.Addr().Is4In6()
}

func isInternet(network string) bool {
	return slices.Contains([]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}, network)
}

// base returns what makes the connections. It asks the guard once more, about
// the address that the kernel is given.
func (d *Dialer) base() *net.Dialer {
	base := d.Dialer
	if base == nil {
		base = new(net.Dialer)
	}
	if d.Guard == nil {
		return base
	}
	guarded := *base
	guarded.ControlContext = func(ctx context.Context, network, address string, conn syscall.RawConn) error {
		if err := d.Guard.control(network, address, d.prefixes()); err != nil {
			return err
		}
		switch { // as net.Dialer chooses
		case base.ControlContext != nil:
			return base.ControlContext(ctx, network, address, conn)
		case base.Control != nil:
			return base.Control(network, address, conn)
		}
		return nil
	}
	return &guarded
}

// prefixes returns those that are known, without asking for them.
func (d *Dialer) prefixes() (all []Prefix) {
	if d.Table != nil {
		return d.Table.Prefixes()
	}
	for _, f := range d.discoverer().last() {
		all = append(all, f.Prefix)
	}
	return all
}

func (d *Dialer) discoverer() *Discoverer {
	if d.Discoverer != nil {
		return d.Discoverer
	}
	return &d.own
}

// carriers are the ways through a NAT64 that are known.
type carriers struct {
	tables   []*Table // in the order of preference
	prefixes []Prefix
	err      error // why there are none
}

// errLearning stands for prefixes that are still asked for.
var errLearning = errors.New("the network was not heard yet")

// learn returns where the carriers come from, at once if they are known.
func (d *Dialer) learn(ctx context.Context) <-chan carriers {
	learning := make(chan carriers, 1)
	if d.Table == nil {
		if _, fresh, _ := d.discoverer().remembered(); !fresh {
			go func() { learning <- d.carriers(ctx) }()
			return learning
		}
	}
	learning <- d.carriers(ctx)
	return learning
}

func (d *Dialer) carriers(ctx context.Context) (c carriers) {
	if d.Table != nil {
		return carriers{tables: []*Table{d.Table}, prefixes: d.Table.Prefixes()}
	}
	found, err := d.discoverer().Prefixes(ctx)
	for _, f := range found {
		c.prefixes = append(c.prefixes, f.Prefix)
		c.tables = append(c.tables, TableOf(f.Prefix))
	}
	c.err = err
	return c
}

// A target is an address to connect to.
type target struct {
	addr    netip.Addr
	carried netip.Addr // the IPv4 address that addr carries, if it was synthesized
}

// dial connects to the first target that accepts. It reports whether any
// target was synthesized.
func (d *Dialer) dial(ctx context.Context, network, host, port string) (conn net.Conn, carried bool, err error) {
	targets, more, err := d.targets(ctx, network, host)
	if err != nil {
		return nil, false, err
	}
	return d.race(ctx, network[:3], port, targets, more)
}

// targets returns what to try for the host, in this order, and where more may
// come from: when the prefixes are known, and both families looked up.
func (d *Dialer) targets(ctx context.Context, network, host string) (first []target, more <-chan []target, err error) {
	v6, v4, isLiteral := literal(host)
	if isLiteral && len(v4) == 0 && strings.HasSuffix(network, "4") {
		return nil, nil, &net.AddrError{Err: "not an IPv4 host", Addr: host}
	}
	if isLiteral && d.Guard == nil && isReachable(network, v6, v4) {
		return []target{{addr: slices.Concat(v6, v4)[0]}}, nil, nil
	}
	learning := d.learn(ctx) // while the names are looked up
	names := &lookup{v6: v6, v4: v4}
	if !isLiteral {
		names = d.lookUp(ctx, host)
		if err := names.wait(ctx); err != nil {
			return nil, nil, err
		}
	}
	known := carriers{err: errLearning}
	choose := func() ([]target, error) {
		if isLiteral {
			return d.choose(network, host, known, v6, v4)
		}
		six, four := d.desynthesize(known, names.v6, names.v4)
		return d.choose(network, host, known, six, four)
	}
	learned := true
	select {
	case known = <-learning:
	case <-d.soon(network, names, len(learning) > 0, choose):
		learned = false
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	first, err = choose()
	if learned && names.pending == 0 {
		return first, nil, err
	}
	complete := func() ([]target, error) { // all of this ends with ctx
		if !learned {
			known = <-learning
		}
		names.rest()
		return choose()
	}
	if err != nil {
		first, err = complete()
		return first, nil, err
	}
	later := make(chan []target, 1)
	go func() {
		targets, _ := complete() // what was wrong was wrong with first, too
		later <- slices.DeleteFunc(targets, func(t target) bool { return slices.Contains(first, t) })
	}()
	return first, later, nil
}

// soon tells when not to wait for the prefixes any longer: never if they are
// known or there is nothing to try without them, and at once if they can change
// little, because IPv4 needs none and no guard must know whether IPv6 leads there.
func (d *Dialer) soon(network string, names *lookup, known bool, choose func() ([]target, error)) <-chan time.Time {
	if _, err := choose(); known || err != nil {
		return nil
	}
	noGuard := d.Guard == nil || len(names.v6) == 0
	if noGuard && !strings.HasSuffix(network, "6") && route.Exists(netip.AddrFrom4(ipv4Only170)) {
		return time.After(0)
	}
	return time.After(resolutionDelay)
}

// literal returns the address that host is, if it is one.
func literal(host string) (v6, v4 []netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(host)
	if addr = addr.Unmap(); addr.Is4() {
		return nil, []netip.Addr{addr}, true
	}
	return []netip.Addr{addr}, nil, err == nil
}

// isReachable reports whether a literal needs no translator.
func isReachable(network string, v6, v4 []netip.Addr) bool {
	return len(v4) == 0 || !strings.HasSuffix(network, "6") && route.Exists(v4[0])
}

// choose makes targets of the addresses: those of each family in turn, IPv6
// first, and IPv4 through the prefixes where there is no other way.
func (d *Dialer) choose(network, host string, known carriers, v6, v4 []netip.Addr) ([]target, error) {
	var six, four []target
	if !strings.HasSuffix(network, "4") {
		for _, addr := range v6 {
			six = append(six, target{addr: addr})
		}
	}
	var missing error
	for _, addr := range v4 {
		if !strings.HasSuffix(network, "6") && (route.Exists(addr) || neverSynthesized(addr)) {
			four = append(four, target{addr: addr})
			continue
		}
		carried, err := synthesizeAll(known, addr)
		missing = errors.Join(missing, err)
		four = append(four, carried...)
	}
	targets, forbidden := d.permitted(interleave(six, four), known)
	switch {
	case len(targets) > 0:
		return targets, nil
	case forbidden != nil:
		return nil, forbidden
	case missing != nil:
		return nil, fmt.Errorf("nat64: no route to IPv4 for %s: %w", host, missing)
	}
	return nil, &net.AddrError{Err: "no suitable address", Addr: host}
}

// permitted returns the targets that the guard lets through, or why there is none.
func (d *Dialer) permitted(targets []target, known carriers) (kept []target, forbidden error) {
	if d.Guard == nil {
		return targets, nil
	}
	for _, t := range targets {
		err := d.Guard.check(t.addr, known.prefixes)
		if err == nil && t.carried.IsValid() {
			err = d.Guard.check(t.carried, nil)
		}
		if err == nil && t.addr.Is6() && known.err != nil && !errors.Is(known.err, ErrNoPrefix) {
			err = fmt.Errorf("nat64: whether %v leads through a NAT64 is not known: %w", t.addr, known.err)
		}
		if err != nil {
			forbidden = errors.Join(forbidden, err)
			continue
		}
		kept = append(kept, t)
	}
	return kept, forbidden
}

// synthesizeAll returns the address in each prefix that may carry it.
func synthesizeAll(known carriers, ipv4 netip.Addr) (targets []target, err error) {
	err = known.err
	for _, table := range known.tables {
		ipv6, failed := table.Synthesize(ipv4)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		targets = append(targets, target{ipv6, ipv4})
	}
	if len(targets) == 0 && err == nil {
		err = ErrNoPrefix
	}
	return targets, err
}

// desynthesize takes the answers of a DNS64 for what they are: IPv4 addresses
// (draft-ietf-happy-happyeyeballs-v3), so that they do not go before better ones.
func (d *Dialer) desynthesize(known carriers, v6, v4 []netip.Addr) (real, all []netip.Addr) {
	all = v4
	for _, addr := range v6 {
		carried := false
		for _, p := range known.prefixes {
			ipv4, ok := p.Extract(addr)
			if !ok || d.Guard != nil && neverSynthesized(ipv4) { // the guard will say what is wrong with it
				continue
			}
			carried = true
			if !neverSynthesized(ipv4) && !slices.Contains(all, ipv4) {
				all = append(all, ipv4)
			}
		}
		if !carried {
			real = append(real, addr)
		}
	}
	return real, all
}

// interleave takes from both in turn (RFC 8305, section 4).
func interleave(six, four []target) (all []target) {
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			all = append(all, six[i])
		}
		if i < len(four) {
			all = append(all, four[i])
		}
	}
	return all
}

// A lookup is a question for the addresses of a name, of both families at
// once: A records are needed for synthesis even if there are others (RFC 8305,
// section 7).
type lookup struct {
	v6, v4  []netip.Addr
	err     error
	pending int // families without an answer
	replies chan reply
}

type reply struct {
	six   bool
	addrs []netip.Addr
	err   error
}

func (d *Dialer) lookUp(ctx context.Context, host string) *lookup {
	resolver := d.base().Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	l := &lookup{pending: 2, replies: make(chan reply, 2)}
	for _, family := range []string{"ip6", "ip4"} {
		go func() {
			addrs, err := resolver.LookupNetIP(ctx, family, host)
			l.replies <- reply{family == "ip6", addrs, err}
		}()
	}
	return l
}

// wait waits for both families or, once one has addresses, resolutionDelay for
// the other.
func (l *lookup) wait(ctx context.Context) error {
	var late <-chan time.Time
	for l.pending > 0 {
		select {
		case r := <-l.replies:
			l.add(r)
			if len(r.addrs) > 0 {
				late = time.After(resolutionDelay)
			}
		case <-late:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if len(l.v6)+len(l.v4) > 0 {
		return nil
	}
	return l.err
}

// rest waits for both families.
func (l *lookup) rest() {
	for l.pending > 0 {
		l.add(<-l.replies)
	}
}

func (l *lookup) add(r reply) {
	l.pending--
	switch {
	case r.six:
		l.v6 = r.addrs
	default:
		l.v4 = unmapped(r.addrs)
	}
	if r.err != nil {
		l.err = r.err
	}
}

func unmapped(addrs []netip.Addr) []netip.Addr {
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}

// race starts an attempt at each target in turn, attemptDelay apart or when
// the one before has failed, and returns the first connection (RFC 8305,
// section 5). The others are given up. It reports whether it tried a
// synthesized address.
func (d *Dialer) race(ctx context.Context, protocol, port string, targets []target, more <-chan []target) (conn net.Conn, carried bool, err error) {
	if len(targets) == 1 && more == nil {
		conn, err = d.attempt(ctx, protocol, port, targets[0])
		return conn, targets[0].carried.IsValid(), err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := racer{results: make(chan result), waiting: targets}
	r.dial = func(t target) (net.Conn, error) { return d.attempt(ctx, protocol, port, t) }
	defer r.giveUp()
	var errs []error
	for r.start(); r.running > 0 || more != nil; {
		var delay <-chan time.Time
		if len(r.waiting) > 0 {
			delay = time.After(attemptDelay)
		}
		select {
		case one := <-r.results:
			r.running--
			if one.err == nil {
				return one.conn, r.carried, nil
			}
			errs = append(errs, one.err)
			r.start()
		case <-delay:
			r.start()
		case later := <-more:
			more = nil
			r.waiting = append(r.waiting, later...)
			if r.running == 0 {
				r.start()
			}
		case <-ctx.Done():
			return nil, r.carried, errors.Join(append(errs, context.Cause(ctx))...)
		}
	}
	return nil, r.carried, errors.Join(errs...)
}

// A racer is the attempts of one race.
type racer struct {
	dial    func(target) (net.Conn, error)
	waiting []target
	running int
	carried bool // a synthesized address was tried
	results chan result
}

type result struct {
	conn net.Conn
	err  error
}

// start starts the next attempt, if there is one.
func (r *racer) start() {
	if len(r.waiting) == 0 {
		return
	}
	t := r.waiting[0]
	r.waiting = r.waiting[1:]
	r.carried = r.carried || t.carried.IsValid()
	r.running++
	go func() {
		conn, err := r.dial(t)
		r.results <- result{conn, err}
	}()
}

// giveUp closes what the attempts that are still running may bring. They end
// at once, as their context does.
func (r *racer) giveUp() {
	go func() {
		for range r.running {
			if one := <-r.results; one.conn != nil {
				one.conn.Close()
			}
		}
	}()
}

func (d *Dialer) attempt(ctx context.Context, protocol, port string, t target) (net.Conn, error) {
	family := "6"
	if t.addr.Is4() {
		family = "4"
	}
	conn, err := d.base().DialContext(ctx, protocol+family, net.JoinHostPort(t.addr.String(), port))
	if err != nil && t.carried.IsValid() {
		err = fmt.Errorf("%w (carrying %v)", err, t.carried)
	}
	return conn, err
}
