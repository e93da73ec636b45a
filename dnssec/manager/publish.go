package manager

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// smallZone is how many names a zone has at most whose signatures are not worth a
// worker for each core: zones are worked on side by side.
const smallZone = 1000

// publish signs the zone as the state has it, when that or the source changed or
// signatures are due, keeps it, and serves it. It reports whether something new
// is served. On failure the last version stays.
func (u *unit) publish(ctx context.Context) bool {
	if u.source.zone == nil {
		return false
	}
	next, err := u.sign(ctx)
	if err != nil {
		u.problem(err)
		return false
	}
	if next == nil {
		return false
	}
	changed := u.signed.zone == nil || next.zone.SOA().Serial != u.signed.zone.SOA().Serial
	if changed {
		if err := u.manager.store().saveZone(next.zone, signedFile); err != nil {
			u.problem(err)
			return false
		}
	}
	news := next.generation != u.signed.generation || u.signed.since.IsZero()
	if next.since = u.signed.since; news {
		next.since = u.manager.now()
	}
	u.signed = *next
	u.expiry.Store(0)
	if next.result != nil {
		u.expiry.Store(next.result.Expiry.Unix())
	}
	u.seen.ttl = highestTTL(u.source.zone, u.signed.zone)
	u.remember()
	u.serve(next.zone)
	if changed {
		u.manager.logger().Info("published", "zone", u.origin, "serial", next.zone.SOA().Serial, "generation", next.generation)
		u.manager.notify(ctx, u.origin, u.zone.Secondaries)
	}
	return news
}

// remember keeps which serial has the generation first.
func (u *unit) remember() {
	list := u.record.Published
	if n := len(list); n > 0 && list[n-1].Generation == u.signed.generation {
		return
	}
	list = append(list[:len(list):len(list)], Publication{Generation: u.signed.generation, Serial: u.signed.zone.SOA().Serial})
	u.record.Published = list[max(0, len(list)-maxPublications):]
	u.problem(u.save(true))
}

// serve has the server answer from a zone.
func (u *unit) serve(z *zone.Zone) {
	if u.manager.Server != nil && !u.removed.Load() {
		u.manager.Server.Set(z)
	}
}

// unknownGeneration is none that a zone has.
const unknownGeneration = math.MaxUint64

// served returns the generation that all secondaries serve, and since when.
func (u *unit) served() (generation uint64, since time.Time) {
	if u.manager.Server == nil || u.signed.since.IsZero() {
		return unknownGeneration, time.Time{}
	}
	generation, since = u.signed.generation, u.signed.since
	if len(u.zone.Secondaries) == 0 {
		return generation, since
	}
	for _, address := range u.zone.Secondaries {
		serial, ok := u.seen.serials[address]
		if !ok || int32(serial-u.signed.zone.SOA().Serial) > 0 { // not of this zone
			return unknownGeneration, time.Time{}
		}
		generation = min(generation, u.generationOf(serial))
	}
	if generation != u.seen.generation {
		u.seen.generation, u.seen.generationAt = generation, u.seen.serialAt
	}
	return generation, u.seen.generationAt
}

// generationOf returns the latest generation that a secondary with a serial has, 0
// when that is not known.
func (u *unit) generationOf(serial uint32) (generation uint64) {
	for _, p := range u.record.Published {
		if int32(serial-p.Serial) >= 0 {
			generation = p.Generation
		}
	}
	return generation
}

// sign returns the zone as it is to be served, nil when it is as it is.
func (u *unit) sign(ctx context.Context) (*signed, error) {
	now := u.manager.now()
	state := &u.record.State
	next := &signed{source: u.source.zone, generation: state.Generation, policy: u.zone.Policy}
	keys := u.privateKeys(next)
	same := next.source == u.signed.source && next.generation == u.signed.generation && next.policy == u.signed.policy &&
		next.keys == u.signed.keys && !u.signed.since.IsZero() && !u.overtaken()
	if len(keys) == 0 {
		if same {
			return nil, nil
		}
		if u.source.asFound != nil && u.untouched() {
			next.zone = u.source.asFound // whoever signed it goes on to do so
			return next, nil
		}
		var err error
		next.zone, err = u.unsigned()
		return next, err
	}
	signer := u.signer(keys, now)
	if same && u.signed.result != nil {
		if u.signed.result.Due.After(now) {
			return nil, nil
		}
		var err error
		if next.result, err = signer.Resign(ctx, u.signed.result, now); err != nil {
			return nil, err
		}
		u.count(next.result)
		next.zone = next.result.Zone
		return next, nil
	}
	source, err := u.prepared()
	if err != nil {
		return nil, err
	}
	if u.overtaken() {
		last, _ := u.lastSerial()
		signer.Serial = dnssec.KeepSerial
		if source, err = withSerial(source, last+1); err != nil {
			return nil, err
		}
	}
	if u.signed.zone == nil || u.signed.generation != next.generation { // all signatures may be new
		signer.Validity = u.spread(next.generation)
	}
	if next.result, err = signer.Sign(ctx, source, u.signed.zone, now); err != nil {
		return nil, err
	}
	u.count(next.result)
	next.zone = next.result.Zone
	return next, nil
}

