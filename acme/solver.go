package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	maxChanges      = 8 // requests to the provider under way at once
	verifyEvery     = 5 // intervals of the checker between two questions to a Verifier
	maxRateRetries  = 5 // of one change that the provider puts off
	defaultRateWait = 5 * time.Second
)

// A Solver publishes challenge records and removes them. Several goroutines may
// use it at once, and several processes when they share a Journal.
type Solver struct {
	// Provider makes the changes; required.
	Provider Provider
	// Checker finds the zones and waits for publication; nil is a zero Checker.
	Checker *Checker
	// Journal remembers what is published. With nil, records that a crash leaves
	// are never removed, and nothing keeps parallel runs apart.
	Journal *Journal
	// Aliases says for a challenge name ("_acme-challenge.example.org") where its
	// record goes, in place of the CNAME records that the DNS shows.
	Aliases map[string]string
	// TTL of the records; 0 is DefaultTTL.
	TTL time.Duration
	// Logger hears what is done; nil is silent. Values are not secret, credentials
	// are never logged.
	Logger *slog.Logger

	// now is the clock, step is called before each step with its name: for tests.
	now  func() time.Time
	step func(string)
}

// Publish adds the records of all challenges, then waits once until all of them
// are at all servers. When one cannot be published, those that were are removed
// again, and the error tells of every one that failed. First it removes what
// earlier runs left behind.
func (s *Solver) Publish(ctx context.Context, challenges ...Challenge) error {
	records, err := s.append(ctx, challenges)
	if err == nil {
		err = s.await(ctx, records)
	}
	if err == nil {
		err = s.waited(ctx, s.entries(records, challenges, thisProcess(), false))
	}
	if err != nil {
		return errors.Join(err, s.rollBack(ctx, records, challenges))
	}
	return nil
}

// Append adds the records of challenges and returns without waiting for them,
// having rolled back on failure. A later [Solver.Wait], in this or another
// process that shares the Journal, waits.
func (s *Solver) Append(ctx context.Context, challenges ...Challenge) error {
	records, err := s.append(ctx, challenges)
	if err != nil {
		return errors.Join(err, s.rollBack(ctx, records, challenges))
	}
	return nil
}

