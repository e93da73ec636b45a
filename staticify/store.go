package staticify

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// assumedCost is what a page costs that was never rendered.
const assumedCost = 200 * time.Millisecond

// retryAfter is when a page is tried again that is not for everybody.
const retryAfter = 10 * time.Minute

// compareEvery is how often a page is rendered twice although there is a copy: it may have become each visitor's own.
const compareEvery = time.Hour

// Counters only grow, from the start of the process.
type Counters struct {
	Renders     uint64            `json:"renders"`     // pages that the origin answered in full, or as unchanged
	Changed     uint64            `json:"changed"`     // of these, those that were new or different
	Generations uint64            `json:"generations"` // made
	Errors      uint64            `json:"errors"`      // rounds in which something did not work
	Refusals    map[string]uint64 `json:"refusals"`    // by reason
}

// store is what is known of pages.
type store struct {
	entries   map[Key]*entry
	published []*Page // what the latest generation was made of
	counters  Counters
	lastError string
}

// entry is what is known of one page.
type entry struct {
	key       Key
	page      *Page         // the latest copy, nil when there is none
	full      time.Duration // what a whole render took
	took      time.Duration // what the last render took, or the next will
	refusal   *Refusal      // of the last render
	failures  int           // refused renders in a row
	retry     time.Time     // not before
	rendering bool
	forgotten time.Time // renders that began before do not count
	compared  time.Time // when two renders were compared last
	chosen    bool      // by the last schedule
}

func (s *store) of(key Key) *entry {
	if s.entries == nil {
		s.entries = map[Key]*entry{}
	}
	e := s.entries[key]
	if e == nil {
		e = &entry{key: key}
		s.entries[key] = e
	}
	return e
}

func (s *store) count(change func(*Counters)) { change(&s.counters) }

func (s *store) rendered(e *entry, page *Page, took time.Duration) {
	s.counters.Renders++
	unchanged := e.page != nil && len(page.Body) > 0 && len(e.page.Body) > 0 && &page.Body[0] == &e.page.Body[0]
	if !unchanged {
		e.full = page.Took
		if e.page == nil || string(page.Body) != string(e.page.Body) {
			s.counters.Changed++
		}
	}
	e.page, e.took, e.refusal, e.failures = page, took, nil, 0
	e.retry = time.Time{}
}

// refused keeps the copy of a page that the origin did not answer well just now: it is served until it is too old, and
// no longer. Any other refusal means that the page is not for everybody, now.
func (s *store) refused(e *entry, r *Refusal, now time.Time, interval time.Duration) {
	if s.counters.Refusals == nil {
		s.counters.Refusals = map[string]uint64{}
	}
	s.counters.Refusals[r.Reason.String()]++
	e.refusal = r
	if !r.transient() {
		e.page = nil
	}
	e.retry = now.Add(retryAfter)
	if r.transient() || r.Reason == Differs { // which a page does that was just edited
		e.retry = now.Add(min(retryAfter, interval<<min(e.failures, 16)))
	}
	e.failures++
}

// transient reports whether a refusal speaks of the origin rather than of the page.
func (r *Refusal) transient() bool {
	switch r.Reason {
	case Slow, Unreachable, Truncated:
		return true
	case Status:
		return len(r.Detail) > 0 && r.Detail[0] == '5' || r.Detail == "429"
	}
	return false
}

func (s *store) forget(key Key, now time.Time) {
	e := s.of(key)
	e.page, e.refusal, e.retry, e.failures, e.forgotten = nil, nil, time.Time{}, 0, now
}

// pages returns the copies that are to be served.
func (s *store) pages() []*Page {
	var all []*Page
	for _, e := range s.entries {
		if e.page != nil && e.chosen {
			all = append(all, e.page)
		}
	}
	slices.SortFunc(all, func(a, b *Page) int { return a.Key.Compare(b.Key) })
	return all
}

