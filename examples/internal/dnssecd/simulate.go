package dnssecd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/rollover/plan"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Simulate lives through years of a zone with a virtual clock, in a temporary
// directory: its keys are made, rolled over and put away, it is signed for real, an
// in-process parent follows its CDS records, and a resolver tries each combination
// of what it may have cached. From the fourth year on the algorithm is another one.
func Simulate(ctx context.Context, years int, svg string, asJSON bool, std cli.Streams) error {
	dir, err := os.MkdirTemp("", "dnssecd-simulate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSimulation(dir, time.Now().UTC().Truncate(time.Hour), years)
	if err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	if svg != "" {
		if err := s.draw(svg); err != nil {
			return err
		}
	}
	if asJSON {
		return json.NewEncoder(std.Out).Encode(struct {
			*plan.Timeline
			Figures figures
		}{s.timeline, s.figures})
	}
	return s.writeText(std)
}

const simulatedZone = `$TTL 3600
@ SOA ns hostmaster 1 7200 3600 1209600 3600
@ NS ns
@ MX 10 mail
ns AAAA 2001:db8::53
mail AAAA 2001:db8::25
www AAAA 2001:db8::80
* TXT "a wildcard"
child NS ns.child
ns.child AAAA 2001:db8:1::53
`

// simulation is a zone with its manager, its parent and a resolver.
type simulation struct {
	origin   wire.Name
	source   *zone.Zone
	store    keystore.Dir
	state    rollover.State
	policy   rollover.Policy
	now, end time.Time
	changeAt time.Time // of the algorithm

	keys       []keystore.Key // of the store
	signed     *dnssec.Result // nil while the zone is unsigned
	generation uint64
	since      time.Time
	parent     simulatedParent
	resolver   resolver

	timeline *plan.Timeline
	figures  figures
}

// figures is what a simulation counts.
type figures struct {
	Steps, KeysMade, Signatures, Reused, ZonesVerified, CombinationsValidated int
}

func newSimulation(dir string, start time.Time, years int) (*simulation, error) {
	origin, err := wire.ParseName("example.org")
	if err != nil {
		return nil, err
	}
	source, _, err := zone.Parse([]byte(simulatedZone), "simulated zone", origin)
	if err != nil {
		return nil, err
	}
	end := start.AddDate(years, 0, 0)
	return &simulation{
		origin: origin, source: source, store: keystore.Dir{Path: dir},
		state:  rollover.State{Zone: origin.String(), Signed: true},
		policy: rollover.Policy{Parent: rollover.ByCDS, KSKLifetime: 365 * 24 * time.Hour, DSTTL: simulatedDSTTL},
		now:    start, end: end, changeAt: start.AddDate(3, 0, 0),
		timeline: &plan.Timeline{Zone: origin.String(), From: start, To: end},
	}, nil
}

// run goes from one event to the next.
func (s *simulation) run(ctx context.Context) error {
	for s.now.Before(s.end) {
		next, err := s.settle(ctx)
		if err != nil {
			return fmt.Errorf("simulate: %s: %w", s.now.Format(time.DateTime), err)
		}
		if due := s.due(); due.Before(next) {
			next = due
		}
		s.now = next
	}
	return nil
}

// due returns when signatures are to be made anew: once a day, those of a day.
func (s *simulation) due() time.Time {
	if s.signed == nil {
		return s.end
	}
	return s.signed.Due.Truncate(24 * time.Hour).Add(24 * time.Hour)
}

// settle steps until nothing more is to be done now, and returns when to go on.
func (s *simulation) settle(ctx context.Context) (next time.Time, err error) {
	if !s.now.Before(s.changeAt) {
		s.policy.Algorithm = dnssec.ED25519
	}
	if !s.now.Before(s.due()) {
		if err := s.publish(ctx); err != nil {
			return next, err
		}
	}
	for range 20 {
		result := s.step()
		again, err := s.carryOut(ctx, result.Actions)
		if err != nil {
			return next, err
		}
		if !again {
			next = result.Next
			break
		}
	}
	if next.IsZero() {
		return next, errors.New("it does not come to rest")
	}
	if s.parent.follow(s.cds(), s.now) {
		s.resolver.sawDS(s.parent.ds, s.now)
	}
	tried, err := s.resolver.validate(s.origin, s.now)
	s.figures.CombinationsValidated += tried
	return next, err
}

func (s *simulation) step() rollover.Result {
	observed := rollover.Observations{
		Served: s.generation, ServedSince: s.since, ZoneTTL: time.Hour, DS: s.parent.answers(s.origin),
		Elapsed: max(s.now.Sub(s.state.Clock.Last), 1),
	}
	for _, key := range s.keys {
		observed.Keys = append(observed.Keys, rollover.AvailableKey{Public: key.PublicKey, Role: roleOf(key.PublicKey), Private: key.Signer != nil})
	}
	result := rollover.Step(s.state, s.policy, observed, s.now)
	s.state = result.State
	s.timeline.Record(result, s.now)
	s.figures.Steps++
	return result
}

func roleOf(key dnssec.PublicKey) rollover.Role {
	if key.Flags&dnssec.FlagSEP != 0 {
		return rollover.KSK
	}
	return rollover.ZSK
}

// carryOut does what a step asks for, and reports whether to step again at once.
func (s *simulation) carryOut(ctx context.Context, actions []rollover.Action) (again bool, err error) {
	for _, action := range actions {
		switch action.Kind {
		case rollover.Generate:
			use := map[rollover.Role]dnssec.Use{rollover.KSK: dnssec.KSK, rollover.ZSK: dnssec.ZSK}[action.Role]
			key, err := s.store.Generate(keystore.Spec{Origin: s.origin, Algorithm: action.Algorithm, Use: use}, s.now)
			if err != nil {
				return false, err
			}
			s.keys = append(s.keys, key)
			s.figures.KeysMade++
			again = true
		case rollover.Purge:
			if err := s.putAway(action.Public); err != nil {
				return false, err
			}
			again = true
		case rollover.Publish:
			if err := s.publish(ctx); err != nil {
				return false, err
			}
			again = true
		}
	}
	return again, nil
}

// publish signs the zone, has it verified, and serves it.
func (s *simulation) publish(ctx context.Context) error {
	s.generation, s.since = s.state.Generation, s.now
	keys := s.signers()
	if len(keys) == 0 {
		s.resolver.sawZone(s.source, s.now)
		return nil
	}
	var previous *zone.Zone
	if s.signed != nil {
		previous = s.signed.Zone
	}
	signer := dnssec.Signer{Keys: keys, Serial: dnssec.IncrementSerial, KeyTTL: s.state.TTLs.Key.Value}
	result, err := signer.Sign(ctx, s.source, previous, s.now)
	if err != nil {
		return err
	}
	findings, err := dnssec.Verify(ctx, result.Zone, s.now)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("the signed zone is not right: %s", findings[0])
	}
	s.signed = result
	s.figures.Signatures += result.Signed
	s.figures.Reused += result.Reused
	s.figures.ZonesVerified++
	s.resolver.sawZone(result.Zone, s.now)
	return nil
}

