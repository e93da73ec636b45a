package staticify

import (
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Ranker counts which pages are asked for. Its fields are set before the first Observe. It is not safe for use from
// several goroutines: give each its own, and Merge them.
type Ranker struct {
	Query      Query
	UserAgent  string        // requests with this User-Agent are our own renders, and are not counted
	HalfLife   time.Duration // after which a hit counts half; 0 means 10 minutes
	Capacity   int           // pages that are counted at once; 0 means 8192, eight times a budget of 1000
	MinClients int           // different clients that must have asked for a page; 0 means 2
}

// Ranked is a page, and what is known of its requests.
type Ranked struct {
	Key     Key
	Hits    float64 // requests, decayed; never less than there were
	Error   float64 // Hits may be too high by as much as this
	Clients int     // different clients, estimated
}

// Observe counts one request. A request that is not for a static file is counted by its reason, and returned as a
// *[Refusal].
func (r *Ranker) Observe(h *accesslog.Hit) error { return nil }

// Top returns the n busiest pages, busiest first.
func (r *Ranker) Top(n int) []Ranked { return nil }

// Merge adds what other has counted.
func (r *Ranker) Merge(other *Ranker) {}
