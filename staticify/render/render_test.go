package render_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/render"
)

const page = "<!doctype html><html><body>a page</body></html>"

// serve runs an origin, and returns a Renderer for it.
func serve(t *testing.T, handler http.HandlerFunc) *render.Renderer {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	origin, err := url.Parse(server.URL)
	require.NoError(t, err)
	return &render.Renderer{Origin: origin, Host: "www.example.org"}
}

func key(target string) staticify.Key {
	path, query, _ := strings.Cut(target, "?")
	return staticify.Key{Path: path, Query: query}
}

// The request is the same for everybody, and for the target as it is.
func TestRequest(t *testing.T) {
	var seen []*http.Request
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		io.WriteString(w, page)
	})
	r.Header = http.Header{"X-Forwarded-Proto": {"https"}}
	for _, target := range []string{"/", "/caf%C3%A9/", "/a(b)'c,d", "/?s=a+b&page=2", "/@x/;y"} {
		seen = nil
		got, err := r.Render(t.Context(), key(target), nil)
		require.NoError(t, err)
		require.Equal(t, page, string(got.Body))
		require.Equal(t, key(target), got.Key)
		require.Len(t, seen, 2)
		require.Equal(t, target, seen[0].RequestURI)
		require.Equal(t, "www.example.org", seen[0].Host)
		require.Equal(t, http.Header{
			"User-Agent": {render.UserAgent}, "Accept-Encoding": {"identity"}, "X-Forwarded-Proto": {"https"},
			"Accept": {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		}, seen[0].Header)
	}
}

// Each answer that is not for everybody has its reason.
func TestRefusals(t *testing.T) {
	set := func(name, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set(name, value)
			io.WriteString(w, page)
		}
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, body)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Location", "/wp-login.php")
			w.WriteHeader(code)
		}
	}
	for name, test := range map[string]struct {
		reason  staticify.Reason // 0: none
		handler http.HandlerFunc
	}{
		"good":          {0, set("X-Other", "1")},
		"cookie":        {staticify.SetCookie, set("Set-Cookie", "PHPSESSID=1; path=/")},
		"private":       {staticify.CacheControl, set("Cache-Control", "max-age=60, PRIVATE")},
		"private field": {staticify.CacheControl, set("Cache-Control", `private="set-cookie"`)},
		"no-store":      {staticify.CacheControl, set("Cache-Control", "no-store")},
		"no-cache":      {staticify.CacheControl, set("Cache-Control", "no-cache")},
		"max-age=0":     {staticify.CacheControl, set("Cache-Control", "public, max-age=0, must-revalidate")},
		"s-maxage=0":    {staticify.CacheControl, set("Cache-Control", "max-age=60, s-maxage=0")},
		"s-maxage":      {0, set("Cache-Control", "max-age=0, s-maxage=600")},
		"bad max-age":   {staticify.CacheControl, set("Cache-Control", "max-age=soon")},
		"public":        {0, set("Cache-Control", "public, max-age=300")},
		"a long time":   {0, set("Cache-Control", "max-age=99999999999")},
		"cdn max-age=0": {staticify.CacheControl, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("CDN-Cache-Control", "max-age=0")
			set("Cache-Control", "max-age=60")(w, r)
		}},
		"pragma":    {staticify.CacheControl, set("Pragma", "no-cache")},
		"expired":   {staticify.CacheControl, set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")},
		"expires 0": {staticify.CacheControl, set("Expires", "0")},
		"expires by now": {staticify.CacheControl, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Wed, 11 Jan 2040 05:00:00 GMT")
			set("Expires", "Wed, 11 Jan 2040 05:00:00 GMT")(w, r)
		}},
		"public, expired": {staticify.CacheControl, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
			set("Cache-Control", "public")(w, r)
		}},
		"max-age before expires": {0, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Expires", "Wed, 11 Jan 1984 05:00:00 GMT")
			set("Cache-Control", "max-age=60")(w, r)
		}},
		"expires later": {0, set("Expires", "Wed, 11 Jan 2184 05:00:00 GMT")},
		"surrogate":     {staticify.CacheControl, set("Surrogate-Control", "no-store")},
		"cdn":           {staticify.CacheControl, set("CDN-Cache-Control", "private")},
		"litespeed":     {staticify.CacheControl, set("X-LiteSpeed-Cache-Control", "no-cache")},
		"accel":         {staticify.CacheControl, set("X-Accel-Expires", "0")},
		"our own":       {staticify.CacheControl, set("X-Staticify", "off")},
		"vary encoding": {0, set("Vary", "accept-encoding")},
		"vary cookie":   {staticify.Vary, set("Vary", "Accept-Encoding, Cookie")},
		"vary agent":    {staticify.Vary, set("Vary", "User-Agent")},
		"vary all":      {staticify.Vary, set("Vary", "*")},
		"two encodings": {staticify.Unpublishable, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Encoding"] = []string{"identity", "gzip"}
			set("X-Other", "1")(w, r)
		}},
		"encoding":    {staticify.Unpublishable, set("Content-Encoding", "gzip")},
		"no type":     {staticify.Unpublishable, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil; w.Write([]byte(page)) }},
		"redirect":    {staticify.Redirect, status(302)},
		"moved":       {staticify.Redirect, status(301)},
		"unasked 304": {staticify.Status, status(304)},
		"not found":   {staticify.Status, status(404)},
		"forbidden":   {staticify.Status, status(403)},
		"broken":      {staticify.Status, status(500)},
		"partial":     {staticify.Status, status(206)},
		"no content":  {staticify.Status, status(204)},
		"admin bar":   {staticify.Marked, text(`<html><div id="wpadminbar"></div></html>`)},
		"login page":  {staticify.Marked, text(`<html><input type="password" name="pwd"></html>`)},
		"minified":    {staticify.Marked, text(`<html><input type=password name=pwd></html>`)},
		"cut":         {staticify.Truncated, text("<!doctype html><html><body>and then PHP di")},
		"empty":       {staticify.Truncated, text("")},
		"fragment":    {0, text("<p>no html element at all")},
		"large":       {staticify.TooLarge, text("<html>" + strings.Repeat("x", 5000) + "</html>")},
		"no markup, is text": {0, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, "<html")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, test.handler)
			r.MaxBody = 4096
			_, err := r.Render(t.Context(), key("/"), nil)
			if test.reason == 0 {
				require.NoError(t, err)
				return
			}
			var refusal *staticify.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, test.reason, refusal.Reason, refusal)
			require.NotEmpty(t, refusal.Detail)
		})
	}
}

