package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
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

const host = "www.example.org"

// site is an nginx in front of an origin that says what it was asked for.
type site struct {
	*weblab.Nginx
	server    *nginx.Server
	publisher *publish.Publisher
	config    nginx.Config
}

func newSite(t *testing.T, maxAge time.Duration, extra string) *site {
	lab.Need(t, "nginx")
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Origin", "yes")
		fmt.Fprintf(w, "origin %s %s", r.Method, r.RequestURI)
	}))
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

// answer is a response and its whole body.
type answer struct {
	*http.Response
	body string
}

// raw sends a request as it stands.
func (s *site) raw(t *testing.T, request string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err, request)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err, request)
	return answer{response, string(body)}
}

func (s *site) get(t *testing.T, target string, header ...string) answer {
	t.Helper()
	request := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for i := 0; i < len(header); i += 2 {
		request += header[i] + ": " + header[i+1] + "\r\n"
	}
	return s.raw(t, request+"\r\n")
}

// Requests that must never get a file, and those that do.
func TestWhoGetsAFile(t *testing.T) {
	s := newSite(t, 0, "")
	s.publish(t, page("/"), page("/blog/"), page("/blog"), page("/About/"), page("/caf%C3%A9/"), page("/blog/?page=2"),
		page("/blog/?page=2&s=x"), page("/a(b),c'd"), page("/x/y/z.html", "Link", "</z>; rel=x"))
	blog := "static /blog/"
	for _, target := range []string{"/", "/blog/", "/blog", "/About/", "/caf%C3%A9/", "/blog/?page=2", "/blog/?page=2&s=x", "/a(b),c'd", "/x/y/z.html"} {
		require.Equal(t, "static "+target, s.get(t, target).body)
	}
	for _, target := range []string{"/blog/?utm_source=a", "/blog/?utm_source=a&gclid=b", "/blog/?fbclid"} {
		require.Equal(t, blog, s.get(t, target).body, target)
	}
	for _, target := range []string{"/blog/?page=2&utm_source=a", "/blog/?gclid=1&page=2", "/blog/?gclid=1&page=2&utm_x="} {
		require.Equal(t, "static /blog/?page=2", s.get(t, target).body, target)
	}
	for _, cookie := range []string{"", "_ga=GA1.2.3", "_ga_X1=GS1.1; _gid=GA1.2", "__utmz=1.2.utmcsr=(direct)|utmccn=(direct)"} {
		require.Equal(t, blog, s.get(t, "/blog/", "Cookie", cookie).body, cookie)
	}
	require.Equal(t, "", s.raw(t, "HEAD /blog/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n").body)
	require.Equal(t, blog, s.raw(t, "GET http://"+host+"/blog/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n").body)

	for _, target := range []string{
		"//blog/", "/blog//", "/blog/?", "/blog/??page=2", "/blog/?page=2&", "/blog/?&page=2", "/blog/?page=2&&s=x", "/blog/?s=x&page=2",
		"/blog/?page=3", "/blog/?x=1", "/blog/?page=2&x=1", "/blog/?utm_source=a&page=2&gclid=x&s=x", "/blog/?page=2&gclid=x&s=x", "/blog/?utm_source=a&",
		"/%62log/", "/blog%2F", "/x/../blog/", "/./blog/", "/blog/.", "/blog/..", "/blog/x/../", "/about/", "/ABOUT/", "/caf%c3%a9/", "/café/",
		"/?../../../../../../etc/hostname", "/?page=../../../etc/hostname", "/blog/^", "/blog/^page=2", "/blog/%5E", "/.off", "/current", "/blog/?PAGE=2", "/blog/?page=%2e",
		"/blog/#x", "/blog/?page=2#x", "/blog/;x", "/blog/\\..", "/blog/?page=" + strings.Repeat("1", 300), "/" + strings.Repeat("x", 300), "/" + strings.Repeat("x/", 600),
	} {
		got := s.get(t, target)
		require.Empty(t, got.Header.Get("Cache-Status"), target)
	}
	for _, header := range [][]string{
		{"Cookie", "PHPSESSID=1"}, {"Cookie", "_ga=1; wordpress_logged_in_x=1"}, {"Cookie", "_ga=1\r\nCookie: comment_author_x=1"}, {"Cookie", "x"},
		{"Cookie", "_gax"}, {"Cookie", "x_ga=1"}, {"Cookie", "_ga=1, x=2"}, {"Cookie", ";"}, {"Cookie", "_GID=1"}, {"Cookie", "_gid2=1"},
		{"Authorization", "Basic eDp5"}, {"Authorization", "|"}, {"Content-Length", "0"}, {"If-Match", "x"}, {"If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"},
	} {
		got := s.get(t, "/blog/", header...)
		require.Equal(t, "origin GET /blog/", got.body, header)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get"} {
		got := s.raw(t, method+" /blog/ HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		require.NotContains(t, got.body, "static", method)
	}
	for _, other := range []string{"example.org", "www.example.org.", "www.example.org:81", "evil.example", "www.example.org.evil.example", "wwwxexample.org"} {
		got := s.raw(t, "GET /blog/ HTTP/1.1\r\nHost: "+other+"\r\nConnection: close\r\n\r\n")
		require.Equal(t, "origin GET /blog/", got.body, other)
	}
	got := s.raw(t, "GET http://evil.example/blog/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
	require.NotContains(t, got.body, "static")
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
	require.Equal(t, string(long.Body), got.body)
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
		require.Equal(t, string(long.Body), decoded(t, got), accept)
	}
	again := s.get(t, "/long/", "If-None-Match", got.Header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Equal(t, http.StatusOK, s.get(t, "/long/", "Range", "bytes=0-3").StatusCode)
	require.Equal(t, "origin GET /none", s.get(t, "/none").body)
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
	require.Equal(t, "origin GET /", s.get(t, "/").body)
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
	var refused *nginx.RefusedError
	require.ErrorAs(t, err, &refused)
	require.True(t, refused.Foreign)
	require.ErrorContains(t, err, "oops")
	require.Equal(t, before, s.files(t))
	require.Equal(t, "static /", s.get(t, "/").body)
	require.Equal(t, "origin GET /other", s.get(t, "/other").body)

	require.NoError(t, os.WriteFile(foreign, good, 0o644))
	s.server.ReloadCommand = []string{"false"}
	err = s.server.Configure(t.Context(), []*staticify.Page{page("/"), other})
	require.ErrorAs(t, err, &refused)
	require.False(t, refused.Foreign)
	require.Equal(t, before, s.files(t))
	require.Equal(t, "static /", s.get(t, "/").body)

	s.server.ReloadCommand = s.Reload
	s.publish(t, page("/"), other)
	require.Equal(t, "<x>", s.get(t, "/other").Header.Get("Link"))
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
