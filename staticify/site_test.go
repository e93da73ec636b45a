package staticify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
)

// origin renders in its own time, and what it is told.
type origin struct {
	mu      sync.Mutex
	took    time.Duration
	fails   map[string]error
	renders map[string]int
	at      int // renders at once, now and at most
	most    int
	cold    int // renders without a previous copy
}

func (o *origin) Render(ctx context.Context, key staticify.Key, previous *staticify.Page) (*staticify.Page, error) {
	start := time.Now()
	o.mu.Lock()
	if previous == nil {
		o.cold++
	}
	o.at++
	o.most = max(o.most, o.at)
	took, err := o.took, o.fails[key.String()]
	o.renders[key.String()]++
	o.mu.Unlock()
	defer func() { o.mu.Lock(); o.at--; o.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(took):
	}
	if err != nil {
		return nil, err
	}
	return &staticify.Page{Key: key, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(key.String()), Rendered: start, Took: time.Since(start)}, nil
}

func (o *origin) fail(target string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fails[target] = err
}

func (o *origin) count(target string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.renders[target]
}

func (o *origin) atOnce() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.most
}

// shelf is a Publisher that says what a visitor would find.
type shelf struct {
	mu     sync.Mutex
	pages  map[string]*staticify.Page
	full   error
	during func()
}

func (s *shelf) Accepts(p *staticify.Page) error {
	if p.Key.Path == "/long" {
		return &staticify.Refusal{Reason: staticify.TooLong}
	}
	return nil
}

func (s *shelf) Publish(_ context.Context, pages []*staticify.Page) error {
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full != nil {
		return s.full
	}
	s.pages = map[string]*staticify.Page{}
	for _, p := range pages {
		s.pages[p.Key.String()] = p
	}
	return nil
}

func (s *shelf) Withdraw(keys ...staticify.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		delete(s.pages, key.String())
	}
	return nil
}

// find returns the age of a page that is served.
func (s *shelf) find(target string) (age time.Duration, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[target]
	if p == nil || p.Left(time.Now(), time.Minute) < 10*time.Second {
		return 0, false
	}
	return time.Since(p.Rendered), true
}

func (s *shelf) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = err
}

// hits is a Log with these targets in each Poll, each from as many clients.
type hits struct {
	targets map[string]int
	saved   int
}

func (h *hits) Poll(each func(*accesslog.Hit) error) error {
	for target, n := range h.targets {
		for i := range n {
			err := each(&accesslog.Hit{
				Time: time.Now(), Client: netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), Method: []byte("GET"), Target: []byte(target), Status: 200,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *hits) Save() error { h.saved++; return nil }

func newSite(t *testing.T) (*staticify.Site, *origin, *shelf) {
	o := &origin{took: 300 * time.Millisecond, fails: map[string]error{}, renders: map[string]int{}}
	p := &shelf{}
	return &staticify.Site{
		Renderer: o, Publisher: p, Important: []staticify.Key{{Path: "/"}}, State: t.TempDir(), Budget: staticify.Budget{CPU: 2},
		Ranker: &staticify.Ranker{},
	}, o, p
}

// run runs the site until the test ends.
func run(t *testing.T, site *staticify.Site) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- site.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
}

// For five minutes every page is there at any time, and none is too old; nor is the origin asked more than it must be.
func TestPagesAreAlwaysThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, o, p := newSite(t)
		targets := map[string]int{}
		for i := range 100 {
			targets[fmt.Sprintf("/%d/", i)] = 3
		}
		site.Logs = []staticify.Log{&hits{targets: targets}}
		run(t, site)
		time.Sleep(20 * time.Second)
		for range 300 {
			time.Sleep(time.Second)
			for target := range targets {
				_, found := p.find(target)
				require.True(t, found, target)
			}
		}
		require.LessOrEqual(t, o.atOnce(), 4)
		require.LessOrEqual(t, o.count("/"), 320/30)
		require.GreaterOrEqual(t, o.count("/"), 320/60)
	})
}

// An origin that is down or slow costs no page before it is too old, and then all of them.
func TestOriginDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, o, p := newSite(t)
		run(t, site)
		time.Sleep(2 * time.Minute)
		o.fail("/", &staticify.Refusal{Reason: staticify.Unreachable})
		last, _ := p.find("/")
		since := time.Now()
		for range 1200 {
			time.Sleep(100 * time.Millisecond)
			age, found := p.find("/")
			require.Equal(t, last+time.Since(since) <= 50*time.Second, found, age)
		}
		asked := o.count("/")
		time.Sleep(20 * time.Minute)
		require.Less(t, o.count("/")-asked, 15, "it is asked less and less often")
		o.fail("/", nil)
		time.Sleep(15 * time.Minute)
		_, found := p.find("/")
		require.True(t, found)
	})
}