// Two cold renders must be alike.
func TestDiffers(t *testing.T) {
	var n atomic.Int64
	for name, test := range map[string]struct {
		good bool
		page func(n int64) string
	}{
		"a token":           {false, func(n int64) string { return fmt.Sprintf("<html><input value=%q></html>", fmt.Sprint(n)) }},
		"a comment":         {true, func(n int64) string { return fmt.Sprintf("<html></html><!-- %d queries in %d s -->", n, n) }},
		"conditional":       {false, func(n int64) string { return fmt.Sprintf("<html><!--[if IE]>%d<![endif]--></html>", n) }},
		"just edited":       {true, func(n int64) string { return fmt.Sprintf("<html>%d</html>", min(n, 2)) }},
		"masked":            {true, func(n int64) string { return fmt.Sprintf("<html>nonce=%d</html>", n) }},
		"after no comment":  {false, func(n int64) string { return fmt.Sprintf("<html><!----><p>%d</p><!----></html>", n) }},
		"after a short one": {false, func(n int64) string { return fmt.Sprintf("<html><!--><p>%d</p><!-- --></html>", n) }},
		"after a bad end":   {false, func(n int64) string { return fmt.Sprintf("<html><!-- x --!><p>%d</p><!-- --></html>", n) }},
		"a hidden script":   {false, func(n int64) string { return fmt.Sprintf("<html><SCRIPT>\n<!--\ntoken = %d\n//--></SCRIPT></html>", n) }},
		"script in comment": {true, func(n int64) string { return fmt.Sprintf("<html><!-- <script> %d --></html>", n) }},
		"comment, unclosed": {false, func(n int64) string { return fmt.Sprintf("<html></html><!-- %d", n) }},
	} {
		t.Run(name, func(t *testing.T) {
			n.Store(0)
			r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				io.WriteString(w, test.page(n.Add(1)))
			})
			r.Mask = []*regexp.Regexp{regexp.MustCompile(`nonce=\d+`)}
			got, err := r.Render(t.Context(), key("/"), nil)
			if !test.good {
				require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Differs})
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.page(n.Load()), string(got.Body))
		})
	}
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Security-Policy", fmt.Sprintf("script-src 'nonce-%d'", n.Add(1)))
		io.WriteString(w, page)
	})
	_, err := r.Render(t.Context(), key("/"), nil)
	require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Differs})
	require.ErrorContains(t, err, "Content-Security-Policy")
}

