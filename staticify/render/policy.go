package render

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berryrack/berryrack/staticify"
)

// check refuses an answer by its status and headers.
func (r *Renderer) check(response *http.Response, conditional bool) error {
	h := response.Header
	switch code := response.StatusCode; {
	case code == http.StatusNotModified && conditional:
	case code >= 300 && code < 400 && code != http.StatusNotModified:
		return refuse(staticify.Redirect, "%d to %q", code, h.Get("Location"))
	case code != http.StatusOK:
		return refuse(staticify.Status, "%d", code)
	}
	if h.Values("Set-Cookie") != nil {
		name, _, _ := strings.Cut(h.Get("Set-Cookie"), "=")
		return refuse(staticify.SetCookie, "%s", name)
	}
	if err := cacheable(h); err != nil {
		return err
	}
	for _, coding := range list(h, "Content-Encoding") {
		if coding != "identity" {
			return refuse(staticify.Unpublishable, "Content-Encoding %q, which was not asked for", coding)
		}
	}
	for _, name := range list(h, "Vary") {
		if !strings.EqualFold(name, "Accept-Encoding") && !slices.ContainsFunc(r.AllowVary, func(s string) bool { return strings.EqualFold(s, name) }) {
			return refuse(staticify.Vary, "%s", name)
		}
	}
	if response.StatusCode == http.StatusOK && h.Get("Content-Type") == "" {
		return refuse(staticify.Unpublishable, "no Content-Type")
	}
	return nil
}

// refusals are headers of answers that no cache may keep, and the words that say so. Besides Cache-Control (RFC 9111,
// section 5.2.2) and CDN-Cache-Control (RFC 9213) they are those of servers and programs that pages are written for.
var refusals = []struct {
	header string
	words  []string
}{
	{"Cache-Control", []string{"private", "no-store", "no-cache"}},
	{"Cdn-Cache-Control", []string{"private", "no-store", "no-cache"}},
	{"Surrogate-Control", []string{"private", "no-store", "no-cache"}},
	{"X-Litespeed-Cache-Control", []string{"private", "no-store", "no-cache"}},
	{"X-Accel-Expires", []string{"0", "off"}},
	{"X-Staticify", []string{"off"}},
}

// cacheable refuses what the origin says is not to be kept.
func cacheable(h http.Header) error {
	for _, rule := range refusals {
		for _, directive := range list(h, rule.header) {
			name, _, _ := strings.Cut(directive, "=")
			if slices.Contains(rule.words, strings.ToLower(strings.TrimSpace(name))) {
				return refuse(staticify.CacheControl, "%s: %s", rule.header, directive)
			}
		}
	}
	// Pragma counts where there is no Cache-Control (RFC 9111, section 5.4).
	old := h.Get("Cache-Control") == "" && slices.ContainsFunc(list(h, "Pragma"), func(s string) bool { return strings.EqualFold(s, "no-cache") })
	if old {
		return refuse(staticify.CacheControl, "Pragma: no-cache")
	}
	if limit, given := freshness(h); given && limit == 0 {
		return refuse(staticify.CacheControl, "no time left by Cache-Control %q, Expires %q", h.Get("Cache-Control"), h.Get("Expires"))
	}
	return nil
}

// lifetime is the origin's own limit of age, 0 when it gives none.
func lifetime(h http.Header) time.Duration {
	limit, _ := freshness(h)
	return limit
}

// freshness is the lifetime that the origin gives to shared caches (RFC 9111, section 4.2.1), and to those of its own
// before all (RFC 9213, section 2.2).
func freshness(h http.Header) (limit time.Duration, given bool) {
	for _, wanted := range []struct{ header, directive string }{
		{"Cdn-Cache-Control", "max-age"}, {"Cache-Control", "s-maxage"}, {"Cache-Control", "max-age"},
	} {
		for _, directive := range list(h, wanted.header) {
			if name, value, _ := strings.Cut(directive, "="); strings.EqualFold(name, wanted.directive) {
				return seconds(value), true
			}
		}
	}
	return expires(h)
}

// seconds reads a delta-seconds (RFC 9111, section 1.2.2). One that is none is to be taken as stale (section 4.2.1).
func seconds(value string) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(value, "\" \t"), 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(n) * time.Second // one that is too large is the largest
}

// expires is the lifetime by Expires, which counts where Cache-Control says nothing (RFC 9111, section 5.3).
func expires(h http.Header) (limit time.Duration, given bool) {
	if h.Get("Expires") == "" {
		return 0, false
	}
	at, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0, true
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	return max(at.Sub(date), 0), true
}

