package manager

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// news is what was seen outside, in one look.
type news struct {
	ds       []rollover.DSAnswer
	dsErr    error
	askedDS  bool
	serials  map[string]uint32
	problems map[string]string
	asked    bool // secondaries
	zone     *zone.Zone
	zoneErr  error
	fetched  bool // asked the primary
	at       time.Time
}

// waits reports whether the zone waits for others: for the parent, or secondaries.
func (u *unit) waits() bool { return u.waitsForParent() || u.waitsForSecondaries() }

func (u *unit) waitsForParent() bool {
	if u.manager.Parent == nil {
		return false
	}
	for i := range u.record.State.Keys {
		ds := u.record.State.Keys[i].Records[rollover.DS]
		if ds.State == rollover.Rumoured || ds.State == rollover.Unretentive || ds.State == rollover.Omnipresent && ds.Seen.IsZero() {
			return true
		}
	}
	return u.record.State.DeleteDS || u.lost && len(u.record.State.Keys) == 0
}

func (u *unit) waitsForSecondaries() bool {
	if u.signed.zone == nil || u.manager.Server == nil {
		return false
	}
	for _, address := range u.zone.Secondaries {
		serial, ok := u.seen.serials[address]
		if !ok || int32(serial-u.signed.zone.SOA().Serial) < 0 {
			return true
		}
	}
	return false
}

// look asks the parent, the secondaries and the primary what is due to be asked. It
// does so without holding the unit.
func (u *unit) look(ctx context.Context) news {
	u.mutex.Lock()
	now := u.manager.now()
	n := news{at: now, serials: map[string]uint32{}, problems: map[string]string{}}
	every := func(waits bool) time.Duration {
		if waits {
			return u.manager.poll()
		}
		return u.manager.watch()
	}
	n.askedDS = u.manager.Parent != nil && (len(u.record.State.Keys) > 0 || u.lost) && due(now, u.seen.dsAt, every(u.waitsForParent()))
	n.asked = len(u.zone.Secondaries) > 0 && u.signed.zone != nil && u.manager.Server != nil && due(now, u.seen.serialAt, every(u.waitsForSecondaries()))
	n.fetched = u.zone.Primary != nil && (u.changed.Swap(false) || now.Before(u.source.tried) || !now.Before(u.source.due()))
	zone, have := u.zone, u.source.zone
	u.mutex.Unlock()

	var group sync.WaitGroup
	if n.askedDS {
		group.Go(func() { n.ds, n.dsErr = u.manager.Parent.DS(ctx, u.origin) })
	}
	if n.asked {
		group.Go(func() { n.serials, n.problems = serials(ctx, u.origin, zone.Secondaries) })
	}
	if n.fetched {
		group.Go(func() { n.zone, n.zoneErr = zone.Primary.Fetch(ctx, u.origin, have) })
	}
	group.Wait()
	return n
}

// due reports whether something is to be done again that was last done at last: also
// when that is in the future, as the clock went back.
func due(now, last time.Time, every time.Duration) bool {
	return now.Before(last) || !now.Before(last.Add(every))
}

// serials asks secondaries for their serials.
func serials(ctx context.Context, origin wire.Name, secondaries []string) (list map[string]uint32, problems map[string]string) {
	list, problems = map[string]uint32{}, map[string]string{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	for _, address := range secondaries {
		group.Go(func() {
			client := transfer.Client{Server: address}
			serial, err := client.Serial(ctx, origin)
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil {
				problems[address] = err.Error()
				return
			}
			list[address] = serial
		})
	}
	group.Wait()
	return list, problems
}

// take takes over what was seen.
func (u *unit) take(n news) {
	if n.askedDS {
		u.seen.dsAt = n.at
		u.seen.ds = n.ds
		if n.dsErr != nil {
			u.problem(fmt.Errorf("manager: parent of %s: %w", u.origin, n.dsErr))
		}
	}
	if n.asked {
		u.seen.serialAt, u.seen.serials, u.seen.problems = n.at, n.serials, n.problems
	}
	if !n.fetched {
		return
	}
	if u.source.tried = n.at; u.source.fetched.After(n.at) { // the clock went back
		u.source.fetched = time.Time{}
	}
	if n.zoneErr != nil {
		u.manager.counters.FetchErrors.Add(1)
		u.problem(n.zoneErr)
		return
	}
	u.source.fetched = n.at
	if n.zone == u.source.zone {
		return
	}
	u.manager.counters.Fetched.Add(1)
	u.problem(u.source.transferred(u.manager.store(), n.zone))
}