// A previous copy is asked about, and is as old as the answer.
func TestConditional(t *testing.T) {
	answer := http.StatusNotModified
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Wed, 13 Apr 2016 10:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"1"` && r.Header.Get("If-Modified-Since") == "Wed, 13 Apr 2016 10:00:00 GMT" && answer == 304 {
			w.Header().Set("Age", "7")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	first, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	before := time.Now()
	second, err := r.Render(t.Context(), key("/"), first)
	require.NoError(t, err)
	require.WithinRange(t, second.Rendered, before.Add(-7*time.Second), time.Now().Add(-7*time.Second))
	require.Equal(t, first.Body, second.Body)
	require.Equal(t, first.Header, second.Header)
	require.Equal(t, "Wed, 13 Apr 2016 10:00:00 GMT", second.LastModified)
	answer = 200
	third, err := r.Render(t.Context(), key("/"), second)
	require.NoError(t, err)
	require.Equal(t, page, string(third.Body))
}

// A page that was for everybody, and has become each visitor's own.
func TestChanges(t *testing.T) {
	token := func() string { return "" }
	var asked atomic.Int64
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page+token())
	})
	first, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	asked.Store(0)
	same, err := r.Render(t.Context(), key("/"), first)
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())

	token = func() string { return "edited" }
	asked.Store(0)
	edited, err := r.Render(t.Context(), key("/"), same)
	require.NoError(t, err)
	require.Equal(t, page+"edited", string(edited.Body))
	require.EqualValues(t, 2, asked.Load())

	var n atomic.Int64
	token = func() string { return fmt.Sprint(n.Add(1)) }
	_, err = r.Render(t.Context(), key("/"), edited)
	require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Differs})
}

// A lifetime that runs out while the page is rendered twice is no difference, nor is what a server sends with a 304 alone.
func TestPassingTime(t *testing.T) {
	var asked, left atomic.Int64
	left.Store(600)
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", fmt.Sprint("public, max-age=", left.Add(-1)))
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("X-Frame-Options", "DENY")
		if r.Header.Get("If-None-Match") != "" && left.Load() < 500 {
			w.Header().Set("X-Frame-Options", "SAMEORIGIN")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, page)
	})
	first, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, asked.Swap(0))
	second, err := r.Render(t.Context(), key("/"), first)
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Swap(0))
	require.Equal(t, "public, max-age=597", second.Header.Get("Cache-Control"))
	left.Store(400)
	third, err := r.Render(t.Context(), key("/"), second)
	require.NoError(t, err)
	require.EqualValues(t, 2, asked.Swap(0))
	require.Equal(t, "DENY", third.Header.Get("X-Frame-Options"))
}

// Nobody asked whether a page without validators is still right.
func TestUnaskedNotModified(t *testing.T) {
	var status atomic.Int64
	status.Store(200)
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(int(status.Load()))
		if status.Load() == 200 {
			io.WriteString(w, page)
		}
	})
	first, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	status.Store(304)
	_, err = r.Render(t.Context(), key("/"), first)
	require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Status})
}

// A time of modification that another change within its second would not alter is no validator (RFC 9110, section
// 8.8.2.2): the page would be taken for unchanged for ever.
func TestModifiedJustNow(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	var asked []string
	modified := now
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-Modified-Since"))
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	for back, want := range map[time.Duration]string{0: "", time.Minute: now.Add(-time.Minute).Format(http.TimeFormat)} {
		asked, modified = nil, now.Add(-back)
		first, err := r.Render(t.Context(), key("/"), nil)
		require.NoError(t, err)
		_, err = r.Render(t.Context(), key("/"), first)
		require.NoError(t, err)
		require.Equal(t, []string{"", "", want}, asked)
	}
}

// An answer that a page is still right brings newer headers (RFC 9111, section 3.2).
func TestConditionalHeaders(t *testing.T) {
	policy, lifetime, asked := "default-src 'self'", "public", 0
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cache-Control", lifetime)
		w.Header().Set("Content-Type", "text/html")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("X-Frame-Options", "DENY")
		io.WriteString(w, page)
	})
	first, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	policy, lifetime, asked = "default-src 'none'", "max-age=600", 0
	second, err := r.Render(t.Context(), key("/"), first)
	require.NoError(t, err)
	require.Equal(t, 2, asked, "the copy with the newer headers is what a whole page is compared with")
	require.Equal(t, "60", second.Header.Get("Age"))
	require.Equal(t, 10*time.Minute, second.Lifetime)
	require.Equal(t, "default-src 'none'", second.Header.Get("Content-Security-Policy"))
	require.Equal(t, "DENY", second.Header.Get("X-Frame-Options"))
	require.Equal(t, "public, no-cache", strings.Join(first.Header.Values("Cache-Control"), ", "))
	require.Equal(t, "default-src 'self'", first.Header.Get("Content-Security-Policy"), "the previous copy stays as it was")
}

// What is kept, and what a page without Cache-Control gets.
func TestHeaders(t *testing.T) {
	header := http.Header{
		"Content-Type": {"text/html; charset=UTF-8"}, "Link": {"<a>; rel=x", "<b>; rel=y"}, "X-Powered-By": {"PHP/8"}, "Server": {"x"}, "Vary": {"Accept-Encoding, Cookie"},
		"Age": {"5"}, "X-Frame-Options": {"SAMEORIGIN"}, "Etag": {`"x"`},
	}
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		io.WriteString(w, page)
	})
	r.AllowVary = []string{"cookie"}
	start := time.Now()
	got, err := r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	require.Equal(t, http.Header{
		"Content-Type": {"text/html; charset=UTF-8"}, "Link": {"<a>; rel=x", "<b>; rel=y"}, "Cache-Control": {"no-cache"}, "Vary": {"Cookie"}, "X-Frame-Options": {"SAMEORIGIN"},
	}, got.Header)
	require.Less(t, got.Rendered, time.Now().Add(-5*time.Second))
	require.Greater(t, got.Rendered, start.Add(-6*time.Second))
	require.Zero(t, got.Lifetime)
	header.Set("Cache-Control", "public, max-age=300, s-maxage=30")
	got, err = r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	require.Equal(t, "public, max-age=300, s-maxage=30", got.Header.Get("Cache-Control"))
	require.Equal(t, 30*time.Second, got.Lifetime)
	// Without a lifetime a browser would take one from Last-Modified, which servers add to files.
	header.Set("Cache-Control", "public, s-maxage=300")
	header.Set("Content-Disposition", `attachment; filename="x.csv"`)
	got, err = r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"public, s-maxage=300", "no-cache"}, got.Header.Values("Cache-Control"))
	require.Equal(t, `attachment; filename="x.csv"`, got.Header.Get("Content-Disposition"))
	delete(header, "Cache-Control")
	now := time.Now().UTC()
	header["Date"], header["Expires"] = []string{now.Format(http.TimeFormat)}, []string{now.Add(45 * time.Second).Format(http.TimeFormat)}
	got, err = r.Render(t.Context(), key("/"), nil)
	require.NoError(t, err)
	require.Equal(t, 45*time.Second, got.Lifetime)
	require.Equal(t, "no-cache", got.Header.Get("Cache-Control"))
}

// An origin that does not answer as it should.
func TestBrokenOrigins(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	for name, test := range map[string]struct {
		reason staticify.Reason
		answer func(net.Conn)
	}{
		"short":    {staticify.Truncated, func(c net.Conn) { fmt.Fprintf(c, "%sContent-Length: 1000\r\n\r\n<html>", head) }},
		"chunks":   {staticify.Truncated, func(c net.Conn) { fmt.Fprintf(c, "%sTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n", head) }},
		"no end":   {staticify.Truncated, func(c net.Conn) { fmt.Fprintf(c, "%s\r\n%s", head, page) }},
		"nothing":  {staticify.Unreachable, func(net.Conn) {}},
		"no http":  {staticify.Unreachable, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-x\r\n\r\n") }},
		"silent":   {staticify.Slow, func(net.Conn) { <-release }},
		"drips":    {staticify.Slow, func(c net.Conn) { fmt.Fprintf(c, "%sContent-Length: 1000\r\n\r\n<html>", head); <-release }},
		"big head": {staticify.Unreachable, func(c net.Conn) { fmt.Fprintf(c, "%sX: %s\r\n\r\n", head, strings.Repeat("x", 100_000)) }},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
							test.answer(c)
						}
					}()
				}
			}()
			r := &render.Renderer{Origin: &url.URL{Scheme: "http", Host: l.Addr().String()}, Host: "www.example.org", Timeout: 200 * time.Millisecond}
			if test.reason != staticify.Slow {
				r.Timeout = time.Minute
			}
			_, err = r.Render(t.Context(), key("/"), nil)
			var refusal *staticify.Refusal
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, test.reason, refusal.Reason, refusal)
		})
	}
	r := &render.Renderer{Origin: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Host: "www.example.org"}
	_, err := r.Render(t.Context(), key("/"), nil)
	require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Unreachable})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Render(ended, key("/"), nil)
	require.ErrorIs(t, err, context.Canceled)
}
