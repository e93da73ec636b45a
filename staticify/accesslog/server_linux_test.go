package accesslog_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
)

// request is what a client sends, byte by byte.
type request struct{ method, target, agent, user string }

// hostile are requests whose parts look like other parts of a line. A real server takes all of them.
var hostile = []request{
	{"GET", "/", "Mozilla/5.0 (X11; Linux)", ""},
	{"HEAD", "/a?b=c&d", "-", ""},
	{"GET", `/"quoted"\back\\slash\"`, `an "agent" \ with \" all`, ""},
	{"GET", "/\xc3\xa9\xff/%22%0a", "h\xc3\xa9\xff\t|", ""},
	{"GET", `/x\x22\u0041\n`, `\x41\u00e9`, ""},
	{"GET", `/"] "GET /evil HTTP/1.1" 200 1 "-" "x`, `" 200 1 "-"`, ""},
	{"GET", `/","status":999,"x":"`, `"}{"status":999}`, ""},
	{"POST", "/form", "", "bob"},
	{"GET", "/private", "x", `bob [10/Oct/2000.13.55.36 +0000] "GET /evil HTTP/1.1" 200 1 "-" "x`},
	{"GET", "/private/2", "x", `a - b [c] "d`},
	{"GET", "/" + strings.Repeat("long/", 1000), "x", ""},
}

// send sends a request and reads the answer.
func send(t *testing.T, address string, r request) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", r.method, strings.ReplaceAll(r.target, " ", "%20"))
	if r.agent != "" {
		head += "User-Agent: " + r.agent + "\r\n"
	}
	if r.user != "" {
		head += "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(r.user+":secret")) + "\r\n"
	}
	if r.method == "POST" {
		head += "Content-Length: 0\r\n"
	}
	_, err = io.WriteString(conn, head+"\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: r.method})
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
}

// waitForLines waits for a log: a line is written after its answer.
func waitForLines(t *testing.T, path string, lines int) {
	t.Helper()
	weblab.WaitFor(t, path, func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Count(string(text), "\n") >= lines
	})
}

// requireLog reads a log, and wants what was sent.
func requireLog(t *testing.T, path, format string, sent []request, fields string) {
	t.Helper()
	parsed, err := accesslog.ParseFormat(format)
	require.NoError(t, err)
	waitForLines(t, path, len(sent))
	r, err := accesslog.Open(path, parsed)
	require.NoError(t, err)
	defer r.Close()
	// Lines of two connections may change places.
	left := map[string]request{}
	for _, r := range sent {
		left[strings.ReplaceAll(r.target, " ", "%20")] = r
	}
	n := 0
	for h, err := range r.All() {
		require.NoError(t, err)
		want, ok := left[string(h.Target)]
		require.True(t, ok, "%s, line %d: nobody asked for %q", path, n, h.Target)
		delete(left, string(h.Target))
		require.Equal(t, want.method, string(h.Method), "%s, line %d", path, n)
		require.Contains(t, []int{200, 401, 403, 404}, h.Status, "%s, line %d", path, n)
		if strings.Contains(fields, "agent") {
			require.Equal(t, strings.TrimPrefix(want.agent, "-"), string(h.UserAgent), "%s, line %d", path, n)
		}
		if strings.Contains(fields, "user") {
			require.Equal(t, want.user, string(h.User), "%s, line %d", path, n)
		}
		if strings.Contains(fields, "client") {
			require.True(t, h.Client.IsLoopback(), "%s, line %d", path, n)
			require.WithinDuration(t, time.Now(), h.Time, time.Hour, "%s, line %d", path, n)
		}
		n++
	}
	require.Equal(t, len(sent), n, path)
	require.Zero(t, r.Stats().Malformed, path)
}

