package staticify

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/topk"
)

// perClient is how many requests of one client for one page count, on average over its clients: a page that few ask for
// very often does not push out pages that many ask for.
const perClient = 10

// Ranker counts which pages are asked for. Its fields are set before the first Observe. It is not safe for use from
// several goroutines: give each its own, and Merge them.
type Ranker struct {
	Query      Query         // which parameters make a page; the zero Query drops DefaultIgnore and refuses all others
	UserAgent  string        // requests with this User-Agent are our own renders, and are not counted; empty: none are
	HalfLife   time.Duration // after which a request counts half, by the log's clock; 0 means 10 minutes
	Capacity   int           // pages that are counted at once; 0 means 8192, eight times the pages of a zero Budget
	MinClients int           // different clients that must have asked for a page; 0 means 2

	rules    rules
	pages    *topk.Summary
	refused  *topk.Summary // reason and detail
	buf      []byte
	first    time.Time     // request counted
	latest   time.Time     // of all requests
	anchor   time.Time     // of the last halving
	span     time.Duration // what the counts stand for, up to anchor: halved with them
	clients  bool          // some request had an address
	requests uint64
	own      uint64
	reasons  [reasonEnd]uint64
}

// Ranked is a page, and what is known of its requests. What is counted is weighed by age: a request that is one HalfLife
// old counts half.
type Ranked struct {
	Key     Key     // without the parameters that are ignored
	Hits    float64 // requests: at least so many, except that one client's many count as few
	Error   float64 // and perhaps so many more, from before the page had a counter
	Clients int     // different clients, estimated; an IPv6 /64 is one
	Rate    float64 // Hits a second
}

// Refused is what requests were refused for.
type Refused struct {
	Reason Reason  `json:"reason"`           // never 0; its name in JSON
	Detail string  `json:"detail,omitempty"` // the parameter, the status, the method
	Hits   float64 `json:"hits"`             // requests: at least so many, weighed by age as those of Ranked
}

func (r *Ranker) start() {
	r.rules = r.Query.rules()
	r.HalfLife = cmp.Or(r.HalfLife, 10*time.Minute)
	r.MinClients = cmp.Or(r.MinClients, 2)
	r.pages = topk.New(cmp.Or(r.Capacity, 8192))
	r.refused = topk.New(256)
	r.buf = make([]byte, 0, MaxTarget)
}

// Observe counts one request, and returns why it is not for a static file, or 0. Logs of several servers may be read one
// after the other: the latest request says what time it is, and those of much more than a HalfLife before do not count.
func (r *Ranker) Observe(h *accesslog.Hit) Reason {
	_, reason := r.observe(h)
	return reason
}

// observe returns the target of the request's Key, valid until the next call; it is nil for our own requests too.
func (r *Ranker) observe(h *accesslog.Hit) ([]byte, Reason) {
	if r.pages == nil {
		r.start()
	}
	if r.UserAgent != "" && string(h.UserAgent) == r.UserAgent {
		r.own++
		return nil, 0
	}
	r.requests++
	counts := r.age(h.Time)
	target, f := r.judge(h)
	if f.reason != 0 {
		r.refuse(f)
		return nil, f.reason
	}
	if !counts {
		return target, 0
	}
	client := topk.Client(h.Client)
	r.clients = r.clients || client != 0
	r.pages.Add(target, client)
	return target, 0
}

// judge finds the page that a request is for. The order is that of the work it takes.
func (r *Ranker) judge(h *accesslog.Hit) ([]byte, fault) {
	switch {
	case string(h.Method) != "GET" && string(h.Method) != "HEAD":
		return nil, fault{Method, "", h.Method}
	case len(h.User) > 0:
		return nil, fault{reason: Authorization}
	case isAsset(h.Target):
		return nil, fault{reason: Asset}
	case h.Status == 200 || h.Status == 304 || h.Status == 0:
	case h.Status/100 == 3:
		return nil, fault{reason: Redirect, what: strconv.Itoa(h.Status)}
	default:
		return nil, fault{reason: Status, what: strconv.Itoa(h.Status)}
	}
	return r.rules.canonical(r.buf, h.Target)
}

// refuse counts a fault, by its reason and by what is worth telling apart.
func (r *Ranker) refuse(f fault) {
	r.reasons[f.reason]++
	detail := f.bytes
	if detail == nil {
		detail = []byte(f.what)
	}
	var buf [65]byte
	r.refused.Add(append(append(buf[:0], byte(f.reason)), detail[:min(len(detail), 64)]...), 0)
}

