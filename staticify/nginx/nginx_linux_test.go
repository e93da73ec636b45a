package nginx_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/nginx"
	"github.com/berryrack/berryrack/staticify/publish"
)

// site is an nginx in front of an origin that says what it was asked for.
type site struct {
	*weblab.Nginx
	server    *nginx.Server
	publisher *publish.Publisher
	config    nginx.Config
}

func newSite(t *testing.T, maxAge time.Duration, extra string) *site {
	lab.Need(t, "nginx")
	origin := httptest.NewServer(http.HandlerFunc(weblab.Origin))
	t.Cleanup(origin.Close)
	dir := weblab.Dir(t)
	c := nginx.Config{
		Host: host, Root: filepath.Join(dir, "www"), Origin: origin.URL, MaxAge: maxAge,
		Query: staticify.Query{Keep: []string{"page", "s"}},
	}
	s := &site{config: c, publisher: &publish.Publisher{Roots: []string{c.Root}, Layout: c, MaxAge: maxAge}}
	s.server = &nginx.Server{Config: c, Dir: filepath.Join(dir, "conf"), Every: time.Nanosecond}
	contents, err := c.Contents(nginx.Table{})
	require.NoError(t, err)
	for name, data := range contents {
		weblab.WriteFile(t, filepath.Join(s.server.Dir, name), string(data))
	}
	address := weblab.Address(t)
	s.Nginx = weblab.StartNginx(t, address, fmt.Sprintf(`
		include %[1]s/http.conf;
		server { listen %[2]s default_server; server_name _; %[3]s include %[1]s/server.conf; }`, s.server.Dir, address, extra))
	s.server.TestCommand, s.server.ReloadCommand = s.Test, s.Reload
	return s
}

// publish publishes pages and has nginx know them.
func (s *site) publish(t *testing.T, pages ...*staticify.Page) {
	t.Helper()
	require.NoError(t, s.publisher.Publish(t.Context(), pages))
	workers, files := s.Workers(t), s.files(t)
	require.NoError(t, s.server.Configure(t.Context(), pages))
	if !maps.Equal(files, s.files(t)) {
		s.Reloaded(t, workers)
	}
}

func (s *site) get(t *testing.T, target string, header ...string) weblab.Answer {
	t.Helper()
	return weblab.Get(t, s.Address, host, target, header...)
}

// Requests that must never get a file, and those that do.
func TestWhoGetsAFile(t *testing.T) {
	s := newSite(t, 0, "")
	var pages []*staticify.Page
	for _, target := range weblab.Published {
		pages = append(pages, page(target))
	}
	s.publish(t, append(pages, page("/header", "Link", "</z>; rel=x"))...)
	weblab.CheckGate(t, s.Address, host)
}

// A site's name may be an address, and have a port.
func TestHosts(t *testing.T) {
	for _, name := range []string{"www.example.org:8080", "[2001:db8::1]", "[2001:db8::1]:8080"} {
		s := newSite(t, 0, "")
		s.server.Config.Host = name
		s.publish(t, page("/"))
		require.Equal(t, "static /", weblab.Get(t, s.Address, name, "/").Body, name)
		require.Equal(t, "origin GET /", weblab.Get(t, s.Address, "[2001:db8::2]", "/").Body, name)
	}
}

// A client that names no host, as a load balancer's probe, is answered as without files: an origin wants a Host.
func TestNoHost(t *testing.T) {
	s := newSite(t, 0, "server_name www.example.org;")
	s.publish(t, page("/"))
	got := weblab.Raw(t, s.Address, "GET / HTTP/1.0\r\n\r\n")
	require.Equal(t, http.StatusOK, got.StatusCode, got.Body)
	require.Equal(t, "origin GET /", got.Body)
}