// A page that is no longer for everybody is gone with the next generation after it was asked for.
func TestRefusedPageGoes(t *testing.T) {
	for _, reason := range []staticify.Reason{staticify.SetCookie, staticify.CacheControl, staticify.Redirect, staticify.Marked, staticify.Status, staticify.Vary} {
		synctest.Test(t, func(t *testing.T) {
			site, o, p := newSite(t)
			run(t, site)
			time.Sleep(20 * time.Second)
			_, found := p.find("/")
			require.True(t, found)
			asked := o.count("/")
			o.fail("/", &staticify.Refusal{Reason: reason, Detail: "404"})
			for o.count("/") == asked {
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(6 * time.Second)
			_, found = p.find("/")
			require.False(t, found)
			require.EqualValues(t, 1, site.Counters().Refusals[reason.String()])
			snapshot, err := staticify.ReadSnapshot(site.State)
			require.NoError(t, err)
			require.Equal(t, "/", snapshot.Refused[0].Key)
			o.fail("/", nil)
			time.Sleep(11 * time.Minute)
			_, found = p.find("/")
			require.True(t, found)
		})
	}
}

// Purge takes a page away at once, also what was being rendered or published just then, and it returns anew.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, o, p := newSite(t)
		run(t, site)
		time.Sleep(20 * time.Second)
		key := staticify.Key{Path: "/"}
		for range 15 { // at any point of a round
			began := o.count("/")
			require.NoError(t, site.Purge(key))
			purged := time.Now()
			_, found := p.find("/")
			require.False(t, found)
			for {
				time.Sleep(50 * time.Millisecond)
				if age, found := p.find("/"); found {
					require.LessOrEqual(t, age, time.Since(purged))
					break
				}
				require.Less(t, time.Since(purged), 15*time.Second)
			}
			require.Greater(t, o.count("/"), began)
			time.Sleep(2300 * time.Millisecond)
		}
		// By another process.
		other := &staticify.Site{Publisher: p, State: site.State}
		began := o.count("/")
		require.NoError(t, other.Purge(key))
		_, found := p.find("/")
		require.False(t, found)
		time.Sleep(10 * time.Second)
		_, found = p.find("/")
		require.True(t, found)
		require.Greater(t, o.count("/"), began)
		left, err := filepath.Glob(filepath.Join(site.State, "purge", "*"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// A page that is purged while it is being published does not stay.
func TestPurgeWhilePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, o, p := newSite(t)
		_, err := site.RunOnce(t.Context())
		require.NoError(t, err)
		p.during = func() { require.NoError(t, site.Purge(staticify.Key{Path: "/"})) }
		_, err = site.RunOnce(t.Context())
		require.NoError(t, err)
		_, found := p.find("/")
		require.False(t, found)
		p.during = nil
		_, err = site.RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, o.count("/"))
		_, found = p.find("/")
		require.True(t, found)
	})
}

// What another process has purged while it was being published is gone when that ends.
func TestPurgedElsewhereWhilePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, _, p := newSite(t)
		_, err := site.RunOnce(t.Context())
		require.NoError(t, err)
		other := &staticify.Site{Publisher: &shelf{}, State: site.State}
		p.during = func() { require.NoError(t, other.Purge(staticify.Key{Path: "/"})) }
		_, err = site.RunOnce(t.Context())
		require.NoError(t, err)
		_, found := p.find("/")
		require.False(t, found)
		require.Zero(t, site.Published())
	})
}

// What no request can have is no page, whoever asks.
func TestPurgeNonsense(t *testing.T) {
	site, _, _ := newSite(t)
	require.ErrorContains(t, site.Purge(staticify.Key{}), "slash")
	dir := filepath.Join(site.State, "purge")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for i, text := range []string{`[{}]`, `{`, `[{"Path":"x"}]`, `null`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), []byte(text), 0o600))
	}
	_, err := site.RunOnce(t.Context())
	require.ErrorContains(t, err, `path "x"`)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A promise that leaves no time to render in cannot be kept.
func TestTooBrief(t *testing.T) {
	site, _, _ := newSite(t)
	site.MaxAge = 3 * time.Second
	_, err := site.RunOnce(t.Context())
	require.ErrorContains(t, err, "want more than 3s")
	site.MaxAge = 4 * time.Second
	_, err = site.RunOnce(t.Context())
	require.NoError(t, err)
}