// Age tells what time it is, for counts to halve also while nothing is asked for. When the requests' clock is ahead by
// more than a HalfLife, because it was wrong and has been set back, the counts stay and go on from now.
func (r *Ranker) Age(now time.Time) {
	if r.pages == nil {
		r.start()
	}
	if now.Before(r.anchor.Add(-r.HalfLife)) {
		r.restart(now)
	}
	r.age(now)
}

// restart begins to count time now. Multiples of HalfLife are the same for all Rankers, so their counts can be added.
func (r *Ranker) restart(now time.Time) {
	r.anchor, r.latest, r.first = now.Truncate(r.HalfLife), now, now
}

// age halves the counts once for each HalfLife that has gone by. It returns false for a time that is so long ago that a
// request then no longer counts.
func (r *Ranker) age(now time.Time) bool {
	switch {
	case now.IsZero():
		return true
	case r.anchor.IsZero():
		r.restart(now)
		return true
	case now.Before(r.anchor.Add(-r.HalfLife)):
		return false
	case now.After(r.latest):
		r.latest = now
	}
	for range 64 {
		if now.Sub(r.anchor) < r.HalfLife {
			return true
		}
		r.span = (r.span + r.since(r.anchor.Add(r.HalfLife))) / 2
		r.anchor = r.anchor.Add(r.HalfLife)
		r.pages.Halve()
		r.refused.Halve()
	}
	r.anchor = now.Truncate(r.HalfLife)
	return true
}

// since is how long has been counted since the last halving.
func (r *Ranker) since(until time.Time) time.Duration {
	if r.first.After(r.anchor) {
		return until.Sub(r.first)
	}
	return until.Sub(r.anchor)
}

// Top returns the n busiest pages that enough clients ask for, busiest first. A log without addresses of clients is
// taken as it is.
func (r *Ranker) Top(n int) []Ranked {
	if r.pages == nil {
		return nil
	}
	var top []Ranked
	seconds := max(time.Second, r.span+r.since(r.latest)).Seconds()
	// All are looked at: what one client asked for may be above all others, and falls back.
	for _, item := range r.pages.Top(r.pages.Len()) {
		hits := item.Count - item.Error
		if r.clients {
			if item.Clients < r.MinClients {
				continue
			}
			hits = min(hits, float64(item.Clients*perClient))
		}
		top = append(top, Ranked{
			Key: keyOf(item.Key), Hits: hits, Error: item.Error, Clients: item.Clients, Rate: hits / seconds,
		})
	}
	slices.SortStableFunc(top, func(a, b Ranked) int { return cmp.Compare(b.Hits, a.Hits) })
	return top[:min(n, len(top))]
}

// Merge adds what other has counted, of another server's log say. Their HalfLife must be the same. Other is not changed.
func (r *Ranker) Merge(other *Ranker) {
	if other.pages == nil {
		return
	}
	if r.pages == nil {
		r.start()
	}
	theirs := *other
	theirs.pages, theirs.refused = clone(other.pages), clone(other.refused)
	theirs.age(r.latest)
	r.age(theirs.latest)
	r.pages.Merge(theirs.pages)
	r.refused.Merge(theirs.refused)
	r.span = max(r.span, theirs.span)
	if theirs.first.Before(r.first) {
		r.first = theirs.first
	}
	r.requests += theirs.requests
	r.own += theirs.own
	r.clients = r.clients || theirs.clients
	for i, n := range theirs.reasons {
		r.reasons[i] += n
	}
}

func clone(s *topk.Summary) *topk.Summary {
	c := topk.New(s.Capacity())
	c.Merge(s)
	return c
}

// Requests is how many requests were seen, refused ones included, our own not.
func (r *Ranker) Requests() uint64 { return r.requests }

// Refused returns what requests were refused for, most frequent first: up to 256 reasons with their details.
func (r *Ranker) Refused() []Refused {
	if r.pages == nil {
		return nil
	}
	var all []Refused
	for _, item := range r.refused.Top(256) {
		all = append(all, Refused{Reason: Reason(item.Key[0]), Detail: item.Key[1:], Hits: item.Count - item.Error})
	}
	return all
}

// isAsset reports whether a path ends like a file that no program makes.
func isAsset(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte("?"))
	tail := path[max(0, len(path)-6):]
	dot := bytes.LastIndexByte(tail, '.')
	if dot < 0 {
		return false
	}
	switch string(tail[dot+1:]) {
	case "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "ico", "webp", "avif", "bmp",
		"woff", "woff2", "ttf", "otf", "eot", "mp3", "mp4", "webm", "ogg", "wav", "pdf", "zip", "gz", "bz2", "xz", "7z",
		"exe", "dmg", "iso", "img", "deb", "apk", "wasm":
		return true
	}
	return false
}
