package acme

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// cleanupTimeout is for what must be undone although the caller has given up.
const cleanupTimeout = time.Minute

// Withdraw removes the records of challenges, each by its exact value, from
// where Publish put them, even when ctx has ended: then for at most a minute.
// Records that are gone already are no error.
func (s *Solver) Withdraw(ctx context.Context, challenges ...Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	entries, err := s.find(ctx, challenges)
	return errors.Join(err, s.delete(ctx, entries))
}

// Reap removes the records that processes have left which have ended, those that
// could not be withdrawn, and those older than a day whose process is not known.
func (s *Solver) Reap(ctx context.Context) error {
	if s.Journal == nil {
		return nil
	}
	found, err := s.orphans()
	if err != nil || len(found) == 0 {
		return err
	}
	s.reach("orphans found")
	unlock, err := s.lockZones(ctx, found)
	if err != nil {
		return err
	}
	defer unlock()
	// Meanwhile somebody may have published such a record anew.
	orphans, err := s.orphans()
	if err != nil {
		return err
	}
	orphans = slices.DeleteFunc(orphans, func(e entry) bool { return !slices.ContainsFunc(found, e.same) })
	for _, e := range orphans {
		logger(s.Logger).Warn("removing a record that an earlier run left", "name", e.Name, "value", e.Value)
	}
	return s.deleteLocked(ctx, orphans)
}

// orphans returns the records that nobody wants any more.
func (s *Solver) orphans() ([]entry, error) {
	l, err := s.Journal.read()
	return slices.DeleteFunc(l.Records, func(e entry) bool { return !e.orphaned(s.clock()) }), err
}

// rollBack removes what a failed batch has published.
func (s *Solver) rollBack(ctx context.Context, records []placed, challenges []Challenge) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := s.delete(ctx, s.entries(records, challenges, process{}, false)); err != nil {
		return fmt.Errorf("acme: rolling back (the next run tries again): %w", err)
	}
	return nil
}

// delete removes records, and forgets those that are gone. Those that are not
// are orphans from then on.
func (s *Solver) delete(ctx context.Context, entries []entry) error {
	if s.Journal != nil && len(entries) > 0 {
		if err := s.Journal.abandon(ctx, entries); err != nil {
			logger(s.Logger).Warn("the journal does not know that records are to be removed", "error", err)
		}
	}
	unlock, err := s.lockZones(ctx, entries)
	if err != nil {
		return err
	}
	defer unlock()
	return s.deleteLocked(ctx, entries)
}

func (s *Solver) deleteLocked(ctx context.Context, entries []entry) error {
	if len(entries) == 0 {
		return nil
	}
	records := make([]placed, len(entries))
	for i, e := range entries {
		records[i].Record = e.record()
	}
	gone := make([]bool, len(entries))
	s.reach("before the deletion")
	err := s.change(ctx, "delete", records, func(i int) error {
		err := s.Provider.DeleteTXT(ctx, records[i].Record)
		gone[i] = err == nil
		return err
	})
	s.reach("deleted")
	if s.Journal == nil {
		return err
	}
	var done []entry
	for i, e := range entries {
		if gone[i] {
			done = append(done, e)
		}
	}
	return errors.Join(err, s.Journal.remove(ctx, done))
}

// lockZones locks the zones of entries against other processes and solvers: the
// journal and the DNS change together.
func (s *Solver) lockZones(ctx context.Context, entries []entry) (unlock func(), err error) {
	var held []func()
	unlock = func() {
		for _, release := range held {
			release()
		}
	}
	if s.Journal == nil {
		return unlock, nil
	}
	zones := map[string]bool{}
	for _, e := range entries {
		zones[e.Zone] = true
	}
	for _, zone := range slices.Sorted(maps.Keys(zones)) { // in one order: no deadlock
		release, err := s.Journal.Lock(ctx, "zone-"+zone)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, release)
	}
	return unlock, nil
}