// putAway removes the files of a key.
func (s *simulation) putAway(public dnssec.PublicKey) error {
	at := slices.IndexFunc(s.keys, func(k keystore.Key) bool { return k.PublicKey.Equal(public) })
	if at < 0 {
		return nil
	}
	var errs []error
	for _, ending := range []string{".key", ".private"} {
		errs = append(errs, os.Remove(filepath.Join(s.store.Path, s.keys[at].Name()+ending)))
	}
	s.keys = slices.Delete(s.keys, at, at+1)
	return errors.Join(errs...)
}

// signers joins the keys that are to be used with their private halves.
func (s *simulation) signers() []dnssec.Key {
	keys := s.state.Uses()
	for i := range keys {
		for _, key := range s.keys {
			if key.PublicKey.Equal(keys[i].PublicKey) {
				keys[i].Signer = key.Signer
			}
		}
	}
	return keys
}

func (s *simulation) draw(svg string) error {
	f, err := os.Create(svg)
	if err != nil {
		return err
	}
	return errors.Join(s.timeline.WriteSVG(f), f.Close())
}

func (s *simulation) writeText(std cli.Streams) error {
	var b strings.Builder
	if err := s.timeline.WriteText(&b); err != nil {
		return err
	}
	f := s.figures
	_, err := fmt.Fprintf(std.Out, "%s\n%d keys made, %d signatures made and %d kept, %d zones verified, %d combinations of cached sets validated: never bogus\n",
		b.String(), f.KeysMade, f.Signatures, f.Reused, f.ZonesVerified, f.CombinationsValidated)
	return err
}
