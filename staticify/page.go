package staticify

import (
	"net/http"
	"time"
)

// DefaultMaxAge is the promise: no page that is served is older.
const DefaultMaxAge = 60 * time.Second

// Page is what the origin sends to a visitor of whom it knows nothing. It is not changed once it is made, so that
// several goroutines may read it.
type Page struct {
	Key    Key         // which requests it is for
	Header http.Header // what is sent with it, Content-Type always among it; Content-Length, Date and validators never
	Body   []byte      // without a content coding

	// Rendered is when nothing in the page was older: when its request was sent, less the Age that the answer gave
	// itself. Its monotonic reading, where it has one, outlives a step of the clock.
	Rendered time.Time
	Took     time.Duration // from the request to the last byte
	Lifetime time.Duration // the origin's own limit of age, by s-maxage, max-age or Expires; 0 when it gave none

	ETag, LastModified string // the origin's validators, for its next render alone
}

// Left returns how long the page may be served from now on when no page may be older than maxAge. The page is as old
// as the clock and the monotonic clock, whichever says more: neither a clock set back nor a machine that slept makes
// it younger.
func (p *Page) Left(now time.Time, maxAge time.Duration) time.Duration {
	if p.Lifetime > 0 {
		maxAge = min(maxAge, p.Lifetime)
	}
	return maxAge - max(now.Sub(p.Rendered), now.Round(0).Sub(p.Rendered.Round(0)), 0)
}
