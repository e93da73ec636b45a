package render

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/staticify"
)

// UserAgent is that of our requests, so that logs can tell them apart.
const UserAgent = "staticify"

// Renderer fetches pages. Its fields are set before the first Render; then it may be used from several goroutines.
type Renderer struct {
	// Origin is the server that is asked, by a URL without a path: the one behind the public server, never that itself.
	Origin *url.URL
	// Host is what the requests ask for, whatever the Origin's address is.
	Host string
	// Header is sent too: X-Forwarded-Proto, for an origin that writes links by it. Nothing that a visitor sent is ever in
	// a request.
	Header http.Header
	// Transport makes the requests; nil dials the Origin, without any proxy, and over TLS wants a certificate for Host.
	Transport http.RoundTripper
	Timeout   time.Duration // of one request, its body included; 0 means 20 s
	MaxBody   int64         // bytes; 0 means 4 MiB
	// MaxAge is that of a page that is served, as the Publisher has it; 0 means staticify.DefaultMaxAge.
	MaxAge time.Duration
	// Keep names the headers that are kept; nil means DefaultKeep. Content-Type, Cache-Control and an allowed Vary always
	// are.
	Keep []string
	// AllowVary names request headers that answers may vary on: "Cookie", where the origin says so for all its pages and
	// the ignored cookies change none of them. Accept-Encoding is always allowed.
	AllowVary []string
	// Markers are texts that a page for everybody does not have; nil means DefaultMarkers, empty means none.
	Markers []string
	// Mask matches what may differ between two renders of one page, besides comments: a token that is good for all
	// visitors, and for longer than a page is served.
	Mask []*regexp.Regexp

	once      sync.Once
	transport *http.Transport
}

// DefaultKeep are the headers that a browser acts on.
func DefaultKeep() []string {
	return []string{
		"Accept-Ch", "Access-Control-Allow-Credentials", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Alt-Svc",
		"Content-Disposition", "Content-Language", "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Critical-Ch",
		"Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Document-Policy", "Feature-Policy",
		"Link", "Nel", "No-Vary-Search", "Onion-Location", "Origin-Agent-Cluster", "Permissions-Policy", "Referrer-Policy", "Refresh",
		"Report-To", "Reporting-Endpoints", "Service-Worker-Allowed", "Sourcemap", "Speculation-Rules", "Strict-Transport-Security",
		"Timing-Allow-Origin", "X-Content-Type-Options", "X-Dns-Prefetch-Control", "X-Download-Options", "X-Frame-Options",
		"X-Permitted-Cross-Domain-Policies", "X-Pingback", "X-Robots-Tag", "X-Ua-Compatible", "X-Xss-Protection",
	}
}

// DefaultMarkers are what a logged-in visitor's page has in WordPress, and what a page has that asks for a password.
func DefaultMarkers() []string {
	return []string{`id="wpadminbar"`, `id='wpadminbar'`, `id=wpadminbar`, `type="password"`, `type='password'`, `type=password`}
}

