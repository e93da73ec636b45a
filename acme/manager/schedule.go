package manager

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// Let's Encrypt refuses a name after five failed validations in an hour.
	failuresAnHour = 5
	firstBackoff   = time.Minute
	// maxWait bounds every wait that is kept on disk. What is further away was
	// written by a clock that was wrong.
	maxWait = 24 * time.Hour
	// How often the authority is asked for renewal information, when it does not
	// say, and at most (RFC 9773 section 4.3.1).
	defaultPoll = 6 * time.Hour
	minPoll     = time.Minute
	shortLife   = 10 * 24 * time.Hour
	maxSkew     = time.Hour // of clocks, of which nothing is said
	// Bounds of the least time between two orders of one certificate.
	minSpacing = 10 * time.Second
	maxSpacing = 6 * time.Hour
	// What Run leaves when the last one has gone.
	lostSpacing = time.Hour
)

// A WaitError says that an attempt failed and it is too early for the next.
type WaitError struct {
	Name  string    // of the certificate
	Until time.Time // the earliest time of the next attempt
	Last  string    // the error of the last attempt
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("manager: %s: waiting until %s after: %s", e.Name, e.Until.UTC().Format(time.RFC3339), e.Last)
}

// window is when the authority suggests to renew, and the time chosen in it.
type window struct {
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
	Chosen      time.Time `json:"chosen"`
	Explanation string    `json:"explanation,omitempty"`
}

// choose picks a time in the window, uniformly (RFC 9773 section 4.2). The
// earlier choice stays while the window is the same.
func (w window) choose(earlier *window) *window {
	if earlier != nil && earlier.Start.Equal(w.Start) && earlier.End.Equal(w.End) {
		w.Chosen = earlier.Chosen
		return &w
	}
	w.Chosen = w.Start
	if d := w.End.Sub(w.Start); d > 0 {
		w.Chosen = w.Start.Add(rand.N(d))
	}
	return &w
}

// renewal returns when to renew a certificate, and why then. Without a window,
// that is with a third of its life left, or half of a short one.
func renewal(notBefore, notAfter time.Time, suggested *window) (time.Time, string) {
	if suggested != nil && suggested.Chosen.Before(notAfter) {
		why := "chosen in the authority's window from " + suggested.Start.UTC().Format(time.RFC3339) + " to " + suggested.End.UTC().Format(time.RFC3339)
		if suggested.Explanation != "" {
			why += ", see " + suggested.Explanation
		}
		return suggested.Chosen, why
	}
	life := notAfter.Sub(notBefore)
	if life < shortLife {
		return notAfter.Add(-life / 2), "half of its life is left"
	}
	return notAfter.Add(-life / 3), "a third of its life is left"
}

// spacing returns the least time between two orders of a certificate with such a
// life: a clock that is ahead, or a window that has always passed, must not have
// us order without end.
func spacing(life time.Duration) time.Duration {
	return min(max(life/4, minSpacing), maxSpacing)
}

// pollAfter bounds what the authority says of when to ask again.
func pollAfter(retry time.Duration) time.Duration {
	return min(max(cmp.Or(retry, defaultPoll), minPoll), maxWait)
}

// backoff returns how long to wait after so many failures in a row: a minute,
// and twice as long each time, up to a day.
func backoff(failures int) time.Duration {
	return min(firstBackoff<<min(max(failures-1, 0), 20), maxWait)
}

// nameLimit returns when a name may be tried again, given the times when its
// validation failed: no sixth time within an hour.
func nameLimit(failed []time.Time, now time.Time) time.Time {
	recent := recentFailures(failed, now)
	if len(recent) < failuresAnHour {
		return time.Time{}
	}
	return recent[len(recent)-failuresAnHour].Add(time.Hour)
}

// recentFailures drops those that are over an hour old, and those that a wrong
// clock has put into the future.
func recentFailures(failed []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(failed), func(at time.Time) bool {
		return at.After(now) || now.Sub(at) >= time.Hour
	})
}

// due reports whether a time has come. One that is further away than any wait
// was written by a clock that was wrong.
func due(at, now time.Time) bool { return !at.After(now) || at.Sub(now) > maxWait }