// Headers and encodings are those of the page.
func TestHeadersAndEncodings(t *testing.T) {
	s := newSite(t, 0, "expires 30d; charset utf-8; gzip on; gzip_types *;")
	long := page("/long/", "Link", `<https://x/>; rel="a"`, "Link", `<https://y/>; rel="b"`, "Content-Security-Policy", `default-src 'self' "$x" \`)
	long.Body = []byte(strings.Repeat("<p>static</p>\n", 100))
	feed := page("/feed/", "Cache-Control", "max-age=300")
	feed.Header.Set("Content-Type", `application/rss+xml; charset="utf-8"`)
	s.publish(t, page("/", "Cache-Control", "no-cache"), long, feed)

	got := s.get(t, "/long/")
	require.Equal(t, string(long.Body), got.Body)
	require.Equal(t, `<https://x/>; rel="a", <https://y/>; rel="b"`, got.Header.Get("Link"))
	require.Equal(t, `default-src 'self' "$x" \`, got.Header.Get("Content-Security-Policy"))
	require.Equal(t, "text/html; charset=UTF-8", got.Header.Get("Content-Type"))
	require.Empty(t, got.Header.Values("Cache-Control"))
	require.Empty(t, got.Header.Values("Expires"))
	require.Empty(t, got.Header.Values("Accept-Ranges"))
	require.Equal(t, []string{"Accept-Encoding"}, got.Header.Values("Vary"))
	require.Equal(t, "max-age=300", s.get(t, "/feed/").Header.Get("Cache-Control"))
	require.Equal(t, `application/rss+xml; charset="utf-8"`, s.get(t, "/feed/").Header.Get("Content-Type"))
	require.Equal(t, "no-cache", s.get(t, "/").Header.Get("Cache-Control"))
	require.Empty(t, s.get(t, "/").Header.Get("Link"))

	for accept, want := range map[string]string{
		"gzip": "gzip", "br": "br", "gzip, deflate, br": "br", "gzip;q=1, br;q=0.5": "br", "gzip, br;q=0": "gzip", "br;q=0.000": "", "br;q=0, *": "",
		"brotli": "", "identity": "", "": "", "xbr, gzip;q=0": "", "gzip;q=0": "",
	} {
		got := s.get(t, "/long/", "Accept-Encoding", accept)
		require.Equal(t, want, got.Header.Get("Content-Encoding"), accept)
		require.Equal(t, []string{"Accept-Encoding"}, got.Header.Values("Vary"), accept)
		require.Equal(t, string(long.Body), got.Decoded(t), accept)
	}
	again := s.get(t, "/long/", "If-None-Match", got.Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Equal(t, http.StatusOK, s.get(t, "/long/", "Range", "bytes=0-3").StatusCode)
	require.Equal(t, "origin GET /none", s.get(t, "/none").Body)
}

// The server stops by itself.
func TestNobodyPublishes(t *testing.T) {
	s := newSite(t, 3*time.Second, "")
	one := page("/")
	s.publish(t, one)
	for time.Since(one.Rendered) < 4*time.Second {
		sent := time.Now()
		if got := s.get(t, "/"); got.Header.Get("Cache-Status") != "" {
			require.Less(t, sent.Sub(one.Rendered), 3*time.Second)
		}
		time.Sleep(20 * time.Millisecond)
	}
	require.Equal(t, "origin GET /", s.get(t, "/").Body)
}

// Nor does it take files of another time for the present's when its clock steps.
func TestClockSteps(t *testing.T) {
	lab.Need(t, "faketime")
	clock := weblab.FakeClock(t)
	s := newSite(t, time.Minute, "")
	s.publish(t, page("/"))
	weblab.CheckClock(t, clock, s.Address, host)
}

// A file that nginx keeps open, since it is asked for all the time, is replaced and withdrawn long before its time is over.
func TestKeptOpen(t *testing.T) {
	s := newSite(t, time.Minute, "")
	is := func(body string) bool { return s.get(t, "/").Body == body }
	for _, body := range []string{"one", "two", "three"} {
		next := page("/")
		next.Body = []byte(body)
		s.publish(t, next)
		require.Eventually(t, func() bool { return is(body) }, 10*time.Second, 5*time.Millisecond, body)
		for range 20 {
			require.True(t, is(body))
		}
	}
	require.NoError(t, s.publisher.Withdraw(staticify.Key{Path: "/"}))
	require.Eventually(t, func() bool { return is("origin GET /") }, 10*time.Second, 5*time.Millisecond)
}

// A configuration that nginx refuses, for our own fault or another's, is taken back, and nginx serves on.
func TestRefused(t *testing.T) {
	s := newSite(t, 0, "")
	s.publish(t, page("/"))
	before := s.files(t)
	foreign := filepath.Join(s.Dir, "nginx.conf")
	good, err := os.ReadFile(foreign)
	require.NoError(t, err)

	other := page("/other", "Link", "<x>")
	require.NoError(t, os.WriteFile(foreign, append(good, "oops;"...), 0o644))
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/"), other}))
	err = s.server.Configure(t.Context(), []*staticify.Page{page("/"), other})
	var refused *staticify.ConfigError
	require.ErrorAs(t, err, &refused)
	require.True(t, refused.Foreign)
	require.ErrorContains(t, err, "oops")
	require.Equal(t, before, s.files(t))
	require.Equal(t, "static /", s.get(t, "/").Body)
	require.Equal(t, "origin GET /other", s.get(t, "/other").Body)

	require.NoError(t, os.WriteFile(foreign, good, 0o644))
	s.server.ReloadCommand = []string{"false"}
	err = s.server.Configure(t.Context(), []*staticify.Page{page("/"), other})
	require.ErrorAs(t, err, &refused)
	require.False(t, refused.Foreign)
	require.Equal(t, before, s.files(t))
	require.Equal(t, "static /", s.get(t, "/").Body)

	s.server.ReloadCommand = s.Reload
	s.publish(t, page("/"), other)
	require.Equal(t, "<x>", s.get(t, "/other").Header.Get("Link"))
}

// A process that begins while the origin is down leaves the server what it knows of headers.
func TestBeginsWithNothing(t *testing.T) {
	s := newSite(t, 0, "")
	s.publish(t, page("/", "Link", "<x>"))
	before, workers := s.files(t), s.Workers(t)
	next := &nginx.Server{Config: s.config, Dir: s.server.Dir, TestCommand: s.Test, ReloadCommand: s.Reload}
	require.NoError(t, next.Configure(t.Context(), nil))
	require.NoError(t, next.Configure(t.Context(), []*staticify.Page{page("/", "Link", "<x>")}))
	require.Equal(t, before, s.files(t))
	require.Equal(t, workers, s.Workers(t), "it was reloaded")

	// What else has changed is no less so.
	next = &nginx.Server{Config: s.config, Dir: s.server.Dir, TestCommand: s.Test, ReloadCommand: s.Reload}
	next.Config.Cookies = []string{"consent"}
	require.NoError(t, next.Configure(t.Context(), nil))
	s.Reloaded(t, workers)
	require.Contains(t, s.files(t)["http.conf"], "consent")
	require.Equal(t, "<x>", s.get(t, "/").Header.Get("Link"))
	require.Equal(t, "static /", s.get(t, "/", "Cookie", "consent=1").Body)
	require.NoError(t, os.WriteFile(filepath.Join(s.server.Dir, "table.json"), []byte(`{"common":"h1"}`), 0o644))
	require.NoError(t, (&nginx.Server{Config: s.config, Dir: s.server.Dir, TestCommand: s.Test, ReloadCommand: s.Reload}).Configure(t.Context(), nil))
	require.NotContains(t, s.files(t)["http.conf"], "h1;")
}

func (s *site) files(t *testing.T) map[string]string {
	files := map[string]string{}
	for _, name := range []string{"http.conf", "server.conf"} {
		data, err := os.ReadFile(filepath.Join(s.server.Dir, name))
		require.NoError(t, err)
		files[name] = string(data)
	}
	return files
}