// Render fetches a page. With a previous copy the origin is asked whether that is still right. Without one, and when the
// page has changed since, it is fetched twice, and when the two differ, since it may just have been edited, twice more at
// once; when these differ too, the page is made for each visitor, and refused. A page that is not for everybody gives a
// *[staticify.Refusal].
//
// Two copies are compared without their HTML comments and without what Mask matches. A token that WordPress writes
// into pages is the same for all anonymous visitors for 12 hours and so needs no mask; one that differs each time
// (a form's token, a Content-Security-Policy's nonce) makes the page a visitor's own.
func (r *Renderer) Render(ctx context.Context, key staticify.Key, previous *staticify.Page) (*staticify.Page, error) {
	first, err := r.fetch(ctx, key, previous)
	if err != nil || previous != nil && r.differ(previous, first) == "" {
		return first, err
	}
	second, err := r.fetch(ctx, key, nil)
	if err != nil || r.differ(first, second) == "" {
		return second, err
	}
	// A server may send other headers with a 304 than with the page.
	if previous != nil && bytes.Equal(first.Body, previous.Body) && r.differ(previous, second) == "" {
		return second, nil
	}
	var pair [2]*staticify.Page
	group, ctx := errgroup.WithContext(ctx)
	for i := range pair {
		group.Go(func() (err error) {
			pair[i], err = r.fetch(ctx, key, nil)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if detail := r.differ(pair[0], pair[1]); detail != "" {
		return nil, refuse(staticify.Differs, "%s, between two renders at once", detail)
	}
	if pair[0].Rendered.Before(pair[1].Rendered) {
		return pair[0], nil
	}
	return pair[1], nil
}

func refuse(reason staticify.Reason, format string, args ...any) error {
	return &staticify.Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// fetch makes one request.
func (r *Renderer) fetch(ctx context.Context, key staticify.Key, previous *staticify.Page) (*staticify.Page, error) {
	timeout := cmp.Or(r.Timeout, 20*time.Second)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	response, err := r.roundTripper().RoundTrip(r.request(limited, key, previous))
	if err != nil {
		return nil, r.failed(ctx, limited, staticify.Unreachable, timeout, err)
	}
	defer response.Body.Close()
	conditional := previous != nil && (previous.ETag != "" || previous.LastModified != "")
	if err := r.check(response, conditional); err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotModified {
		return r.renewed(previous, response, start), nil
	}
	body, err := r.body(response)
	if err != nil {
		var refusal *staticify.Refusal
		if errors.As(err, &refusal) {
			return nil, err
		}
		return nil, r.failed(ctx, limited, staticify.Truncated, timeout, err)
	}
	took := time.Since(start)
	page := &staticify.Page{
		Key: key, Header: r.kept(response.Header), Body: body, Rendered: start.Add(-age(response.Header)), Took: took,
		Lifetime: lifetime(response.Header), ETag: response.Header.Get("Etag"), LastModified: lastModified(response.Header, took),
	}
	return page, r.marked(page)
}

// failed makes an error of a request that was not answered in full: the caller's own when it ended ctx.
func (r *Renderer) failed(ctx, limited context.Context, reason staticify.Reason, timeout time.Duration, err error) error {
	var network net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil, errors.As(err, &network) && network.Timeout():
		return refuse(staticify.Slow, "%v", timeout)
	}
	return refuse(reason, "%v", err)
}

// request is the same for all pages but for the target and the validators.
func (r *Renderer) request(ctx context.Context, key staticify.Key, previous *staticify.Page) *http.Request {
	// Opaque keeps net/url from writing the target in another way.
	target := &url.URL{Scheme: r.Origin.Scheme, Host: r.Origin.Host, Opaque: key.Path, RawQuery: key.Query}
	request := (&http.Request{Method: http.MethodGet, URL: target, Host: r.Host, Header: http.Header{}}).WithContext(ctx)
	for name, values := range r.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	request.Header.Set("User-Agent", UserAgent)
	request.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	request.Header.Set("Accept-Encoding", "identity")
	if previous != nil && previous.ETag != "" {
		request.Header.Set("If-None-Match", previous.ETag)
	}
	if previous != nil && previous.LastModified != "" {
		request.Header.Set("If-Modified-Since", previous.LastModified)
	}
	return request
}

func (r *Renderer) roundTripper() http.RoundTripper {
	if r.Transport != nil {
		return r.Transport
	}
	r.once.Do(func() {
		name := (&url.URL{Host: r.Host}).Hostname()
		r.transport = &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{ServerName: name},
		}
	})
	return r.transport
}

// body reads the body, all of it.
func (r *Renderer) body(response *http.Response) ([]byte, error) {
	limit := cmp.Or(r.MaxBody, 4<<20)
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > limit:
		return nil, refuse(staticify.TooLarge, "more than %d bytes", limit)
	case response.ContentLength < 0 && len(response.TransferEncoding) == 0 && response.ProtoMajor == 1:
		return nil, refuse(staticify.Truncated, "neither a length nor chunks say where the body ends")
	}
	return body, complete(response.Header, body)
}

// renewed is a page that the origin says is still right, with the headers that the answer brings anew (RFC 9111, section
// 3.2).
func (r *Renderer) renewed(previous *staticify.Page, response *http.Response, start time.Time) *staticify.Page {
	page, h := *previous, response.Header
	page.Rendered, page.Took = start.Add(-age(h)), time.Since(start)
	page.Header = previous.Header.Clone()
	for name, values := range r.kept(h) {
		if h.Values(name) != nil && name != "Content-Type" { // which servers have wrong where there is no content
			page.Header[name] = values
		}
	}
	r.setAge(page.Header)
	if _, given := freshness(h); given {
		page.Lifetime = lifetime(h)
	}
	page.ETag = cmp.Or(h.Get("Etag"), previous.ETag)
	page.LastModified = cmp.Or(lastModified(h, page.Took), previous.LastModified)
	return &page
}

// age is how old the answer says that it is (RFC 9111, section 5.1): it may come from a cache of the origin's.
func age(h http.Header) time.Duration {
	return seconds(h.Get("Age"))
}
