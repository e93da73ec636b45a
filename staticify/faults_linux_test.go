package staticify_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/render"
)

// fault is something wrong with the answers that we get, or all do.
type fault func(w http.ResponseWriter, r *http.Request)

// moody is an origin whose page has a new version each second.
type moody struct {
	mu    sync.Mutex
	fault fault
	all   bool // visitors have it too
	hits  atomic.Int64
}

func (m *moody) set(f fault, all bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault, m.all = f, all
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ours := r.UserAgent() == render.UserAgent
	m.mu.Lock()
	f := m.fault
	if !ours && !m.all {
		f = nil
	}
	m.mu.Unlock()
	if ours {
		m.hits.Add(1)
	}
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	if f != nil {
		f(w, r)
		return
	}
	io.WriteString(w, good(r.URL.Path))
}

func good(path string) string {
	return fmt.Sprintf("<html>page %s version-%d.</html>", path, time.Now().Unix())
}

// faults, and whether they speak of the origin, so that pages that are files already stay until they are too old, and are
// tried again and again.
var faults = map[string]struct {
	stay  bool
	fault fault
}{
	"500": {true, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, "<html>error</html>")
	}},
	"503":  {true, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }},
	"slow": {true, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	"cut": {true, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "<html>page / ver")
	}},
	"PHP died": {true, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>page / version-1.") }},
	"hangs up": {true, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	"login": {false, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `<html>version-1. <input type="password" name="pwd"></html>`)
	}},
	"to login": {false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/wp-login.php")
		w.WriteHeader(302)
	}},
	"cookie": {false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "PHPSESSID=1")
		io.WriteString(w, good(r.URL.Path))
	}},
	"private": {false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private")
		io.WriteString(w, good(r.URL.Path))
	}},
	"not found": {false, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		io.WriteString(w, "<html>version-1.</html>")
	}},
}

// Whatever is wrong with our renders, visitors get a right page that is not too old, and no error.
func TestFaults(t *testing.T) {
	lab.Need(t, "nginx")
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &moody{}
			w, site := faulty(t, m)
			workers := w.public.Workers(t)
			ctx, cancel := context.WithCancel(t.Context())
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return site.Run(ctx) })
			t.Cleanup(func() { cancel(); require.NoError(t, group.Wait()) })
			for range 2 {
				group.Go(func() error { return w.visit(ctx) })
			}
			w.public.Reloaded(t, workers)
			file := func() bool { return send(t, w.public.Address, host, request{method: "GET", target: "/"}).static() }
			await(ctx, t, "a file", file)

			before := m.hits.Load()
			m.set(f.fault, false)
			await(ctx, t, "no file", func() bool { return m.hits.Load() > before && !file() })
			if tried := m.hits.Load(); f.stay {
				await(ctx, t, "another try", func() bool { return m.hits.Load() > tried })
			}
			m.set(nil, false)
			if !f.stay { // it would be tried again in ten minutes
				require.NoError(t, site.Purge(staticify.Key{Path: "/"}))
			}
			await(ctx, t, "a file again", file)
			require.NoError(t, ctx.Err(), "a visitor got something wrong")
		})
	}
}

// Errors of the origin's that visitors get too are no file's.
func TestOriginGone(t *testing.T) {
	lab.Need(t, "nginx")
	m := &moody{}
	w, site := faulty(t, m)
	workers := w.public.Workers(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- site.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	w.public.Reloaded(t, workers) // or the old one may still answer
	get := func() reply { return send(t, w.public.Address, host, request{method: "GET", target: "/"}) }
	await(ctx, t, "a file", func() bool { return get().static() })
	m.set(faults["hangs up"].fault, true)
	await(ctx, t, "the end of the file", func() bool {
		got := get()
		if got.static() {
			require.NoError(t, right(got, "/", time.Now(), w.MaxAge))
		} else {
			require.Equal(t, 502, got.status)
		}
		return !got.static()
	})
	m.set(nil, false)
	await(ctx, t, "a file again", func() bool { return get().static() })
}

// faulty is a world with a moody origin, and its Site.
func faulty(t *testing.T, m *moody) (*world, *staticify.Site) {
	origin := httptest.NewUnstartedServer(m)
	origin.Config.ErrorLog = nil
	origin.Start()
	t.Cleanup(origin.Close)
	w := &world{Origin: strings.TrimPrefix(origin.URL, "http://"), Host: host, MaxAge: 6 * time.Second, Timeout: time.Second, Important: []string{"/", "/x/"}}
	w.start(t)
	site, err := w.site()
	require.NoError(t, err)
	site.Logger = nil
	return w, site
}

// visit asks for pages until ctx ends. What is wrong, or too old, is an error.
func (w *world) visit(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, target := range []string{"/", "/x/"} {
			sent := time.Now()
			got, err := try(w.public.Address, host, request{method: "GET", target: target})
			if err == nil {
				err = right(got, target, sent, w.MaxAge)
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

var versionOf = regexp.MustCompile(`^<html>page (\S+) version-(\d+)\.</html>$`)

// right checks that an answer is the page that was asked for, and was so less than maxAge ago.
func right(got reply, target string, sent time.Time, maxAge time.Duration) error {
	m := versionOf.FindStringSubmatch(got.body)
	if got.status != 200 || m == nil || m[1] != target {
		return fmt.Errorf("%s: %d %q", target, got.status, got.body)
	}
	second, err := strconv.ParseInt(m[2], 10, 64)
	if age := sent.Sub(time.Unix(second+1, 0)); err != nil || age > maxAge {
		return fmt.Errorf("%s is %v old", target, age)
	}
	return nil
}
