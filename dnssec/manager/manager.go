package manager

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/update"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	defaultPoll  = time.Minute
	defaultWatch = time.Hour
	// maxNotifies is how many zones' secondaries are notified at a time.
	maxNotifies = 64
	// wakeInterval is how often the orders of other processes are looked for.
	wakeInterval = 500 * time.Millisecond
)

// Manager looks after zones. Its fields are set before it is used; its methods may
// be called at any time.
type Manager struct {
	// Dir is where everything is kept; required.
	Dir string
	// Server answers from the zones. Run sets its Permit, Update and Notified. Nil:
	// zones are signed and kept, and never count as published.
	Server *server.Server
	// Parent is asked for DS records. Nil: they are never seen, and rollovers of key
	// signing keys wait for the operator's word.
	Parent Parent
	// Secret seals the private keys, see keystore.Secret. Nil leaves them as BIND does.
	Secret *keystore.Secret
	// Workers is how many zones are worked on at a time, four for each core when zero.
	Workers int
	// Poll is how often the parent and secondaries are asked while the zone waits for
	// them, and what failed is tried again: every minute when zero. Watch is how often
	// they are asked otherwise: every hour when zero.
	Poll, Watch time.Duration
	// Logger is told what happens. Nil is silent.
	Logger *slog.Logger
	// Now is the clock, time.Now when nil. Elapsed is one that does not leap: the time
	// since any fixed moment; nil is that of the process.
	Now     func() time.Time
	Elapsed func() time.Duration

	point    func() // of Store
	once     sync.Once
	began    time.Time
	counters Counters

	mutex   sync.Mutex
	running bool // Run is: only then does anything come in
	units   map[wire.Name]*unit
	queue   queue
	asked   time.Time     // when the queue was last looked at
	changed chan struct{} // something in the queue did
	group   sync.WaitGroup
	slots   chan struct{} // notifies under way
}

// Counters is what a manager has done so far.
type Counters struct {
	// Turns is how often a zone was looked after, Errors what went wrong meanwhile.
	Turns, Errors atomic.Uint64
	// Signed and Reused are signatures made, and taken over from an earlier version.
	Signed, Reused atomic.Uint64
	// KeysMade is keys that were made, not those that could not be.
	KeysMade atomic.Uint64
	// Orders is orders of other processes.
	Orders atomic.Uint64
	// Updates and UpdatesRefused are dynamic updates.
	Updates, UpdatesRefused atomic.Uint64
	// Notified is NOTIFY messages of primaries; Fetched is versions of zones that came
	// from them, FetchErrors attempts that failed.
	Notified, Fetched, FetchErrors atomic.Uint64
	// Notifies is how often the secondaries of a zone were notified, NotifyErrors how
	// often not all of them answered.
	Notifies, NotifyErrors atomic.Uint64
	// Lodged is requests to registrars, LodgeErrors those that failed.
	Lodged, LodgeErrors atomic.Uint64
}

// Counters returns what the manager counts. They go on counting.
func (m *Manager) Counters() *Counters { return &m.counters }

func (m *Manager) init() {
	m.once.Do(func() {
		m.began = time.Now()
		m.changed = make(chan struct{}, 1)
		m.slots = make(chan struct{}, maxNotifies)
		m.units = map[wire.Name]*unit{}
	})
}

func (m *Manager) now() time.Time {
	if m.Now != nil {
		return m.Now().Round(0)
	}
	return time.Now().Round(0)
}

func (m *Manager) monotonic() time.Duration {
	if m.Elapsed != nil {
		return m.Elapsed() + 1 // never 0
	}
	return time.Since(m.began) + 1
}

func (m *Manager) poll() time.Duration  { return cmp.Or(m.Poll, defaultPoll) }
func (m *Manager) watch() time.Duration { return cmp.Or(m.Watch, defaultWatch) }
func (m *Manager) store() Store         { return Store{Dir: m.Dir, point: m.point} }

func (m *Manager) logger() *slog.Logger {
	if m.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Logger
}

// Configure sets the zones that are looked after, or returns all that is wrong with
// them and changes nothing. Zones that are no longer there are no longer served;
// what is kept of them stays. All zones are looked at again.
func (m *Manager) Configure(zones []Zone) error {
	m.init()
	var errs []error
	wanted := map[wire.Name]bool{}
	for i := range zones {
		errs = append(errs, zones[i].Check())
		if wanted[zones[i].Origin] {
			errs = append(errs, fmt.Errorf("manager: zone %s is there twice", zones[i].Origin))
		}
		wanted[zones[i].Origin] = true
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for origin, u := range m.all() {
		if !wanted[origin] {
			m.remove(u)
		}
	}
	for _, z := range zones {
		m.add(z)
	}
	return nil
}

// all returns the units by their origins.
func (m *Manager) all() map[wire.Name]*unit {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	all := make(map[wire.Name]*unit, len(m.units))
	for origin, u := range m.units {
		all[origin] = u
	}
	return all
}

func (m *Manager) unit(origin wire.Name) *unit {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.units[origin]
}

func (m *Manager) remove(u *unit) {
	u.mutex.Lock() // after its turn
	defer u.mutex.Unlock()
	m.mutex.Lock()
	defer m.mutex.Unlock()
	u.removed.Store(true)
	delete(m.units, u.origin)
	if u.index >= 0 {
		heap.Remove(&m.queue, u.index)
	}
	if m.Server != nil {
		m.Server.Remove(u.origin)
	}
}

func (m *Manager) add(z Zone) {
	m.mutex.Lock()
	u := m.units[z.Origin]
	if u == nil {
		u = &unit{manager: m, origin: z.Origin, index: -1, lodged: map[string]time.Time{}}
		m.units[z.Origin] = u
	}
	u.config.Store(&z)
	m.mutex.Unlock()
	m.wake(u)
}

// queue is units by the time of their next turns.
type queue []*unit

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }

