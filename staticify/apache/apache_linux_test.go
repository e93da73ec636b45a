package apache_test

import (
	"errors"
	"fmt"
	"io"
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
	"github.com/berryrack/berryrack/staticify/apache"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/publish"
)

const host = "www.example.org"

// site is a httpd in front of an origin that says what it was asked for.
type site struct {
	*weblab.Apache
	server    *apache.Server
	publisher *publish.Publisher
}

func newSite(t *testing.T, maxAge time.Duration) *site {
	lab.Need(t, "root", "apache2")
	origin := httptest.NewServer(http.HandlerFunc(weblab.Origin))
	t.Cleanup(origin.Close)
	dir := weblab.Dir(t)
	c := apache.Config{Host: host, Root: filepath.Join(dir, "www"), MaxAge: maxAge, Query: staticify.Query{Keep: []string{"page", "s"}}}
	s := &site{publisher: &publish.Publisher{Roots: []string{c.Root}, Layout: c, MaxAge: maxAge}}
	s.server = &apache.Server{Config: c, Dir: filepath.Join(dir, "conf")}
	vhost, err := c.VirtualHost()
	require.NoError(t, err)
	include := weblab.WriteFile(t, filepath.Join(s.server.Dir, "vhost.conf"), string(vhost))
	s.Apache = weblab.StartApache(t, weblab.Address(t), fmt.Sprintf("Include %s\nProxyPass / %s/ nocanon\n", include, origin.URL))
	s.server.TestCommand, s.server.ReloadCommand = s.Test, s.Reload
	return s
}

func page(target string, header ...string) *staticify.Page {
	key, err := staticify.Query{Keep: []string{"page", "s"}}.Canonical(target)
	if err != nil {
		panic(err)
	}
	h := http.Header{"Content-Type": {"text/html; charset=UTF-8"}}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &staticify.Page{Key: key, Header: h, Body: []byte("static " + key.String()), Rendered: time.Now()}
}

// Requests that must never get a file, and those that do.
func TestWhoGetsAFile(t *testing.T) {
	s := newSite(t, 0)
	var pages []*staticify.Page
	for _, target := range weblab.Published {
		pages = append(pages, page(target))
	}
	require.NoError(t, s.publisher.Publish(t.Context(), pages))
	weblab.CheckGate(t, s.Address, host)
}

