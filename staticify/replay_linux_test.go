package staticify_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
)

// request is one that is sent to the public server and to the origin.
type request struct {
	method, target string
	header         []string // names and values in turn
	from           byte     // last byte of the client's address
}

func (r request) String() string { return fmt.Sprintf("%s %s %q", r.method, r.target, r.header) }

// with returns the request with more headers.
func (r request) with(header ...string) request {
	r.header = slices.Concat(r.header, header)
	return r
}

// reply is an answer, its body decoded.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) static() bool { return r.header.Get("Cache-Status") != "" }

// send sends a request on a connection of its own, with the target as it stands.
func send(t testing.TB, address, host string, r request) reply {
	t.Helper()
	answer, err := try(address, host, r)
	require.NoError(t, err, r)
	return answer
}

func try(address, host string, r request) (reply, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2+r.from)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	head := r.method + " " + r.target + " HTTP/1.1\r\nConnection: close\r\n"
	if !slices.Contains(r.header, "Host") {
		head += "Host: " + host + "\r\n"
	}
	body := ""
	for i := 0; i < len(r.header); i += 2 {
		if r.header[i] == "" {
			body = r.header[i+1]
			head += fmt.Sprintf("Content-Length: %d\r\n", len(body))
			continue
		}
		head += r.header[i] + ": " + r.header[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"+body); err != nil {
		return reply{}, err
	}
	response, err := http.ReadResponse(newReader(conn), &http.Request{Method: r.method})
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	decoded, err := decode(response)
	return reply{response.StatusCode, response.Header, decoded}, err
}

func decode(response *http.Response) (string, error) {
	var r io.Reader = response.Body
	switch response.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err == io.EOF { // the answer to HEAD
			return "", nil
		}
		if err != nil {
			return "", err
		}
		r = z
	case "br":
		if response.Request.Method == "HEAD" {
			return "", nil
		}
		r = brotli.NewReader(r)
	}
	body, err := io.ReadAll(r)
	return string(body), err
}

// compared are the headers that must be those of the origin.
var compared = []string{
	"Content-Type", "Link", "Location", "X-Pingback", "X-Robots-Tag", "Content-Language", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Allow",
}

// same reports how the two answers differ, "" when they do not.
func same(public, origin reply) string {
	if public.status != origin.status {
		return fmt.Sprintf("status %d, origin %d", public.status, origin.status)
	}
	for _, name := range compared {
		if got, want := strings.Join(public.header.Values(name), ", "), strings.Join(origin.header.Values(name), ", "); got != want {
			return fmt.Sprintf("%s %q, origin %q", name, got, want)
		}
	}
	if (public.header.Get("Set-Cookie") == "") != (origin.header.Get("Set-Cookie") == "") {
		return fmt.Sprintf("Set-Cookie %q, origin %q", public.header.Get("Set-Cookie"), origin.header.Get("Set-Cookie"))
	}
	if public.body != origin.body {
		return "body"
	}
	return ""
}

// equal replays a request to both, and returns whether the public answer was a file. The origin is asked before and
// after: where its two answers differ from each other, or one is not like the other two, the words in which they do
// are no difference.
//
// What counts is what the origin says to the request as the rules have it. A file is compared with its answer to the
// target without the parameters that are ignored, which WordPress repeats in links; and a file's answer to HEAD with
// its headers for GET (RFC 9110, section 9.3.2), which WordPress has others for in robots.txt.
func equal(t testing.TB, public, origin, host string, r request) bool {
	t.Helper()
	first := send(t, origin, host, r)
	got := send(t, public, host, r)
	if difference := same(got, first); difference == "" {
		return got.static()
	}
	again := r
	if key, err := (staticify.Query{Keep: keep}).Canonical(r.target); err == nil && got.static() {
		again.target = key.String()
		if r.method == "HEAD" {
			again.method, first.body = "GET", ""
		}
	}
	second := send(t, origin, host, again)
	if r.method == "HEAD" {
		second.body = ""
	}
	difference := same(got, second)
	if difference == "body" && again.target == r.target && masked(got.body, first.body, second.body) {
		difference = ""
	}
	if difference != "" {
		t.Errorf("%s: %s\npublic: %d %v\norigin: %d %v\n%s", r, difference, got.status, got.header, second.status, second.header, firstDifference(got.body, second.body))
	}
	return got.static()
}

// masked reports whether each word of got is one of the origin's two, or one that the origin changes each time.
func masked(got, first, second string) bool {
	a, b, c := strings.Fields(got), strings.Fields(first), strings.Fields(second)
	if len(a) != len(b) || len(b) != len(c) {
		return false
	}
	for i := range b {
		if b[i] == c[i] && a[i] != b[i] {
			return false
		}
	}
	return true
}

func firstDifference(a, b string) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("at %d: %.120q\n        %.120q", i, a[i:], b[i:])
		}
	}
	return fmt.Sprintf("lengths %d and %d", len(a), len(b))
}

// await runs a condition until it holds.
func await(ctx context.Context, t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