// Push and Pop are for package heap.
func (q *queue) Push(x any) {
	u := x.(*unit)
	u.index = len(*q)
	*q = append(*q, u)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	u := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	u.index = -1
	return u
}

// wake has the unit's turn come now, or once more when it is under way.
func (m *Manager) wake(u *unit) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if u.busy {
		u.again = true
		return
	}
	m.enqueue(u, m.now())
}

// enqueue puts a unit into the queue. The mutex is held.
func (m *Manager) enqueue(u *unit, at time.Time) {
	if u.removed.Load() {
		return
	}
	u.next = at
	if u.index >= 0 {
		heap.Fix(&m.queue, u.index)
	} else {
		heap.Push(&m.queue, u)
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// due takes the next unit whose turn it is from the queue, or says when that is.
func (m *Manager) due() (u *unit, wait time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.queue) == 0 {
		return nil, time.Hour
	}
	now := m.now()
	if now.Before(m.asked.Add(-time.Minute)) { // the clock went back: no turn is as far away as it seems
		for _, u := range m.queue {
			u.next = now
		}
	}
	m.asked = now
	if wait := m.queue[0].next.Sub(now); wait > 0 {
		return nil, wait
	}
	u = heap.Pop(&m.queue).(*unit)
	u.busy = true
	return u, 0
}

// done puts a unit back into the queue after its turn.
func (m *Manager) done(u *unit, next time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	u.busy = false
	if u.again {
		next = m.now()
	}
	u.again = false
	m.enqueue(u, next)
}

// Wake has all zones looked at now: files that changed are read again.
func (m *Manager) Wake() {
	m.init()
	for _, u := range m.all() {
		m.wake(u)
	}
}

// Run looks after the zones until ctx ends; then it finishes what is under way and
// returns nil. ready, if not nil, is called when every zone has had its turn. It is
// an error when another process runs the zones of Dir.
func (m *Manager) Run(ctx context.Context, ready func()) error {
	m.init()
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if m.Server != nil {
		m.Server.Permit, m.Server.Update, m.Server.Notified = m.permit, m.update, m.notified
	}
	m.setRunning(true)
	defer m.group.Wait()
	defer m.setRunning(false)
	m.group.Go(func() { m.heed(ctx) })
	workers := make(chan struct{}, cmp.Or(max(0, m.Workers), 4*runtime.GOMAXPROCS(0)))
	first := m.firstTurns(ready)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		u, wait := m.due()
		if u == nil {
			timer.Reset(min(wait, time.Minute)) // the clock may leap
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-m.changed:
			}
			continue
		}
		select {
		case <-ctx.Done():
			m.done(u, m.now())
			continue
		case workers <- struct{}{}:
		}
		m.group.Go(func() {
			defer func() { <-workers }()
			m.counters.Turns.Add(1)
			m.done(u, u.turn(ctx))
			first(u.origin)
		})
	}
	return nil
}

func (m *Manager) setRunning(running bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.running = running
}

// begin has a function run beside Run, if that runs. It reports whether it does.
func (m *Manager) begin(do func()) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.running {
		m.group.Go(do)
	}
	return m.running
}

// firstTurns returns a function that is told of turns, and calls ready when all
// zones that are there now have had one.
func (m *Manager) firstTurns(ready func()) func(origin wire.Name) {
	waiting := m.all()
	if ready == nil {
		ready = func() {}
	}
	if len(waiting) == 0 {
		ready()
	}
	var mutex sync.Mutex
	return func(origin wire.Name) {
		mutex.Lock()
		defer mutex.Unlock()
		if _, ok := waiting[origin]; !ok {
			return
		}
		if delete(waiting, origin); len(waiting) == 0 {
			ready()
		}
	}
}

// ErrRunning is wrapped when another process runs the zones of a directory.
var ErrRunning = errors.New("another process runs the zones of this directory")