// served returns what was published and can still be found.
func (s *store) served(now time.Time, maxAge time.Duration) []*Page {
	return slices.DeleteFunc(slices.Clone(s.published), func(p *Page) bool {
		e := s.entries[p.Key]
		return p.Left(now, maxAge) <= 0 || e != nil && e.forgotten.After(p.Rendered)
	})
}

// gone returns those of pages that were forgotten since, perhaps to be rendered anew.
func (s *store) gone(pages []*Page) []Key {
	var keys []Key
	for _, p := range pages {
		if e := s.entries[p.Key]; e == nil || e.page == nil || e.forgotten.After(p.Rendered) {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// schedule chooses the pages, and returns those of them that are to be rendered now, earliest deadline first.
func (s *Site) schedule(now time.Time) (Schedule, []Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	budget := s.budget()
	wanted := map[Key]Candidate{}
	if s.Ranker != nil {
		for _, r := range s.Ranker.Top(2 * cmp.Or(budget.Pages, 1000)) {
			wanted[r.Key] = Candidate{Key: r.Key, Hits: r.Rate * budget.Interval.Seconds()}
		}
	}
	for _, key := range s.Important {
		c := wanted[key]
		c.Key, c.Important = key, true
		wanted[key] = c
	}
	var candidates []Candidate
	for _, key := range slices.SortedFunc(maps.Keys(wanted), Key.Compare) {
		if c, ok := s.candidate(wanted[key], now); ok {
			candidates = append(candidates, c)
		}
	}
	chosen := budget.Choose(now, candidates)
	return chosen, s.due(chosen, wanted, now)
}

// candidate adds what earlier renders took. A page that was refused is none until it may be tried again, unless an
// earlier copy may still be served.
func (s *Site) candidate(c Candidate, now time.Time) (Candidate, bool) {
	e := s.store.of(c.Key)
	if e.page != nil {
		if left := e.page.Left(now, s.maxAge()); left > 0 {
			c.Due = now.Add(left)
		} else {
			e.page = nil
		}
	}
	c.Saved = cmp.Or(e.full, assumedCost)
	c.CPU = cmp.Or(e.took, assumedCost)
	if e.page == nil {
		c.CPU *= 2 // it is rendered twice, to be compared
	}
	c.Time = c.CPU
	return c, e.page != nil || !now.Before(e.retry)
}

// due drops what was not chosen, and returns what must be rendered before the generation after next.
func (s *Site) due(chosen Schedule, wanted map[Key]Candidate, now time.Time) []Key {
	for _, e := range s.store.entries {
		e.chosen = false
	}
	var due []Key
	margin := BucketWidth(s.maxAge()) + 2*s.interval()
	for _, c := range chosen.Pages {
		e := s.store.of(c.Key)
		e.chosen = true
		if !now.Before(e.retry) && (e.page == nil || c.Due.Sub(now) < margin+c.Time) {
			due = append(due, c.Key)
		}
	}
	for _, left := range chosen.Left {
		e := s.store.of(left.Key)
		e.chosen = left.Reason == Late // what is still good of it may stay until it is not
		if !e.chosen {
			e.page = nil
		}
	}
	maps.DeleteFunc(s.store.entries, func(key Key, e *entry) bool {
		_, asked := wanted[key]
		return !asked && !e.rendering
	})
	return due
}

// report says what became of a schedule.
func (s *Site) report(schedule Schedule, rendered int) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{Rendered: rendered, Published: len(s.store.served(time.Now(), s.maxAge()))}
	for _, key := range slices.SortedFunc(maps.Keys(s.store.entries), Key.Compare) {
		if e := s.store.entries[key]; e.refusal != nil {
			r.Refused = append(r.Refused, Outcome{key.String(), e.refusal.Reason, e.refusal.Detail})
		}
	}
	for _, left := range schedule.Left {
		r.Left = append(r.Left, Outcome{Key: left.Key.String(), Reason: left.Reason})
	}
	return r
}