func TestNginxLogs(t *testing.T) {
	lab.Need(t, "nginx")
	dir := weblab.Dir(t)
	logs := []struct{ name, format, fields string }{
		{"combined", "", "client agent"},
		{"json", `escape=json {"at":"$time_iso8601","from":"$remote_addr","who":"$remote_user","line":"$request","status":$status,"agent":"$http_user_agent"}`, "client agent user"},
		{"objects", "json", "client agent user"},
		{"own", `$remote_addr $msec "$remote_user" "$request_uri" $request_method $status $request_time $upstream_response_time "$http_user_agent"`, "client agent user"},
		{"tabs", "escape=none $request_method\t$request_uri\t$status", ""},
	}
	const objects = `escape=json {"remote_addr": "$remote_addr", "other": {"a": ["}", "$http_user_agent"]}, "request": "$request", "status": "$status", "remote_user": "$remote_user", "http_user_agent": "$http_user_agent", "time_iso8601": "$time_iso8601"}`
	var conf strings.Builder
	for _, l := range logs {
		format := l.format
		if l.name == "objects" {
			format = objects
		}
		if format == "" {
			format = "combined"
		} else {
			escape, text, found := strings.Cut(format, " ")
			if !found || !strings.HasPrefix(escape, "escape=") {
				escape, text = "", format
			}
			fmt.Fprintf(&conf, "log_format %s %s '%s';\n", l.name, escape, text)
			format = l.name
		}
		fmt.Fprintf(&conf, "access_log %s %s;\n", filepath.Join(dir, l.name), format)
	}
	address := weblab.Address(t)
	weblab.StartNginx(t, address, fmt.Sprintf("%sserver { listen %s; large_client_header_buffers 4 32k; location / { return 200; } }", conf.String(), address))
	for _, r := range hostile {
		send(t, address, r)
	}
	for _, l := range logs {
		sent := hostile
		if l.name == "combined" { // whose user is not quoted: what moves the fields is left out, as a malformed line
			sent = nil
			for _, r := range hostile {
				if !strings.Contains(r.user, " [") {
					sent = append(sent, r)
				}
			}
			requireMalformed(t, filepath.Join(dir, l.name), len(hostile), len(hostile)-len(sent))
			continue
		}
		requireLog(t, filepath.Join(dir, l.name), l.format, sent, l.fields)
	}
}

// requireMalformed wants as many lines that are skipped, and of the others nothing that was not sent.
func requireMalformed(t *testing.T, path string, lines, malformed int) {
	t.Helper()
	waitForLines(t, path, lines)
	r, err := accesslog.Open(path, accesslog.Format{})
	require.NoError(t, err)
	defer r.Close()
	for h, err := range r.All() {
		require.NoError(t, err)
		require.NotContains(t, []string{"/evil"}, string(h.Target))
		require.NotEqual(t, 999, h.Status)
	}
	require.Equal(t, accesslog.Stats{Lines: uint64(lines), Malformed: uint64(malformed)}, r.Stats())
}

// What is no HTTP is a line without a method.
func TestNginxLogsGarbage(t *testing.T) {
	lab.Need(t, "nginx")
	address := weblab.Address(t)
	n := weblab.StartNginx(t, address, fmt.Sprintf("server { listen %s; return 200; }", address))
	for _, text := range []string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "GET\r\n\r\n", "\"\\\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"} {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, conn)
		require.NoError(t, err)
		conn.Close()
	}
	waitForLines(t, n.Log, 4)
	r, err := accesslog.Open(n.Log, accesslog.Format{})
	require.NoError(t, err)
	defer r.Close()
	for h, err := range r.All() {
		require.NoError(t, err)
		require.GreaterOrEqual(t, h.Status, 400)
	}
	require.Zero(t, r.Stats().Malformed)
}

func TestApacheLogs(t *testing.T) {
	lab.Need(t, "apache2")
	address := weblab.Address(t)
	log := filepath.Join(weblab.Dir(t), "access.log")
	weblab.StartApache(t, address, fmt.Sprintf(`
LogFormat "%%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\"" combined
CustomLog %s combined
LimitRequestLine 16000
`, log))
	var sent []request
	for _, r := range hostile {
		r.user = "" // which this server logs when it has checked it
		sent = append(sent, r)
		send(t, address, r)
	}
	requireLog(t, log, "combined", sent, "client agent user")
}

// A server is asked again and again while its log is rotated: each request is read once.
func TestFollowNginx(t *testing.T) {
	lab.Need(t, "nginx")
	address := weblab.Address(t)
	n := weblab.StartNginx(t, address, fmt.Sprintf("server { listen %s; location / { return 200; } }", address))
	state := filepath.Join(t.TempDir(), "place")
	follower := &accesslog.Follower{Path: n.Log, State: state}
	seen := map[string]int{}
	poll := func() {
		require.NoError(t, follower.Poll(func(h *accesslog.Hit) error {
			seen[string(h.Target)]++
			return nil
		}))
		require.NoError(t, follower.Save())
	}
	const requests = 300
	for i := range requests {
		send(t, address, request{"GET", "/" + strconv.Itoa(i), "x", ""})
		switch i % 50 {
		case 10, 23, 42:
			poll()
		case 20:
			require.NoError(t, os.Rename(n.Log, fmt.Sprintf("%s.%d", n.Log, i)))
		case 30:
			require.NoError(t, n.Cmd.Process.Signal(syscall.SIGUSR1))
			weblab.WaitFor(t, "a new log", func() bool { _, err := os.Stat(n.Log); return err == nil })
		case 45: // another process goes on
			require.NoError(t, follower.Close())
			follower = &accesslog.Follower{Path: n.Log, State: state}
		}
	}
	weblab.WaitFor(t, "the last line", func() bool { poll(); return seen["/"+strconv.Itoa(requests-1)] > 0 })
	poll()
	require.Len(t, seen, requests)
	for target, times := range seen {
		require.Equal(t, 1, times, target)
	}
}