// lastModified is the answer's Last-Modified, if it would have changed with anything that was changed after the page was
// made. What is changed twice within a second has the same one (RFC 9110, section 8.8.2.2).
func lastModified(h http.Header, took time.Duration) string {
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	date, dateErr := http.ParseTime(h.Get("Date"))
	if err != nil || dateErr != nil || date.Sub(modified) < time.Second+took {
		return ""
	}
	return h.Get("Last-Modified")
}

// list returns the elements of a list field (RFC 9110, section 5.6.1).
func list(h http.Header, name string) []string {
	var elements []string
	for element := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		if element = strings.TrimSpace(element); element != "" {
			elements = append(elements, element)
		}
	}
	return elements
}

// kept returns the headers that are sent with the page. A page whose origin's Cache-Control has no lifetime for browsers
// gets no-cache: a browser may use its copy after it has asked, and so it is no older than the page here. Else it would
// guess one from Last-Modified, which web servers send with files (RFC 9111, section 4.2.2).
func (r *Renderer) kept(h http.Header) http.Header {
	names := r.Keep
	if names == nil {
		names = DefaultKeep()
	}
	page := http.Header{}
	for _, name := range append([]string{"Content-Type", "Cache-Control"}, names...) {
		if values := h.Values(name); values != nil {
			page[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	if !slices.ContainsFunc(list(page, "Cache-Control"), isMaxAge) {
		page.Add("Cache-Control", "no-cache")
	}
	r.setAge(page)
	delete(page, "Vary")
	for _, name := range list(h, "Vary") {
		if !strings.EqualFold(name, "Accept-Encoding") { // the server adds that itself
			page.Add("Vary", name)
		}
	}
	return page
}

// setAge has a browser count a page's lifetime from when it was made: it may be as old as this when it is sent (RFC 9111,
// section 5.1).
func (r *Renderer) setAge(page http.Header) {
	page.Del("Age")
	if slices.ContainsFunc(list(page, "Cache-Control"), isMaxAge) {
		page.Set("Age", strconv.Itoa(int((cmp.Or(r.MaxAge, staticify.DefaultMaxAge)+time.Second-1)/time.Second)))
	}
}

func isMaxAge(directive string) bool {
	name, _, _ := strings.Cut(directive, "=")
	return strings.EqualFold(name, "max-age")
}

// marked refuses a page with a text that is not for everybody.
func (r *Renderer) marked(page *staticify.Page) error {
	markers := r.Markers
	if markers == nil {
		markers = DefaultMarkers()
	}
	for _, marker := range markers {
		if bytes.Contains(page.Body, []byte(marker)) {
			return refuse(staticify.Marked, "%s", marker)
		}
	}
	return nil
}

var htmlBegin, htmlEnd = regexp.MustCompile(`(?i)<html[\s>]`), regexp.MustCompile(`(?i)</html\s*>`)

// complete refuses a page of HTML that begins and does not end: a script that died has sent a whole answer all the
// same.
func complete(h http.Header, body []byte) error {
	if kind, _, _ := mime.ParseMediaType(h.Get("Content-Type")); kind != "text/html" {
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return refuse(staticify.Truncated, "an empty page")
	}
	if htmlBegin.Match(body) && !htmlEnd.Match(body) {
		return refuse(staticify.Truncated, "<html> without </html>")
	}
	return nil
}

// differ says how two renders of a page differ, "" when they do not.
func (r *Renderer) differ(a, b *staticify.Page) string {
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		if left(a.Header, name) != left(b.Header, name) {
			return name
		}
	}
	if len(a.Header) != len(b.Header) {
		return "headers"
	}
	if !bytes.Equal(r.masked(a.Body), r.masked(b.Body)) {
		return "body"
	}
	return ""
}

// comment matches the comments of HTML, as browsers find them (HTML Living Standard, section 13.2.5): pages tell in them
// how long they took. Elements in which "<!--" begins none are matched too, to be left as they are.
var comment = regexp.MustCompile(`(?is)<script\b.*?(?:</script|\z)|<style\b.*?(?:</style|\z)|<textarea\b.*?(?:</textarea|\z)|<title\b.*?(?:</title|\z)` +
	`|<!---?>|<!---->|<!--[^\[>].*?--!?>`)

// left is a field without what only says how much of a lifetime is left.
func left(h http.Header, name string) string {
	value := strings.Join(h.Values(name), ", ")
	if name == "Cache-Control" {
		value = number.ReplaceAllString(value, "=")
	}
	return value
}

var number = regexp.MustCompile(`="?\d+"?`)

func (r *Renderer) masked(body []byte) []byte {
	body = comment.ReplaceAllFunc(body, func(match []byte) []byte {
		if bytes.HasPrefix(match, []byte("<!--")) {
			return nil
		}
		return match
	})
	for _, mask := range r.Mask {
		body = mask.ReplaceAll(body, nil)
	}
	return body
}