// Headers and encodings are those of the page; nothing is reloaded for them.
func TestHeadersAndEncodings(t *testing.T) {
	s := newSite(t, 0)
	long := page("/long/", "Link", `<https://x/>; rel="a"`, "Link", `<https://y/>; rel="b"`, "Content-Security-Policy", `default-src 'self' "$x" \`, "Cache-Control", "no-cache")
	long.Body = []byte(strings.Repeat("<p>static</p>\n", 100))
	feed := page("/feed/", "Cache-Control", "max-age=300")
	feed.Header.Set("Content-Type", `application/rss+xml; charset="utf-8"`)
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{long, feed}))
	for accept, want := range map[string]string{
		"gzip": "gzip", "br": "br", "gzip, deflate, br": "br", "gzip;q=1, br;q=0.5": "br", "gzip, br;q=0": "gzip", "br;q=0.000": "", "br;q=0, *": "",
		"brotli": "", "identity": "", "xbr, gzip;q=0": "", "gzip;q=0": "",
	} {
		got := weblab.Get(t, s.Address, host, "/long/", "Accept-Encoding", accept)
		require.Equal(t, want, got.Header.Get("Content-Encoding"), accept)
		require.Equal(t, []string{"Accept-Encoding"}, got.Header.Values("Vary"), accept)
		require.Equal(t, string(long.Body), got.Decoded(t), accept)
		require.Equal(t, `<https://x/>; rel="a", <https://y/>; rel="b"`, got.Header.Get("Link"))
		require.Equal(t, `default-src 'self' "$x" \`, got.Header.Get("Content-Security-Policy"))
		require.Equal(t, "text/html; charset=UTF-8", got.Header.Get("Content-Type"))
		require.Equal(t, "no-cache", got.Header.Get("Cache-Control"))
		require.Empty(t, got.Header.Get("ETag")+got.Header.Get("Last-Modified"))
		require.Equal(t, http.StatusOK, weblab.Get(t, s.Address, host, "/long/", "Accept-Encoding", accept, "Range", "bytes=0-3").StatusCode)
	}
	got := weblab.Get(t, s.Address, host, "/feed/")
	require.Equal(t, `application/rss+xml; charset="utf-8"`, got.Header.Get("Content-Type"))
	require.Equal(t, "max-age=300", got.Header.Get("Cache-Control"))
}

// HTTP/2 is a request like others.
func TestHTTP2(t *testing.T) {
	s := newSite(t, 0)
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/blog/?page=2")}))
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &only}
	defer transport.CloseIdleConnections()
	for cookie, want := range map[string]string{"": "static /blog/?page=2", "session=1": "origin GET /blog/?page=2&utm_source=x"} {
		request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Address+"/blog/?page=2&utm_source=x", nil)
		require.NoError(t, err)
		request.Host = host
		if cookie != "" {
			request.Header.Set("Cookie", cookie)
		}
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, errors.Join(err, response.Body.Close()))
		require.Equal(t, "HTTP/2.0", response.Proto)
		require.Equal(t, want, string(body))
	}
}

// The server stops by itself.
func TestNobodyPublishes(t *testing.T) {
	s := newSite(t, 3*time.Second)
	one := page("/")
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{one}))
	for time.Since(one.Rendered) < 4*time.Second {
		sent := time.Now()
		if got := weblab.Get(t, s.Address, host, "/"); got.Header.Get("Cache-Status") != "" {
			require.Less(t, sent.Sub(one.Rendered), 3*time.Second)
		}
		time.Sleep(20 * time.Millisecond)
	}
	require.Equal(t, "origin GET /", weblab.Get(t, s.Address, host, "/").Body)
}

// Nor does it take files of another time for the present's when its clock steps.
func TestClockSteps(t *testing.T) {
	lab.Need(t, "faketime")
	clock := weblab.FakeClock(t)
	s := newSite(t, time.Minute)
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/")}))
	weblab.CheckClock(t, clock, s.Address, host)
}

// What is replaced or withdrawn is so at once, and alone.
func TestReplacedAndWithdrawn(t *testing.T) {
	s := newSite(t, time.Minute)
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/blog"), page("/blog/"), page("/blog/?page=2"), page("/blog/x")}))
	next := page("/blog/")
	next.Body = []byte("next")
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/blog"), next, page("/blog/?page=2"), page("/blog/x")}))
	require.Equal(t, "next", weblab.Get(t, s.Address, host, "/blog/").Body)
	require.NoError(t, s.publisher.Withdraw(next.Key))
	for target, want := range map[string]string{
		"/blog/": "origin GET /blog/", "/blog": "static /blog", "/blog/?page=2": "static /blog/?page=2", "/blog/x": "static /blog/x",
	} {
		require.Equal(t, want, weblab.Get(t, s.Address, host, target).Body)
	}
}

// A configuration that httpd refuses is taken back.
func TestRefused(t *testing.T) {
	s := newSite(t, 0)
	require.NoError(t, s.server.Configure(t.Context(), nil))
	file := filepath.Join(s.server.Dir, "vhost.conf")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	changed := *s.server
	changed.Config.Cookies = []string{"_ga*", "x"}
	for _, foreign := range []bool{true, false} {
		again := apache.Server{Config: changed.Config, Dir: s.server.Dir, TestCommand: s.Test, ReloadCommand: []string{"false"}}
		if foreign {
			again.TestCommand = []string{"false"}
		}
		err = again.Configure(t.Context(), nil)
		var refused *staticify.ConfigError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, foreign, refused.Foreign)
		after, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(before), string(after))
	}
	again := apache.Server{Config: changed.Config, Dir: s.server.Dir, TestCommand: s.Test, ReloadCommand: s.Reload}
	require.NoError(t, again.Configure(t.Context(), nil))
	require.NoError(t, s.publisher.Publish(t.Context(), []*staticify.Page{page("/")}))
	weblab.WaitFor(t, "the new configuration", func() bool {
		return weblab.Get(t, s.Address, host, "/", "Cookie", "x=1").Body == "static /"
	})
}