// Wait waits until the records of the challenges are at all servers. It leaves
// them there when they are not in time.
func (s *Solver) Wait(ctx context.Context, challenges ...Challenge) error {
	entries, err := s.find(ctx, challenges)
	if err != nil {
		return err
	}
	records := make([]placed, len(entries))
	errs := make([]error, len(entries))
	survey := s.checker().survey()
	each(len(entries), maxQuestions, func(i int) {
		at, err := survey.locate(ctx, entries[i].Name)
		if err != nil {
			errs[i] = fmt.Errorf("acme: %s: %w", entries[i].Name, err)
		}
		records[i] = placed{entries[i].record(), at.servers}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := s.await(ctx, records); err != nil {
		return err
	}
	return s.waited(ctx, entries)
}

// Plan returns the records that Publish would add, and changes nothing.
func (s *Solver) Plan(ctx context.Context, challenges ...Challenge) ([]Record, error) {
	records, err := s.place(ctx, challenges)
	plan := make([]Record, len(records))
	for i, r := range records {
		plan[i] = r.Record
	}
	return plan, err
}

func (s *Solver) checker() *Checker { return cmp.Or(s.Checker, &Checker{}) }

func (s *Solver) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

func (s *Solver) reach(step string) {
	if s.step != nil {
		s.step(step)
	}
}

// append writes the journal and publishes; with an error it returns what may
// have been published.
func (s *Solver) append(ctx context.Context, challenges []Challenge) ([]placed, error) {
	if err := s.Reap(ctx); err != nil {
		logger(s.Logger).Warn("could not remove what an earlier run left; it will be tried again", "error", err)
	}
	records, err := s.place(ctx, challenges)
	if err != nil {
		return nil, err
	}
	entries := s.entries(records, challenges, thisProcess(), true)
	unlock, err := s.lockZones(ctx, entries)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s.reach("before the journal")
	if s.Journal != nil {
		if err := s.Journal.add(ctx, entries); err != nil {
			return nil, err
		}
	}
	s.reach("journal written")
	err = s.change(ctx, "append", records, func(i int) error { return s.Provider.AppendTXT(ctx, records[i].Record) })
	s.reach("appended")
	return records, err
}

func (s *Solver) entries(records []placed, challenges []Challenge, owner process, waiting bool) []entry {
	entries := make([]entry, len(records))
	for i, r := range records {
		name, _ := challenges[i].owner()
		entries[i] = entry{Challenge: name, Zone: r.Zone, Name: r.Name, Value: r.Value, KeyAuth: r.KeyAuthorization, Since: s.clock(), Owner: owner, Waiting: waiting}
	}
	return entries
}

// place finds zone, name and servers for each challenge.
func (s *Solver) place(ctx context.Context, challenges []Challenge) ([]placed, error) {
	zones, err := s.zones(ctx)
	if err != nil {
		return nil, err
	}
	records := make([]placed, len(challenges))
	errs := make([]error, len(challenges))
	survey := s.checker().survey()
	each(len(challenges), maxQuestions, func(i int) {
		records[i], errs[i] = s.placeOne(ctx, survey, challenges[i], zones)
		if errs[i] != nil {
			errs[i] = fmt.Errorf("acme: %s: %w", cmp.Or(challenges[i].Domain, challenges[i].Name), errs[i])
		}
	})
	return records, errors.Join(errs...)
}

func (s *Solver) placeOne(ctx context.Context, survey *survey, challenge Challenge, zones []string) (placed, error) {
	name, err := challenge.owner()
	if err != nil {
		return placed{}, err
	}
	if value := challenge.value(); value == "" || len(value) > 255 {
		return placed{}, errors.New("the value of a challenge is 1 to 255 bytes long")
	}
	if name, err = s.alias(name); err != nil {
		return placed{}, err
	}
	at, err := survey.locate(ctx, name)
	if err != nil {
		return placed{}, err
	}
	if zones != nil {
		if at.zone = LongestZone(at.name, zones); at.zone == "" {
			return placed{}, fmt.Errorf("%w: the credentials cover no zone that holds %s", ErrNoZone, at.name)
		}
	}
	return placed{Record{at.zone, at.name, challenge.value(), cmp.Or(s.TTL, DefaultTTL), challenge.KeyAuthorization}, at.servers}, nil
}

func (s *Solver) alias(name string) (string, error) {
	for from, to := range s.Aliases {
		if from, err := CanonicalName(from); err != nil {
			return "", fmt.Errorf("alias: %w", err)
		} else if from == name {
			return CanonicalName(to)
		}
	}
	return name, nil
}

// zones returns the provider's, nil when it does not tell.
func (s *Solver) zones(ctx context.Context) ([]string, error) {
	lister, ok := s.Provider.(ZoneLister)
	if !ok {
		return nil, nil
	}
	zones, err := lister.Zones(ctx)
	if err != nil {
		return nil, err
	}
	return append([]string{}, zones...), nil
}

// await waits for the provider's own word, where it gives one, and then for the
// servers.
func (s *Solver) await(ctx context.Context, records []placed) error {
	ctx, cancel := context.WithTimeout(ctx, s.checker().timeout())
	defer cancel()
	if verifier, ok := s.Provider.(Verifier); ok {
		s.verify(ctx, verifier, records)
	}
	return s.checker().wait(ctx, records)
}

// verify returns when the provider says that all records are live, or will not
// say: the servers have the last word in any case.
func (s *Solver) verify(ctx context.Context, verifier Verifier, records []placed) {
	each(len(records), maxChanges, func(i int) {
		r := records[i].Record
		for {
			live, err := verifier.VerifyTXT(ctx, r.Zone, r.Name)
			if err != nil {
				logger(s.Logger).Info("the provider does not say whether a record is live", "name", r.Name, "error", err)
				return
			}
			if live || sleep(ctx, verifyEvery*s.checker().interval()) != nil {
				return
			}
		}
	})
}

// waited marks entries as seen by all servers.
func (s *Solver) waited(ctx context.Context, entries []entry) error {
	s.reach("propagated")
	if s.Journal == nil {
		return nil
	}
	return s.Journal.update(ctx, func(l *ledger) {
		for i, e := range l.Records {
			if slices.ContainsFunc(entries, e.same) {
				l.Records[i].Waiting = false
			}
		}
	})
}

// hand gives published records to another process, which will have them
// withdrawn: while that runs they are kept.
func (s *Solver) hand(ctx context.Context, to process, challenges []Challenge) error {
	if s.Journal == nil {
		return nil
	}
	entries, err := s.find(ctx, challenges)
	if err != nil {
		return err
	}
	return s.Journal.update(ctx, func(l *ledger) {
		for i, e := range l.Records {
			if slices.ContainsFunc(entries, e.same) {
				l.Records[i].Owner = to
			}
		}
	})
}

// find returns the journal's entries for challenges, and makes new ones for
// those that it does not have.
func (s *Solver) find(ctx context.Context, challenges []Challenge) ([]entry, error) {
	var l ledger
	var err error
	if s.Journal != nil {
		if l, err = s.Journal.read(); err != nil {
			return nil, err
		}
	}
	var found []entry
	var lost []Challenge
	for _, challenge := range challenges {
		name, err := challenge.owner()
		if err != nil {
			return nil, err
		}
		same := slices.DeleteFunc(slices.Clone(l.Records), func(e entry) bool {
			return e.Challenge != name || e.Value != challenge.value()
		})
		if found = append(found, same...); len(same) == 0 {
			lost = append(lost, challenge)
		}
	}
	if len(lost) == 0 {
		return found, nil
	}
	records, err := s.place(ctx, lost)
	if err != nil {
		return found, err
	}
	return append(found, s.entries(records, lost, process{}, false)...), nil
}

// change makes one change for each record. Their zones are locked.
func (s *Solver) change(ctx context.Context, verb string, records []placed, do func(i int) error) error {
	var mu sync.Mutex
	var errs []error
	each(len(records), maxChanges, func(i int) {
		r := records[i].Record
		err := s.retryRateLimited(ctx, func() error { return do(i) })
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
			return
		}
		logger(s.Logger).Info(verb+" TXT record", "name", r.Name, "value", r.Value, "zone", r.Zone)
		s.reach(verb)
	})
	return errors.Join(errs...)
}

// retryRateLimited repeats a change that the provider puts off, when it says
// for how long or may be asked again soon: no longer than the checker may wait,
// as the zone is locked meanwhile.
func (s *Solver) retryRateLimited(ctx context.Context, do func() error) error {
	wait := defaultRateWait
	for attempt := 0; ; attempt++ {
		err := do()
		if !errors.Is(err, ErrRateLimited) || attempt == maxRateRetries {
			return err
		}
		var api *APIError
		if errors.As(err, &api) && api.RetryAfter > 0 {
			wait = api.RetryAfter
		}
		if deadline, ok := ctx.Deadline(); wait > s.checker().timeout() || ok && time.Until(deadline) < wait {
			return err
		}
		logger(s.Logger).Warn("the provider puts a change off", "wait", wait, "error", err)
		if sleep(ctx, wait) != nil {
			return err
		}
	}
}

// each calls do for 0 to n-1, at most limit at once, and returns when all are done.
func each(n, limit int, do func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	wg.Wait()
}
