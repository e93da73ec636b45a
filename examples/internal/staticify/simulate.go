package staticify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/publish"
	"github.com/berryrack/berryrack/staticify/render"
)

// simulatedMaxAge is the promise of a simulation: shorter than a real site's,
// so that a minute shows it kept several times.
const simulatedMaxAge = 20 * time.Second

// Simulate is `staticify simulate`: a slow site, its visitors and a web server,
// all in this process and in a temporary directory.
type Simulate struct {
	Duration time.Duration `default:"60s" help:"How long (${default})."`
	Rate     int           `default:"200" help:"Requests a second (${default})."`
	Seed     uint64        `default:"1" help:"Which visitors come (${default})."`
	JSON     bool          `name:"json" help:"Print a line of JSON for each row."`
}

// Run prints how the hit ratio rises. A page that is wrong or too old is an
// error.
func (s *Simulate) Run(ctx context.Context, std cli.Streams) (err error) {
	if s.Duration < time.Second || s.Rate < 1 || s.Rate > 10_000 {
		return &cli.UsageError{Err: errors.New("--duration: want at least 1s; --rate: want 1 to 10000")}
	}
	dir, err := os.MkdirTemp("", "staticify-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	w, err := newWorld(dir)
	if err != nil {
		return err
	}
	defer w.close()
	table := table{out: std.Out, json: s.JSON}
	table.head(fmt.Sprintf("%d requests a second for %d pages, of which the origin makes one in %v; no page may be older than %v",
		s.Rate, pagesOfSite, originTakes, simulatedMaxAge))
	ctx, cancel := context.WithTimeout(ctx, s.Duration)
	defer cancel()
	visitors := newVisitors(w.front.URL, s.Seed)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.site.Run(ctx) })
	group.Go(func() error { return visitors.come(ctx, s.Rate) })
	group.Go(func() error { return table.rows(ctx, max(s.Duration/12, time.Second/2), visitors) })
	if err := group.Wait(); err != nil {
		return err
	}
	return table.verdict(visitors)
}

// world is the site and the servers around it.
type world struct {
	origin, front *httptest.Server
	log           *os.File
	root          *os.Root
	site          *staticify.Site
}

func newWorld(dir string) (*world, error) {
	w := &world{origin: httptest.NewServer(newOrigin())}
	path := filepath.Join(dir, "access.log")
	www := filepath.Join(dir, "www")
	origin, err := url.Parse(w.origin.URL)
	if err = errors.Join(err, os.Mkdir(www, 0o755)); err == nil {
		w.log, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if err == nil {
		w.root, err = os.OpenRoot(www)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	query := staticify.Query{Keep: []string{"page"}}
	w.front = httptest.NewServer(newFront(w.root, origin, query, w.log))
	w.site = &staticify.Site{
		Logs:      []staticify.Log{&accesslog.Follower{Path: path}},
		Ranker:    &staticify.Ranker{Query: query, UserAgent: render.UserAgent},
		Important: []staticify.Key{{Path: "/"}},
		Budget:    staticify.Budget{CPU: 4, Parallel: 8},
		Renderer:  &render.Renderer{Origin: origin, Host: "www.example.org"},
		Publisher: &publish.Publisher{Roots: []string{www}, Layout: layout{}, MaxAge: simulatedMaxAge},
		MaxAge:    simulatedMaxAge,
		Interval:  time.Second / 2,
	}
	return w, nil
}

func (w *world) close() {
	for _, server := range []*httptest.Server{w.front, w.origin} {
		if server != nil {
			server.CloseClientConnections() // or Close waits for those that were never used
			server.Close()
		}
	}
	if w.root != nil {
		w.root.Close()
	}
	if w.log != nil {
		w.log.Close()
	}
}

// table prints rows of figures.
type table struct {
	out  io.Writer
	json bool
}

// row is what happened since the row before.
type row struct {
	Seconds  float64 `json:"seconds"`
	Requests int     `json:"requests"`
	Files    int     `json:"from_files"`
	HitRatio float64 `json:"hit_ratio"`
	Mean     float64 `json:"mean_ms"`
	Oldest   float64 `json:"oldest_s"`
}

func (t *table) head(text string) {
	if !t.json {
		fmt.Fprintf(t.out, "%s\n\n%8s %9s %11s %10s %12s %12s\n", text, "after", "requests", "from files", "hit ratio", "mean answer", "oldest file")
	}
}

// rows prints one row each interval, and the last one at the end.
func (t *table) rows(ctx context.Context, interval time.Duration, v *visitors) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		f := v.take()
		r := row{
			Seconds: time.Since(start).Seconds(), Requests: f.requests, Files: f.files,
			HitRatio: f.ratio(), Mean: f.mean().Seconds() * 1000, Oldest: f.oldest.Seconds(),
		}
		if err := t.row(r); err != nil {
			return err
		}
	}
}

func (t *table) row(r row) error {
	if t.json {
		return json.NewEncoder(t.out).Encode(r)
	}
	_, err := fmt.Fprintf(t.out, "%6.1f s %9d %11d %8.1f %% %9.1f ms %10.1f s\n", r.Seconds, r.Requests, r.Files, 100*r.HitRatio, r.Mean, r.Oldest)
	return err
}

// verdict tells of all requests together.
func (t *table) verdict(v *visitors) error {
	f := v.all()
	if !t.json {
		fmt.Fprintf(t.out, "\n%d requests, %d wrong pages, %d errors, no page older than %.1f s\nhit ratio: %.1f %%, at the end %.1f %%\n",
			f.requests, f.wrong, f.errors, f.oldest.Seconds(), 100*f.ratio(), 100*v.latest().ratio())
	}
	if f.wrong > 0 || f.errors > 0 || f.oldest > simulatedMaxAge {
		return fmt.Errorf("simulation: %d wrong pages, %d errors, a page of %v where %v is allowed; the first: %s",
			f.wrong, f.errors, f.oldest, simulatedMaxAge, f.first)
	}
	return nil
}

// layout is how the front finds files: one for each page, with its headers
// before the body.
type layout struct{}

func (layout) Files(p *staticify.Page) ([]staticify.File, error) {
	var head []byte
	for name, values := range p.Header {
		for _, value := range values {
			head = fmt.Appendf(head, "%s: %s\r\n", name, value)
		}
	}
	return []staticify.File{{Name: p.Key.FileName() + ".page", Prefix: append(head, "\r\n"...)}}, nil
}

func (l layout) Bucket(start time.Time) string {
	return fmt.Sprint(start.Unix() / int64(l.Width()/time.Second))
}

func (layout) Width() time.Duration { return staticify.BucketWidth(simulatedMaxAge) }
