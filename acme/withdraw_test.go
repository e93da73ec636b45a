package acme_test

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
)

// A withdrawal that fails is made good by the next one who comes, although the
// process that published runs on.
func TestFailedWithdrawalIsReaped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	provider := &faulty{Provider: w.Provider(), keep: true}
	w.solver.Provider = provider
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	require.NoError(t, w.solver.Publish(t.Context(), challenge))
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Equal(t, []string{"v"}, w.zone.TXT(apex), "wanted")
	require.ErrorIs(t, w.solver.Withdraw(t.Context(), challenge), acme.ErrDenied)
	require.Equal(t, []string{"v"}, w.zone.TXT(apex))
	provider.keep = false
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Empty(t, w.zone.TXT(apex))
}

// So is one that could not even begin.
func TestWithdrawalWithoutLockIsReaped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	require.NoError(t, w.solver.Publish(t.Context(), challenge))
	lock := filepath.Join(w.solver.Journal.Dir, "zone-example.org.lock")
	require.NoError(t, os.Remove(lock))
	require.NoError(t, os.Mkdir(lock, 0o700))
	require.Error(t, w.solver.Withdraw(t.Context(), challenge))
	require.NoError(t, os.Remove(lock))
	require.NoError(t, w.solver.Reap(t.Context()))
	require.Empty(t, w.zone.TXT(apex))
}

// Who reaps an orphan does not take the record of one who publishes the same at
// that moment.
func TestReapingBesidePublishing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	require.NoError(t, w.solver.Publish(t.Context(), challenge))
	require.NoError(t, w.solver.Journal.Disown(t.Context()))
	publisher, reaper := *w.solver, *w.solver
	reaper.Clock(func() time.Time { return time.Now().Add(25 * time.Hour) })
	reaper.Step(func(step string) {
		if step == "orphans found" {
			require.NoError(t, publisher.Publish(t.Context(), challenge))
		}
	})
	require.NoError(t, reaper.Reap(t.Context()))
	require.Equal(t, []string{"v"}, w.zone.TXT(apex))
	require.NoError(t, publisher.Withdraw(t.Context(), challenge))
	require.Empty(t, w.zone.TXT(apex))
}

// A zone's name may be longer than a file's.
func TestLockOfALongZone(t *testing.T) {
	j := &acme.Journal{Dir: t.TempDir()}
	zone := "zone-" + strings.Repeat("a.", 120)
	unlock, err := j.Lock(t.Context(), zone+"b.")
	require.NoError(t, err)
	defer unlock()
	other, err := j.Lock(t.Context(), zone+"c.")
	require.NoError(t, err)
	other()
}

// faulty is a provider that fails for one value, or some times, or deletes nothing.
type faulty struct {
	acme.Provider
	mu      sync.Mutex
	fail    string
	keep    bool
	limited int
	putOff  time.Duration // 0 is a millisecond
	after   func()
}

func (f *faulty) AppendTXT(ctx context.Context, r acme.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Value == f.fail {
		return &acme.APIError{Provider: "faulty", Op: "add", Status: "403", Kind: acme.ErrDenied}
	}
	if f.limited > 0 {
		f.limited--
		return &acme.APIError{Provider: "faulty", Op: "add", Status: "429", Kind: acme.ErrRateLimited, RetryAfter: cmp.Or(f.putOff, time.Millisecond)}
	}
	err := f.Provider.AppendTXT(ctx, r)
	if f.after != nil {
		f.after()
	}
	return err
}

func (f *faulty) DeleteTXT(ctx context.Context, r acme.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keep {
		return &acme.APIError{Provider: "faulty", Op: "delete", Status: "403", Kind: acme.ErrDenied}
	}
	return f.Provider.DeleteTXT(ctx, r)
}
