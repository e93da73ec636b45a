package staticify

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Planner replays a log, as if staticify had run while it was written.
type Planner struct {
	Ranker    Ranker // its Query, HalfLife, Capacity, MinClients and UserAgent; made for this Planner
	Budget    Budget // of the renders
	Important []Key  // always files
	// Cost is the processor time that a page is taken to need when the log does not say how long requests took;
	// 0 means 150 ms. What the log says is used as it is, though a program also waits in that time.
	Cost time.Duration
}

// Plan is what a Planner foretells.
//
// HitRatio is Hits / Pages. A replay gives it: when Budget.Interval has gone by on the log's clock, pages are selected
// anew from what was asked for until then, and from nothing later, and each costs one render; requests for selected pages
// are hits until the next selection. So it includes the beginning, when nothing is known, and requests for pages that
// came up since the last selection. It does not include what a log cannot tell: which requests carry a cookie that keeps
// them from files, and which pages the origin marks as not to be kept. It is an upper bound as far as these go.
type Plan struct {
	From     time.Time     `json:"from"` // the earliest request
	To       time.Time     `json:"to"`   // the latest one
	Requests uint64        `json:"requests"`
	Own      uint64        `json:"own"`       // our own renders, which are not in Requests
	Assets   uint64        `json:"assets"`    // of Requests: style sheets, scripts, images, fonts, which are files already
	Pages    uint64        `json:"pages"`     // of Requests: all others
	Hits     uint64        `json:"hits"`      // of Pages: what files would have answered
	HitRatio float64       `json:"hit_ratio"` // 0 to 1
	Selected float64       `json:"selected"`  // pages that were files, on average over the selections
	Saved    time.Duration `json:"saved_ns"`  // processor time that hits did not cost
	Spent    time.Duration `json:"spent_ns"`  // processor time that renders cost
	Assumed  bool          `json:"assumed"`   // Planner.Cost was used, since the log does not time requests
	Curve    []Point       `json:"curve"`     // from no page on
	Files    []Planned     `json:"files"`     // those selected last, busiest first
	Misses   []Miss        `json:"misses"`    // why Pages - Hits were none, by reason
	Refused  []Refused     `json:"refused"`   // the same with details, recent requests weighing more
}

// Point is the hit ratio that the best Pages pages would have had, whatever the budget.
type Point struct {
	Pages    int     `json:"pages"`
	HitRatio float64 `json:"hit_ratio"` // 0 to 1
}

// Planned is a page that would be a file now.
type Planned struct {
	Target    string        `json:"target"`              // path and query
	Important bool          `json:"important,omitempty"` // a file whatever it costs
	Clients   int           `json:"clients"`             // different ones, estimated
	Rate      float64       `json:"requests_per_second"` // lately
	Hits      uint64        `json:"hits"`                // since it has been selected, without a break
	Cost      time.Duration `json:"cost_ns"`             // processor time of one request
}

// Miss is how many requests went to the origin for one reason.
type Miss struct {
	Reason Reason `json:"reason"` // why
	Hits   uint64 `json:"hits"`   // how many
}

// Plan replays hits, which are in the order of time or nearly so. An error among them does not end the replay: the
// first one is returned beside the plan of the others.
func (p Planner) Plan(hits iter.Seq2[*accesslog.Hit, error]) (*Plan, error) {
	r := newReplay(p)
	var first error
	for h, err := range hits {
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		r.observe(h)
	}
	return r.plan(), first
}

// maxCurve is how far the curve goes, in pages; further where the budget or the important pages do.
const maxCurve = 4000

// replay is a log that is being replayed.
type replay struct {
	Planner
	from, to time.Time // of the log
	selected time.Time // when the last selection was made
	files    map[string]*file
	chosen   Schedule
	ranked   []Ranked
	costs    map[string]cost

	hits         uint64
	selections   int
	filesSum     int
	saved, spent time.Duration
	assumed      bool
	byRank       []uint64 // hits of the pages that were so good
	misses       [reasonEnd]uint64
}

// file is a page that the last selection looked at.
type file struct {
	rank   int // 0 is the best
	static bool
	left   Reason
	cost   time.Duration
	hits   uint64
}

// cost is the mean of what requests for a page took.
type cost struct {
	sum time.Duration
	n   int64
}

func newReplay(p Planner) *replay {
	p.Budget = p.Budget.withDefaults()
	p.Cost = cmp.Or(p.Cost, 150*time.Millisecond)
	return &replay{Planner: p, files: map[string]*file{}, costs: map[string]cost{}}
}

func (r *replay) observe(h *accesslog.Hit) {
	r.span(h.Time)
	r.step(h.Time)
	target, reason := r.Ranker.observe(h)
	if target == nil {
		r.misses[reason]++
		return
	}
	r.time(target, h.Took)
	f, known := r.files[string(target)]
	if !known {
		r.misses[FewClients]++
		return
	}
	r.byRank[f.rank]++
	if !f.static {
		r.misses[f.left]++
		return
	}
	f.hits++
	r.hits++
	r.saved += f.cost
}

// span keeps the log's earliest and latest time.
func (r *replay) span(now time.Time) {
	if r.from.IsZero() || now.Before(r.from) && !now.IsZero() {
		r.from = now
	}
	if now.After(r.to) {
		r.to = now
	}
}

