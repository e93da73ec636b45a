package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"muninconf": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		// A node of the test's own, and a port that nobody listens on.
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(closed.Addr().String())
		env.Setenv("CLOSED", port)
		return closed.Close()
	}})
}

// TestREADME follows the README word by word.
func TestREADME(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	run := func(begins string) []readme.Ran { return readme.Each(t, dir, readme.Block(t, "", begins)) }
	write("hosts.yaml", readme.Block(t, "", "masters:"))
	write("moved.yaml", readme.Block(t, "", "hosts:"))
	require.Equal(t, readme.Block(t, "", "[pi;"), run("muninconf gen")[0].Output)
	var statuses []int
	for _, ran := range run("mkdir") {
		statuses = append(statuses, ran.Status)
	}
	require.Equal(t, []int{0, 3, 0, 0}, statuses, "the second one is -n")
	require.Equal(t, readme.Block(t, "", "allow"), run("muninconf node")[0].Output)
	require.Equal(t, readme.Block(t, "", "allow"), readme.Each(t, dir, "muninconf node -f hosts.yaml")[0].Output)
	require.Equal(t, []readme.Ran{{Line: "muninconf diff munin-conf.d moved.yaml", Status: 3, Output: readme.Block(t, "", "web;")}}, run("muninconf diff"))
}

// TestServe runs the program until it is told to stop, as systemd would.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts.yaml")
	require.NoError(t, os.WriteFile(hosts, []byte("hosts: [{group: web, name: a, address: 127.0.0.1, port: 1}]\n"), 0o644))
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()

	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "muninconf", "serve", "-f", hosts, "--munin", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--interval", "1h")
	cmd.Path, cmd.Err = self, nil
	cmd.Path = filepath.Join(dir, "muninconf")
	require.NoError(t, os.Symlink(self, cmd.Path))
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket.LocalAddr().String())
	logs := &syncBuffer{lines: make(chan string, 100)}
	cmd.Stderr = logs
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	require.Contains(t, notified(t, socket), "READY=1")

	var address string
	require.Eventually(t, func() bool {
		address = logs.field(`"msg":"serving","munin":"`)
		return address != ""
	}, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(ask(t, address, "fetch figures\n"), "_unreachable.value 1\n")
	}, 20*time.Second, 20*time.Millisecond, "the round of probes is done")
	require.Contains(t, ask(t, address, "cap multigraph\nlist\n"), "figures\n")

	require.NoError(t, os.WriteFile(hosts, []byte("hosts: [{group: web, name: a_b}]\n"), 0o644))
	require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
	require.Contains(t, notified(t, socket), "RELOADING=1")
	require.Contains(t, notified(t, socket), "READY=1")
	require.Eventually(t, func() bool { return logs.field(`"msg":"the old configuration stays","error":"`) != "" }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Contains(t, notified(t, socket), "STOPPING=1")
	require.NoError(t, cmd.Wait(), "exit status 0")
}

func notified(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(20*time.Second)))
	b := make([]byte, 1000)
	n, err := socket.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

func ask(t *testing.T, address, commands string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(commands + "quit\n"))
	require.NoError(t, err)
	var answer bytes.Buffer
	_, err = answer.ReadFrom(conn)
	require.NoError(t, err)
	return answer.String()
}

// syncBuffer hands on what was written, line by line.
type syncBuffer struct {
	lines chan string
	seen  string
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.lines <- string(p)
	return len(p), nil
}

// field returns what follows a text up to the next quote.
func (b *syncBuffer) field(text string) string {
	for {
		select {
		case line := <-b.lines:
			b.seen += line
			continue
		default:
		}
		_, rest, _ := strings.Cut(b.seen, text)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
}