func (u *unit) count(r *dnssec.Result) {
	u.manager.counters.Signed.Add(uint64(r.Signed))
	u.manager.counters.Reused.Add(uint64(r.Reused))
}

// privateKeys joins the keys of the state with their private halves.
func (u *unit) privateKeys(next *signed) []dnssec.Key {
	keys := u.record.State.Uses()
	for i := range keys {
		if u.record.State.DeleteDS {
			keys[i].Use &^= dnssec.InParent
		}
		for _, key := range u.keys {
			if key.Signer != nil && rollover.IDOf(key.PublicKey) == rollover.IDOf(keys[i].PublicKey) {
				keys[i].Signer = key.Signer
				next.keys++
			}
		}
	}
	return keys
}

func (u *unit) signer(keys []dnssec.Key, now time.Time) *dnssec.Signer {
	p := u.zone.Policy
	s := &dnssec.Signer{Keys: keys, Denial: p.Denial, ZONEMD: p.ZONEMD, Serial: p.Serial, KeyTTL: u.record.State.TTLs.Key.Value}
	if s.Serial == dnssec.KeepSerial {
		s.Serial = dnssec.IncrementSerial
	}
	s.Validity, s.Refresh, s.Jitter = p.times()
	if s.Jitter == 0 {
		s.Jitter = -1
	}
	if from := u.results.ValidFrom; !from.IsZero() && from.Before(now) {
		s.Backdate = now.Sub(from) + time.Hour
	}
	if u.source.zone.Names.Len() <= smallZone {
		s.Workers = 1
	}
	return s
}

// spread is the validity of the signatures of a zone that are all made at once: it
// differs from zone to zone, so that not all zones are to be signed again in the
// same hour. From then on each keeps its place.
func (u *unit) spread(generation uint64) time.Duration {
	validity, refresh, jitter := u.zone.Policy.times()
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s %d", u.origin, generation)
	cycle := float64(validity - refresh - jitter)
	share := float64(hash.Sum64()>>11) / (1 << 53)
	return validity - time.Duration(cycle*share*15/16)
}

// prepared returns the source as it is to be signed: with a serial that is no
// earlier than any that was published, and the request to delete the DS set when
// there is one.
func (u *unit) prepared() (*zone.Zone, error) {
	z := u.source.zone
	if u.record.State.DeleteDS {
		var err error
		if z, err = withDeletion(z, u.record.State.TTLs.Key.Value); err != nil {
			return nil, err
		}
	}
	if serial, ok := u.lastSerial(); ok && int32(serial-z.SOA().Serial) > 0 {
		return withSerial(z, serial)
	}
	return z, nil
}

// overtaken reports whether a secondary has a later serial: as when the signed zone was
// lost, after which it would transfer nothing and would count as having everything.
func (u *unit) overtaken() bool {
	serial, _ := u.lastSerial()
	return u.signed.zone != nil && serial != u.signed.zone.SOA().Serial
}

// lastSerial returns the last serial that is known to have been published, by what
// secondaries have, too.
func (u *unit) lastSerial() (serial uint32, ok bool) {
	if n := len(u.record.Published); n > 0 {
		serial, ok = u.record.Published[n-1].Serial, true
	}
	if u.signed.zone != nil {
		if current := u.signed.zone.SOA().Serial; !ok || int32(current-serial) > 0 {
			serial, ok = current, true
		}
	}
	for _, theirs := range u.seen.serials {
		if ok && int32(theirs-serial) > 0 {
			serial = theirs
		}
	}
	return serial, ok
}

// unsigned returns the source with the next serial.
func (u *unit) unsigned() (*zone.Zone, error) {
	z := u.source.zone
	if u.signed.zone == nil {
		return z, nil
	}
	serial := u.signed.zone.SOA().Serial
	if d := zone.Diff(u.signed.zone, z); d.Len() == 2 && int32(z.SOA().Serial-serial) <= 0 && !u.overtaken() {
		return withSerial(z, serial)
	}
	if last, ok := u.lastSerial(); ok && int32(z.SOA().Serial-last) <= 0 {
		return withSerial(z, last+1)
	}
	return z, nil
}