// lock takes the directory for this process.
func (m *Manager) lock() (unlock func(), err error) {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(m.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	held, err := tryLock(f)
	if err == nil && !held {
		err = ErrRunning
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("manager: %s: %w", m.Dir, err)
	}
	return func() { _ = f.Close() }, nil
}

// Do has an order carried out: by the process that runs the zones, or by this one
// when there is none; and returns when it is. What follows from it, rollovers for
// example, comes later.
func (m *Manager) Do(ctx context.Context, origin wire.Name, o Order) error {
	m.init()
	u := m.unit(origin)
	if u == nil {
		return fmt.Errorf("manager: zone %s is not configured", origin)
	}
	name, err := m.store().leave(origin, o, m.now())
	if err != nil {
		return err
	}
	if err := m.store().replace(filepath.Join(m.Dir, "wake", dirName(origin)), nil, false); err != nil {
		return err
	}
	ticker := time.NewTicker(wakeInterval / 5)
	defer ticker.Stop()
	for {
		unlock, err := m.lock()
		if err == nil {
			defer unlock()
			u.turn(ctx)
			return u.outcome(name)
		}
		if !errors.Is(err, ErrRunning) {
			return err
		}
		if _, err := os.Stat(m.store().path(origin, ordersDir, name)); isMissing(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("manager: zone %s: the order waits for the process that runs the zones, which may not know this zone yet (have it read its configuration again): %w", origin, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// outcome returns why an order is not taken into the state.
func (u *unit) outcome(order string) error {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if u.record.LastOrder >= order {
		return nil
	}
	var errs []error
	for _, text := range u.trouble {
		errs = append(errs, errors.New(text))
	}
	return errors.Join(errs...)
}

// heed wakes the zones that other processes leave orders for.
func (m *Manager) heed(ctx context.Context) {
	dir := filepath.Join(m.Dir, "wake")
	ticker := time.NewTicker(wakeInterval)
	defer ticker.Stop()
	for {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			m.logger().Error("orders cannot be read", "error", err)
		}
		if len(entries) > 0 {
			m.heedAll(dir, entries)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (m *Manager) heedAll(dir string, entries []fs.DirEntry) {
	for origin, u := range m.all() {
		name := dirName(origin)
		if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name }) {
			_ = os.Remove(filepath.Join(dir, name)) // before its turn: a later order comes again
			m.counters.Orders.Add(1)
			m.wake(u)
		}
	}
}

// permit says who may transfer a zone.
func (m *Manager) permit(origin wire.Name, _ netip.Addr, key string) bool {
	u := m.unit(origin)
	if u == nil {
		return false
	}
	return slices.ContainsFunc(u.config.Load().Transfer, func(listed string) bool { return dns.CanonicalName(listed) == key })
}

// notified wakes a zone whose primary says that it changed (RFC 1996 section 3.11):
// any host at the primary's address, as NOTIFY comes from any port.
func (m *Manager) notified(origin wire.Name, client netip.AddrPort, key string) bool {
	u := m.unit(origin)
	if u == nil {
		return false
	}
	primary := u.config.Load().Primary
	if primary == nil {
		return false
	}
	address, err := netip.ParseAddrPort(primary.Server)
	if (err != nil || address.Addr().Unmap() != client.Addr()) && (key == "" || key != dns.CanonicalName(primary.Key.Name)) {
		return false
	}
	m.counters.Notified.Add(1)
	u.changed.Store(true)
	m.wake(u)
	return true
}

// update carries out a dynamic update: when it returns success, it is kept for good
// (RFC 2136 section 3.5), signed and served.
func (m *Manager) update(origin wire.Name, key string, message *dns.Msg) int {
	u := m.unit(origin)
	if u == nil {
		return dns.RcodeNotAuth
	}
	err := errors.New("the zones are not looked after now")
	done := make(chan struct{})
	if m.begin(func() { defer close(done); err = u.update(key, message) }) {
		<-done
	}
	if err != nil {
		m.counters.UpdatesRefused.Add(1)
		m.logger().Warn("update refused", "zone", origin, "key", key, "reason", err)
		return update.Rcode(err)
	}
	m.counters.Updates.Add(1)
	return dns.RcodeSuccess
}

func (u *unit) update(key string, message *dns.Msg) error {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.zone = *u.config.Load()
	if u.source.zone == nil || u.signed.since.IsZero() {
		return errors.New("the zone is not ready yet")
	}
	if u.zone.Primary != nil {
		return &update.Error{Rcode: dns.RcodeRefused, Reason: "updates are for the zone's primary"}
	}
	if u.source.asFound != nil && u.untouched() {
		return &update.Error{Rcode: dns.RcodeRefused, Reason: "the zone is signed by somebody else: enable it first"}
	}
	next, err := update.Apply(u.source.zone, message, key, u.zone.Update)
	if err != nil || next == u.source.zone {
		return err
	}
	if err := u.source.updated(u.manager.store(), next); err != nil {
		return err
	}
	u.publish(context.Background()) // kept already: what fails now is tried again
	u.manager.wake(u)
	return nil
}

// notify tells secondaries that a zone changed, while others go on.
func (m *Manager) notify(ctx context.Context, origin wire.Name, secondaries []string) {
	if m.Server == nil || len(secondaries) == 0 {
		return
	}
	m.begin(func() {
		m.slots <- struct{}{}
		defer func() { <-m.slots }()
		m.counters.Notifies.Add(1)
		if err := m.Server.Notify(ctx, origin, secondaries); err != nil && ctx.Err() == nil {
			m.counters.NotifyErrors.Add(1)
			m.logger().Warn("secondaries not notified", "zone", origin, "error", err)
		}
	})
}
