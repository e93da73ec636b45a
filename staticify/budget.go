package staticify

import (
	"cmp"
	"slices"
	"time"
)

// Budget bounds what rendering may cost the origin.
type Budget struct {
	CPU      float64       // processors that rendering may keep busy; 0 means 0.5
	Parallel int           // renders at once; 0 means 4
	Pages    int           // pages at most; 0 means 1000
	Interval time.Duration // within which every page is rendered once; 0 means 40 s, which keeps a promise of 60 s
}

// Candidate is a page that might become a file.
type Candidate struct {
	Key       Key           // of the page
	Hits      float64       // requests expected in one Interval
	Important bool          // chosen before all that are not, and whatever it costs
	Saved     time.Duration // processor time that one request costs the origin
	CPU       time.Duration // processor time that one render costs the origin; less than Saved where it answers 304
	Time      time.Duration // from the start of a render to its end
	Due       time.Time     // when the copy that is served must have been replaced; zero when there is none
}

// value is the processor time saved for one second of rendering.
func (c Candidate) value() float64 {
	return c.Hits * float64(c.Saved) / float64(max(c.CPU, time.Microsecond))
}

// Schedule is what Budget.Choose made of its candidates.
type Schedule struct {
	Pages []Candidate   // to render, earliest Due first
	Left  []Left        // all others, best first
	CPU   time.Duration // what rendering Pages costs
}

// Left is a candidate that stays with the origin, and why: OverBudget, or Late when it cannot be rendered by its Due
// time. A file of it must be unpublished.
type Left struct {
	Candidate
	Reason Reason // OverBudget or Late
}

func (b Budget) withDefaults() Budget {
	b.CPU = cmp.Or(b.CPU, 0.5)
	b.Parallel = cmp.Or(b.Parallel, 4)
	b.Pages = cmp.Or(b.Pages, 1000)
	b.Interval = cmp.Or(b.Interval, 40*time.Second)
	return b
}

// Choose picks the pages that save most processor time, within what one Interval gives: CPU, and the time of Parallel
// renders at once. That is a knapsack, filled greedily by what is saved for a second of rendering; since a page is small
// beside the budget, what the best choice would save more is less than one page. Then the pages are put in the order
// of their deadlines, and those that would miss theirs are left: of all orders, the earliest deadline first misses none
// if any order does.
func (b Budget) Choose(now time.Time, candidates []Candidate) Schedule {
	b = b.withDefaults()
	chosen, left := b.fill(byValue(candidates))
	s := b.order(now, chosen)
	s.Left = append(s.Left, left...)
	return s
}

// byValue returns the candidates in the order in which they are chosen.
func byValue(candidates []Candidate) []Candidate {
	sorted := slices.Clone(candidates)
	slices.SortStableFunc(sorted, func(a, b Candidate) int {
		if a.Important != b.Important {
			if a.Important {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.value(), a.value()), a.Key.Compare(b.Key))
	})
	return sorted
}

// fill takes candidates while there is room. One that does not fit makes way for smaller ones after it.
func (b Budget) fill(sorted []Candidate) (chosen []Candidate, left []Left) {
	cpu := time.Duration(b.CPU * float64(b.Interval))
	slots := time.Duration(b.Parallel) * b.Interval
	for _, c := range sorted {
		if c.Important || len(chosen) < b.Pages && c.CPU <= cpu && c.Time <= slots {
			chosen = append(chosen, c)
			cpu, slots = cpu-c.CPU, slots-c.Time
		} else {
			left = append(left, Left{c, OverBudget})
		}
	}
	return chosen, left
}

// order plans renders, Parallel at once, and leaves those that would end after they are due.
func (b Budget) order(now time.Time, chosen []Candidate) Schedule {
	due := func(c Candidate) time.Time {
		if c.Due.IsZero() {
			return now.Add(b.Interval)
		}
		return c.Due
	}
	slices.SortStableFunc(chosen, func(x, y Candidate) int { return due(x).Compare(due(y)) })
	var s Schedule
	free := make([]time.Time, b.Parallel)
	for i := range free {
		free[i] = now
	}
	for _, c := range chosen {
		next := 0
		for i := range free {
			if free[i].Before(free[next]) {
				next = i
			}
		}
		if end := free[next].Add(c.Time); end.After(due(c)) {
			s.Left = append(s.Left, Left{c, Late})
		} else {
			free[next] = end
			s.Pages = append(s.Pages, c)
			s.CPU += c.CPU
		}
	}
	return s
}
