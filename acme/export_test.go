package acme

import (
	"cmp"
	"context"
	"time"
)

// Step has s call do before each of its steps.
func (s *Solver) Step(do func(string)) { s.step = do }

// Clock sets the time.
func (s *Solver) Clock(now func() time.Time) { s.now = now }

// Entries returns how many records the journal has.
func (j *Journal) Entries() (int, error) {
	l, err := j.read()
	return len(l.Records), err
}

// Disown makes the entries those of nobody who is known.
func (j *Journal) Disown(ctx context.Context) error {
	return j.own(ctx, func(owner *process) { *owner = process{} })
}

// Reboot makes the entries those of an earlier boot, of this host or another one.
func (j *Journal) Reboot(ctx context.Context, host string) error {
	return j.own(ctx, func(owner *process) { owner.Host, owner.Boot = cmp.Or(host, owner.Host), "earlier" })
}

func (j *Journal) own(ctx context.Context, change func(*process)) error {
	return j.update(ctx, func(l *ledger) {
		for i := range l.Records {
			change(&l.Records[i].Owner)
		}
	})
}