// What was rendered anew while an older copy was being published does not hide that one, which was purged.
func TestRenderedWhilePublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, _, p := newSite(t)
		_, err := site.RunOnce(t.Context())
		require.NoError(t, err)
		p.during = func() {
			require.NoError(t, site.Purge(staticify.Key{Path: "/"}))
			site.Publisher = &shelf{}
			_, err := site.RunOnce(t.Context())
			require.NoError(t, err)
			site.Publisher = p
		}
		_, err = site.RunOnce(t.Context())
		require.NoError(t, err)
		_, found := p.find("/")
		require.False(t, found)
	})
}

// What was counted is not forgotten because it cannot be read: nothing begins, however often it is tried.
func TestDamagedRanking(t *testing.T) {
	site, _, _ := newSite(t)
	name := filepath.Join(site.State, "ranking")
	require.NoError(t, os.WriteFile(name, []byte("damaged"), 0o600))
	for range 2 {
		_, err := site.RunOnce(t.Context())
		require.ErrorContains(t, err, name)
	}
	require.ErrorContains(t, site.Run(t.Context()), "remove it to count anew")
	data, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, "damaged", string(data))
}

// What cannot be published now is published later, and nothing stops.
func TestPublisherFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, _, p := newSite(t)
		run(t, site)
		time.Sleep(20 * time.Second)
		p.set(errors.Join(errors.New("one of two roots"), staticify.ErrPartial))
		time.Sleep(5 * time.Minute)
		require.Equal(t, 1, site.Published())
		before := site.Counters()
		p.set(errors.New("no space left on device"))
		time.Sleep(5 * time.Minute)
		_, found := p.find("/")
		require.False(t, found)
		require.Greater(t, site.Counters().Errors, before.Errors+50)
		require.LessOrEqual(t, site.Counters().Generations, before.Generations+1)
		require.Zero(t, site.Published(), "it says that what is too old is a file")
		p.set(nil)
		time.Sleep(10 * time.Second)
		_, found = p.find("/")
		require.True(t, found)
		snapshot, err := staticify.ReadSnapshot(site.State)
		require.NoError(t, err)
		require.Contains(t, snapshot.LastError, "no space left on device")
	})
}

// A new process renders at once what the old one had found busy, before it reads any log.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, _, _ := newSite(t)
		log := &hits{targets: map[string]int{"/busy/": 5, "/long": 5, "/rare/": 1}}
		site.Logs = []staticify.Log{log}
		report, err := site.RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, report.Published)
		require.Equal(t, []staticify.Outcome{{Key: "/long", Reason: staticify.TooLong}}, report.Refused)
		require.Equal(t, 1, log.saved)

		again, o, p := newSite(t)
		again.State = site.State
		_, err = again.RunOnce(t.Context())
		require.NoError(t, err)
		_, found := p.find("/busy/")
		require.True(t, found)
		require.Zero(t, o.count("/rare/"), "one client makes no page busy")
	})
}

// Once an hour a page is rendered as if for the first time.
func TestComparedEachHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, o, _ := newSite(t)
		site.State = ""
		run(t, site)
		time.Sleep(150 * time.Minute)
		o.mu.Lock()
		defer o.mu.Unlock()
		require.Equal(t, 3, o.cold)
	})
}

// Pages over the budget are left, and told.
func TestBudgetLeavesPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site, _, p := newSite(t)
		site.Budget = staticify.Budget{Pages: 3}
		site.Logs = []staticify.Log{&hits{targets: map[string]int{"/a/": 50, "/b/": 40, "/c/": 30, "/d/": 20}}}
		report, err := site.RunOnce(t.Context())
		require.NoError(t, err)
		require.Equal(t, 3, report.Published)
		require.True(t, slices.ContainsFunc(report.Left, func(o staticify.Outcome) bool { return o.Reason == staticify.OverBudget }))
		_, found := p.find("/")
		require.True(t, found, "important")
	})
}

// Left is the lesser of what the clocks say.
func TestLeft(t *testing.T) {
	now := time.Now()
	p := staticify.Page{Rendered: now.Add(-10 * time.Second)}
	require.Equal(t, 50*time.Second, p.Left(now, time.Minute))
	p.Lifetime = 20 * time.Second
	require.Equal(t, 10*time.Second, p.Left(now, time.Minute))
	p = staticify.Page{Rendered: now.Add(time.Hour).Round(0)} // by a clock that has been set back since
	require.Equal(t, time.Minute, p.Left(now, time.Minute))
}
