package weblab

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Origin is a handler that says what it was asked for.
func Origin(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "origin %s %s", r.Method, r.RequestURI)
}

// Published are the pages that CheckGate wants to be there, by rules that keep the parameters page and s. Each one's
// body is "static " and its target.
var Published = []string{
	"/", "/blog/", "/blog", "/About/", "/caf%C3%A9/", "/blog/?page=2", "/blog/?page=2&s=x", "/a(b),c'd", "/x/y/z.html", "/~x/!$&*+;=:@/",
	"/?s=www.example.com.br", "/?s=a", "/?s=a.gzip", "/?s=a.gz", "/?s=a.gz.x", "/news.fr.html", "/a.shtml.gz.var", "/?s=.x", "/v1.2/x",
}

// canonical are targets that are answered with another one's page.
var canonical = map[string]string{
	"/blog/?utm_source=a": "/blog/", "/blog/?utm_source=a&gclid=b": "/blog/", "/blog/?fbclid": "/blog/", "/blog/?utm_source=a?page=2": "/blog/", "/blog/?utm_x=%2e%2e/..;'\"$": "/blog/",
	"/blog/?page=2&utm_source=a": "/blog/?page=2", "/blog/?gclid=1&page=2": "/blog/?page=2", "/blog/?gclid=1&page=2&utm_x=": "/blog/?page=2",
}

// dynamic are targets for the origin, close to what is published.
var dynamic = []string{
	"//blog/", "/blog//", "/blog/?", "/blog/??page=2", "/blog/?page=2&", "/blog/?&page=2", "/blog/?page=2&&s=x", "/blog/?s=x&page=2",
	"/blog/?page=3", "/blog/?x=1", "/blog/?page=2&x=1", "/blog/?utm_source=a&page=2&gclid=x&s=x", "/blog/?page=2&gclid=x&s=x", "/blog/?utm_source=a&",
	"/%62log/", "/blog%2F", "/x/../blog/", "/./blog/", "/blog/.", "/blog/..", "/blog/x/../", "/about/", "/ABOUT/", "/caf%c3%a9/", "/café/",
	"/?../../../../../../etc/hostname", "/?page=../../../etc/hostname", "/blog/^", "/blog/^page=2", "/blog/%5E", "/.off", "/current", "/blog/?PAGE=2", "/blog/?page=%2e",
	"/blog/#x", "/blog/?page=2#x", "/blog/;x", "/blog/\\..", "/blog/?page=" + strings.Repeat("1", 300), "/" + strings.Repeat("x", 300), "/" + strings.Repeat("x/", 600),
	"/blog/%3fpage=2", "/blog/%3Fpage=2", "/blog/%0a", "/blog/^/plain.asis", "/blog/^.h0123456789ab", "/blog/.%2e/",
}

// private are headers that keep a request from files.
var private = [][]string{
	{"Cookie", "PHPSESSID=1"}, {"Cookie", "_ga=1; wordpress_logged_in_x=1"}, {"Cookie", "_ga=1\r\nCookie: comment_author_x=1"}, {"Cookie", "x"},
	{"Cookie", "_gax"}, {"Cookie", "x_ga=1"}, {"Cookie", "_ga=1, x=2"}, {"Cookie", ";"}, {"Cookie", "_GID=1"}, {"Cookie", "_gid2=1"}, {"Cookie", "_ga=1; =x"},
	{"Authorization", "Basic eDp5"}, {"Authorization", "|"}, {"Content-Length", "0"}, {"If-Match", "x"}, {"If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"},
}

// CheckGate checks who gets a file from the server at address, and who never may: everything else must reach the
// origin, which is Origin.
func CheckGate(t *testing.T, address, host string) {
	t.Helper()
	want := func(what any, got Answer, body string) {
		t.Helper()
		if got.Body != body {
			t.Errorf("%q: %d %.80q, want %q", what, got.StatusCode, got.Body, body)
		}
	}
	for _, target := range Published {
		got := Get(t, address, host, target)
		want(target, got, "static "+target)
		for _, name := range []string{"Content-Encoding", "Content-Language"} {
			if value := got.Header.Get(name); value != "" {
				t.Errorf("%s: %s: %s, and the page has none", target, name, value)
			}
		}
	}
	for target, page := range canonical {
		want(target, Get(t, address, host, target), "static "+page)
	}
	for _, cookie := range []string{"_ga=GA1.2.3", "_ga_X1=GS1.1; _gid=GA1.2", "__utmz=1.2.utmcsr=(direct)|utmccn=(direct)", ""} {
		want(cookie, Get(t, address, host, "/blog/", "Cookie", cookie), "static /blog/")
	}
	head := Raw(t, address, lines("HEAD", host, "/blog/"))
	want("HEAD", head, "")
	if head.Header.Get("Cache-Status") == "" {
		t.Error("HEAD gets no file")
	}
	for _, target := range dynamic {
		if got := Get(t, address, host, target); got.Header.Get("Cache-Status") != "" || strings.Contains(got.Body, "static") {
			t.Errorf("a file for %q: %.80q", target, got.Body)
		}
	}
	for _, header := range private {
		want(header, Get(t, address, host, "/blog/", header...), "origin GET /blog/")
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get"} {
		if got := Raw(t, address, lines(method, host, "/blog/", "Content-Length", "0")); strings.Contains(got.Body, "static") {
			t.Errorf("%s: a file", method)
		}
	}
	for _, other := range []string{"example.org", host + ".", host + ":81", "evil.example", host + ".evil.example", strings.ReplaceAll(host, ".", "x")} {
		want(other, Get(t, address, other, "/blog/"), "origin GET /blog/")
	}
	if got := Raw(t, address, lines("GET", host, "http://evil.example/blog/")); strings.Contains(got.Body, "static") {
		t.Error("a file for another host in the target")
	}
}
