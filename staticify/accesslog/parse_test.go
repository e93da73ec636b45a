package accesslog

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// one parses a single line, and returns nil when it is malformed.
func one(t testing.TB, format, line string) *Hit {
	f, err := ParseFormat(format)
	require.NoError(t, err)
	p := newParser(f)
	if !parse(p, []byte(line)) {
		return nil
	}
	return &p.hit
}

func parse(p *parser, line []byte) bool { return p.parse(line, bytes.IndexByte(line, '\\') >= 0) }

func TestCombined(t *testing.T) {
	h := one(t, "combined", `2001:db8::7 - - [10/Oct/2000:13:55:36 -0700] "GET /a%20b?x=1 HTTP/1.1" 200 2326 "http://e/" "Mozilla/4.08 [en] (Win98)"`)
	require.Equal(t, &Hit{
		Time:   time.Date(2000, 10, 10, 20, 55, 36, 0, time.UTC),
		Client: netip.MustParseAddr("2001:db8::7"),
		Method: []byte("GET"), Target: []byte("/a%20b?x=1"), Status: 200, Bytes: 2326,
		UserAgent: []byte("Mozilla/4.08 [en] (Win98)"),
	}, h)
}

func TestLines(t *testing.T) {
	const stamp = `[10/Oct/2000:13:55:36 +0000]`
	for _, c := range []struct{ name, format, line, target, user, agent string }{
		{"nginx escapes", "", `1.2.3.4 - - ` + stamp + ` "GET /\x22\x5C\xE9 HTTP/1.1" 200 1 "-" "a\x22b"`, "/\"\\\xe9", "", `a"b`},
		{"apache escapes", "", `1.2.3.4 - - ` + stamp + ` "GET /\"\\ HTTP/1.1" 200 - "-" "a\"b\\"`, `/"\`, "", `a"b\`},
		{"a name in the user's place", "", `1.2.3.4 - bob smith ` + stamp + ` "GET / HTTP/1.1" 200 1 "-" "-"`, "/", "bob smith", ""},
		{"more fields than combined", "", `1.2.3.4 - - ` + stamp + ` "GET / HTTP/1.1" 200 1 "-" "x" "10.0.0.1" 0.1`, "/", "", "x"},
		{"HTTP/0.9", "common", `1.2.3.4 - - ` + stamp + ` "GET /old" 200 1`, "/old", "", ""},
		{"blank in the target", "common", `1.2.3.4 - - ` + stamp + ` "GET /a b HTTP/1.1" 400 1`, "/a b", "", ""},
		{"TLS on a plain port", "common", `1.2.3.4 - - ` + stamp + ` "\x16\x03\x01" 400 1`, "\x16\x03\x01", "", ""},
		{"no request", "common", `1.2.3.4 - - ` + stamp + ` "-" 408 1`, "", "", ""},
		{"with a host", "vhost_combined", `www.example.org:443 ::1 - - ` + stamp + ` "GET /v HTTP/2.0" 200 1 "-" "x"`, "/v", "", "x"},
		{"own format", `$msec|$request_uri|$request_method|${status}`, `971211336.123|/own?a|GET|200`, "/own?a", "", ""},
		{"escape=none", `escape=none "$request" $status`, `"GET /\x41 HTTP/1.1" 200`, `/\x41`, "", ""},
		{"escape=json", `escape=json {"t":"$time_iso8601","r":"$request","u":"$http_user_agent","s":$status}`,
			`{"t":"2000-10-10T13:55:36+00:00","r":"GET /\u00e9\"\\ HTTP/1.1","u":"\ud83d\ude00\t","s":200}`, "/é\"\\", "", "😀\t"},
		{"objects", "json", `{ "a": {"b":["]", {}]}, "status": 200, "request_uri" : "/o\/p", "x": null, "remote_user":"me", "time_iso8601":"2000-10-10T13:55:36Z"}`, "/o/p", "me", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := one(t, c.format, c.line)
			require.NotNil(t, h)
			require.Equal(t, c.target, string(h.Target))
			require.Equal(t, c.user, string(h.User))
			require.Equal(t, c.agent, string(h.UserAgent))
			if strings.Contains(c.line, "2000") {
				require.Equal(t, int64(971186136), h.Time.Unix())
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	const good = `1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 1 "-" "x"`
	require.NotNil(t, one(t, "combined", good))
	for _, c := range []struct{ name, format, old, new string }{
		{"cut off", "", ` "-" "x"`, ``},
		{"cut in the agent", "", `"x"`, `"x`},
		{"no month", "", "Oct", "Okt"},
		{"day 32", "", "10/", "32/"},
		{"year 1", "", "2000", "0001"},
		{"hour 24", "", ":13:", ":24:"},
		{"zone without sign", "", "+0000", "00000"},
		{"status of two digits", "", " 200 ", " 20 "},
		{"status with a sign", "", " 200 ", " -20 "},
		{"size with a letter", "", " 1 ", " 1k "},
		{"size beyond all bounds", "", " 1 ", " 9999999999999999999 "},
		{"text after the last mark", "", `"x"`, `"x"y`},
		{"last mark escaped", "", `"x"`, `"x\"`},
	} {
		line := strings.Replace(good, c.old, c.new, 1)
		require.NotEqual(t, good, line, c.name)
		require.Nil(t, one(t, c.format, line), c.name)
	}
	for _, line := range []string{
		``, `[]`, `{`, `{"request":"GET / HTTP/1.1"`, `{"request":"GET / HTTP/1.1"} x`, `{"request" "x"}`, `{"request":}`,
		`{"a":` + strings.Repeat("[", 17) + strings.Repeat("]", 17) + `}`, `{"status":"2000"}`, `{"a":"\"}`,
	} {
		require.Nil(t, one(t, "json", line), line)
	}
}

// A user name is what a client likes it to be. It moves no field.
func TestForgedFields(t *testing.T) {
	const stamp = `[10/Oct/2000:13:55:36 +0000]`
	for _, user := range []string{
		`x [11/Oct/2000:13:55:36 +0000] \x22GET /evil HTTP/1.1\x22 200 1 \x22-\x22 \x22y`,
		`x [11/Oct/2000:13:55:36 +0000] `, ` [`, `x - y [z] `, `] \x22`,
	} {
		h := one(t, "", `1.2.3.4 - `+user+` `+stamp+` "GET /real HTTP/1.1" 401 1 "-" "x"`)
		if h != nil {
			require.Equal(t, "/real", string(h.Target))
			require.Equal(t, 401, h.Status)
		}
	}
}

func TestTook(t *testing.T) {
	const format = `$request_time $upstream_response_time "$request"`
	for line, want := range map[string]time.Duration{
		`0.250 -`:                    250 * time.Millisecond,
		`0.250 0.100`:                100 * time.Millisecond,
		`0.250 0.100, 0.020 : 0.003`: 123 * time.Millisecond,
		`0.250 -, 0.020`:             20 * time.Millisecond,
		`12 0.000`:                   0,
	} {
		h := one(t, format, line+` "GET / HTTP/1.1"`)
		require.NotNil(t, h, line)
		require.Equal(t, want, h.Took, line)
	}
	require.Nil(t, one(t, format, `0.25x - "GET / HTTP/1.1"`))
	require.Nil(t, one(t, format, `0.250 fast "GET / HTTP/1.1"`))
}

func TestClient(t *testing.T) {
	for text, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "255.255.255.255": "255.255.255.255", "::ffff:1.2.3.4": "1.2.3.4", "2001:DB8::1": "2001:db8::1",
		"unix:": "invalid IP", "1.2.3": "invalid IP", "1.2.3.256": "invalid IP", "1.2.3.4.5": "invalid IP", "1..2.3": "invalid IP",
		"1.2.3.4x": "invalid IP", "fe80::1%eth0": "invalid IP", "": "invalid IP", "-": "invalid IP", "01.2.3.4": "1.2.3.4",
	} {
		require.Equal(t, want, parseAddr([]byte(text)).String(), text)
	}
}

func TestParseFormatErrors(t *testing.T) {
	for format, want := range map[string]string{
		`$remote_addr [$time_local]`:   "neither $request nor $request_uri",
		`$status$request`:              "nothing between $status and what follows it",
		`escape=xml "$request"`:        "escape=xml: want default, json or none",
		`$uri $args`:                   "neither $request nor $request_uri",
		`escape=xml $status$body_sent`: "nothing between",
	} {
		_, err := ParseFormat(format)
		require.ErrorContains(t, err, want, format)
	}
}

// The values of a Hit are taken from the line that was parsed last, and from nothing before.
func TestNothingIsLeftFromTheLineBefore(t *testing.T) {
	p := newParser(Format{})
	require.True(t, parse(p, []byte(`1.2.3.4 - bob [10/Oct/2000:13:55:36 +0000] "GET /1\x22 HTTP/1.1" 200 7 "-" "x"`)))
	require.True(t, parse(p, []byte(`- - - [10/Oct/2000:13:55:36 +0000] "-" 400 - "-" "-"`)))
	require.Equal(t, Hit{Time: time.Unix(971186136, 0).UTC(), Status: 400}, p.hit)
}

func TestNoAllocation(t *testing.T) {
	for _, c := range []struct{ format, line string }{
		{"", `2001:db8::7 - - [10/Oct/2000:13:55:36 -0700] "GET /\x22 HTTP/1.1" 200 2326 "http://e/" "Mozilla"`},
		{"json", `{"remote_addr":"1.2.3.4","request":"GET /\u00e9 HTTP/1.1","status":"200","time_iso8601":"2000-10-10T13:55:36Z"}`},
	} {
		f, err := ParseFormat(c.format)
		require.NoError(t, err)
		p, line := newParser(f), []byte(c.line)
		require.True(t, parse(p, line))
		require.Zero(t, testing.AllocsPerRun(100, func() { parse(p, line) }), c.format)
	}
}
