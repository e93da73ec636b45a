package rollover

import (
	"fmt"
	"slices"
	"time"
)

// doubt is how long after a leap the clock is thought to be possibly wrong.
const doubt = 30 * 24 * time.Hour

// tellTime takes in how much time passed. What is not known to have passed, as the
// clock leapt or nobody looked, does not count for the waits: what they are
// counted from moves along. A leap that is not noticed is no longer than the
// safety intervals, which are there for such things.
func (s *step) tellTime() {
	clock := &s.Clock
	if clock.Last.IsZero() {
		clock.Last = s.now
		return
	}
	gap := s.now.Sub(clock.Last)
	slack := min(s.policy.PublishSafety, s.policy.RetireSafety)
	passed := s.observed.Elapsed
	if passed <= 0 && !s.emergency() {
		passed = min(max(gap, 0), slack)
	}
	leap := gap - passed
	if gap < 0 || leap > 0 {
		s.shift(leap)
	}
	if leap > slack {
		clock.Behind += leap
		clock.Leapt = s.now
	} else if gap < 0 {
		clock.Behind = max(0, clock.Behind+leap)
		clock.Leapt = s.now
	}
	if clock.Behind > 0 && s.now.Sub(clock.Leapt) > doubt {
		clock.Behind = 0
	}
	if !clock.Leapt.IsZero() && s.now.Sub(clock.Leapt) > doubt {
		clock.Leapt = time.Time{}
	}
	clock.Last = s.now
}

// emergency reports whether a key waits without the safety intervals.
func (s *step) emergency() bool {
	return slices.ContainsFunc(s.Keys, func(key Key) bool { return key.Emergency })
}

// shift moves what waits are counted from, and lets nothing be in the future.
func (s *step) shift(by time.Duration) {
	for i := range s.Keys {
		key := &s.Keys[i]
		for r := range key.Records {
			status := &key.Records[r]
			if status.State == Rumoured || status.State == Unretentive {
				move(&status.Since, by)
				move(&status.Seen, by)
				move(&status.Entered, by)
			}
			clamp(&status.Since, s.now)
		}
		clamp(&key.Created, s.now)
		clamp(&key.Activated, s.now)
	}
	move(&s.TTLs.Key.Lowered, by)
	move(&s.TTLs.Zone.Lowered, by)
	move(&s.TTLs.DS.Lowered, by)
	move(&s.StrayUntil, by)
}

func move(t *time.Time, by time.Duration) {
	if !t.IsZero() {
		*t = t.Add(by)
	}
}

func clamp(t *time.Time, now time.Time) {
	if t.After(now) {
		*t = now
	}
}

// explainClock says what a leap does.
func (s *step) explainClock() {
	if s.Clock.Behind == 0 {
		return
	}
	s.explain(Reason{Person: s.Clock.Behind > day, Rule: "clock", Text: fmt.Sprintf(
		"the clock may be %v ahead, or nobody looked for as long: this time counts for no wait, and signatures are made to be valid from %s on; look whether the clock is right",
		s.Clock.Behind.Round(time.Second), s.now.Add(-s.Clock.Behind).UTC().Format(time.RFC3339))})
}