// step selects anew when all files of the last selection have been rendered once more before a request.
func (r *replay) step(now time.Time) {
	if r.selected.IsZero() {
		r.selected = now
		return
	}
	if now.Before(r.selected.Add(-r.Ranker.HalfLife)) { // the clock was set back
		r.selected = now
		r.Ranker.Age(now)
	}
	rounds := now.Sub(r.selected) / r.Budget.Interval
	if rounds < 1 {
		return
	}
	// While nothing is asked for, nothing but the age of files changes: they are rendered all the same.
	r.spent += time.Duration(rounds-1) * r.chosen.CPU
	r.selected = r.selected.Add(rounds * r.Budget.Interval)
	r.selectPages()
	r.spent += r.chosen.CPU
	r.filesSum += len(r.chosen.Pages)
	r.selections++
}

// time keeps what a request for a page took. What took hardly any time came from a file or a cache.
func (r *replay) time(target []byte, took time.Duration) {
	if took < 2*time.Millisecond {
		return
	}
	c, known := r.costs[string(target)]
	if known || len(r.costs) < 2*r.limit() {
		r.costs[string(target)] = cost{c.sum + took, c.n + 1}
	}
}

// limit is how many ranked pages are looked at.
func (r *replay) limit() int { return max(maxCurve, r.Budget.Pages) }

func (r *replay) selectPages() {
	r.ranked = r.Ranker.Top(r.limit())
	candidates := r.candidates()
	if more := len(candidates) - len(r.byRank); more > 0 {
		r.byRank = append(r.byRank, make([]uint64, more)...)
	}
	r.chosen = r.Budget.Choose(r.selected, candidates)
	old := r.files
	r.files = make(map[string]*file, len(candidates))
	for i, c := range byValue(candidates) {
		f := &file{rank: i, static: true, cost: c.Saved}
		target := c.Key.String()
		if was := old[target]; was != nil {
			f.hits = was.hits
		}
		r.files[target] = f
	}
	for _, left := range r.chosen.Left {
		f := r.files[left.Key.String()]
		f.static, f.left = false, left.Reason
	}
}

func (r *replay) candidates() []Candidate {
	var all []Candidate
	listed := map[Key]bool{}
	for _, k := range r.Important {
		all = append(all, r.candidate(k, 0, true))
		listed[k] = true
	}
	for _, page := range r.ranked {
		if !listed[page.Key] {
			all = append(all, r.candidate(page.Key, page.Rate, false))
		}
	}
	return all
}

func (r *replay) candidate(k Key, rate float64, important bool) Candidate {
	took := r.Cost
	if c := r.costs[k.String()]; c.n > 0 {
		took = c.sum / time.Duration(c.n)
	} else {
		r.assumed = true
	}
	return Candidate{
		Key: k, Hits: rate * r.Budget.Interval.Seconds(), Important: important, Saved: took, CPU: took, Time: took,
	}
}

func (r *replay) plan() *Plan {
	p := &Plan{
		From: r.from, To: r.to,
		Requests: r.Ranker.requests, Own: r.Ranker.own, Assets: r.Ranker.reasons[Asset],
		Hits: r.hits, Saved: r.saved, Spent: r.spent, Assumed: r.assumed,
		Files: r.listFiles(), Misses: r.listMisses(), Refused: r.listRefused(),
	}
	p.Pages = p.Requests - p.Assets
	p.HitRatio = ratio(p.Hits, p.Pages)
	p.Curve = r.curve(p.Pages)
	if r.selections > 0 {
		p.Selected = float64(r.filesSum) / float64(r.selections)
	}
	return p
}

func ratio(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

func (r *replay) listFiles() []Planned {
	known := map[Key]Ranked{}
	for _, page := range r.ranked {
		known[page.Key] = page
	}
	var files []Planned
	for _, c := range r.chosen.Pages {
		page := known[c.Key]
		files = append(files, Planned{
			Target: c.Key.String(), Important: c.Important, Clients: page.Clients, Rate: page.Rate,
			Hits: r.files[c.Key.String()].hits, Cost: c.Saved,
		})
	}
	slices.SortStableFunc(files, func(a, b Planned) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(a.Target, b.Target))
	})
	return files
}

func (r *replay) listMisses() []Miss {
	var misses []Miss
	for reason, n := range r.misses {
		if n > 0 && reason != 0 && Reason(reason) != Asset {
			misses = append(misses, Miss{Reason(reason), n})
		}
	}
	slices.SortStableFunc(misses, func(a, b Miss) int { return cmp.Compare(b.Hits, a.Hits) })
	return misses
}

func (r *replay) listRefused() []Refused {
	return slices.DeleteFunc(r.Ranker.Refused(), func(f Refused) bool { return f.Reason == Asset })
}

// curve adds up the hits of the first pages, and keeps some 100 points, closer together where there are few pages.
func (r *replay) curve(pages uint64) []Point {
	points := []Point{{}}
	var sum uint64
	last := 0
	for rank, hits := range r.byRank {
		if hits > 0 {
			last = rank + 1
		}
	}
	next := 1
	for n := 1; n <= last; n++ {
		sum += r.byRank[n-1]
		if n == next || n == last {
			points = append(points, Point{n, ratio(sum, pages)})
			next = max(n+1, int(math.Round(float64(n)*1.06)))
		}
	}
	return points
}
