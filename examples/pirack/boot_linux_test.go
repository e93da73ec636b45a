package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/examples/internal/rackbox"
	"github.com/berryrack/berryrack/internal/lab"
)

// shellScript runs, on a Pi, what is posted to it.
const shellScript = "#!/bin/busybox sh\necho\nexec sh 2>&1\n"

// bootedRack is a pirack boot of this test.
type bootedRack struct {
	cmd      *exec.Cmd
	program  string
	state    string
	rack     *rack.Rack
	netns    string // of the world outside, as in /proc/PID/ns/net
	outside  http.Client
	stopped  chan error
	stderr   log
	netnsTag string
}

// needBoot names what pirack boot needs.
func needBoot(t *testing.T) {
	t.Helper()
	lab.Need(t, "netns", "kernel", "busybox", "nft", "sysctl", "exportfs", "rpcbind", "rpcinfo", "rpc.nfsd", "rpc.mountd")
	lab.Kernel(t)
}

// bootRack boots the story's rack, as changed by the replacements, from roots
// that run what is posted to them.
func bootRack(t *testing.T, text string) *bootedRack {
	t.Helper()
	dir := t.TempDir()
	b := &bootedRack{state: filepath.Join(dir, "state"), program: filepath.Join(dir, "pirack"), stopped: make(chan error, 1)}
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, b.program))
	config, golden := filepath.Join(dir, "rack.yaml"), filepath.Join(dir, "golden")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o644))
	b.rack, err = rack.Parse(config, []byte(text))
	require.NoError(t, err)
	require.NoError(t, rackbox.MakeGolden(golden, lab.Program(t, "busybox")))
	require.NoError(t, os.MkdirAll(filepath.Join(golden, "srv/www/cgi-bin"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(golden, "srv/www/cgi-bin/sh"), []byte(shellScript), 0o755))

	began := time.Now()
	b.start(t, exec.Command(b.program, "boot", "-f", config, "--golden", golden, "--state", b.state))
	t.Logf("%d Pis up after %v", len(b.rack.Pis), time.Since(began).Round(10*time.Millisecond))
	b.netnsTag, err = os.Readlink(b.netns)
	require.NoError(t, err)
	b.outside.Transport = &http.Transport{DialContext: b.dial, DisableKeepAlives: true}
	return b
}

// start starts a pirack boot and waits until the rack is up.
func (b *bootedRack) start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	b.cmd = cmd
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	read, write, err := os.Pipe()
	require.NoError(t, err)
	b.cmd.Stderr = write
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // Pdeathsig
		started <- b.cmd.Start()
		b.stopped <- b.cmd.Wait()
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() { b.cmd.Process.Kill() })
	write.Close()
	b.netns = b.awaitUp(t, read)
	require.NotEmpty(t, b.netns, b.stderr.String())
}

// awaitUp reads what boot says until the rack is up, and returns where the
// world outside is.
func (b *bootedRack) awaitUp(t *testing.T, stderr *os.File) string {
	up := make(chan string, 1)
	go func() {
		defer close(up)
		defer stderr.Close()
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Msg, Outside string }
			fmt.Fprintln(&b.stderr, lines.Text())
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "the rack is up" {
				up <- strings.TrimPrefix(line.Outside, "nsenter --net=")
			}
		}
	}()
	select {
	case netns := <-up:
		return netns
	case <-t.Context().Done():
		return ""
	}
}

// dial connects from the world outside.
func (b *bootedRack) dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		net.Conn
		error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread ends with this function
		ns, err := os.Open(b.netns)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		var conn net.Conn
		if err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
		}
		done <- result{conn, err}
	}()
	r := <-done
	return r.Conn, r.error
}

// get fetches a page of a Pi from the world outside.
func (b *bootedRack) get(t *testing.T, pi rack.Pi, path string) (string, error) {
	response, err := b.outside.Get("http://" + net.JoinHostPort(pi.Public.Addr().String(), "80") + path)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return strings.TrimSpace(string(body)), err
}

// bootID waits until the Pi's page says which boot it is of.
func (b *bootedRack) bootID(t *testing.T, pi rack.Pi) string {
	t.Helper()
	var id string
	require.Eventually(t, func() bool {
		page, err := b.get(t, pi, "/boot")
		name, rest, _ := strings.Cut(page, " ")
		id = rest
		return err == nil && name == pi.Name
	}, time.Minute, 100*time.Millisecond, "%s at %v\n%s", pi.Name, pi.Public, &b.stderr)
	return id
}

// on runs a script on a Pi.
func (b *bootedRack) on(t *testing.T, pi rack.Pi, script string) string {
	t.Helper()
	url := "http://" + net.JoinHostPort(pi.Public.Addr().String(), "80") + "/cgi-bin/sh"
	response, err := b.outside.Post(url, "text/plain", strings.NewReader(script))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

// pirack runs a command as another terminal does.
func (b *bootedRack) pirack(t *testing.T, args ...string) string {
	t.Helper()
	var diagnostics bytes.Buffer
	cmd := exec.CommandContext(t.Context(), b.program, append(args, "--state", b.state)...)
	cmd.Stderr = &diagnostics
	output, err := cmd.Output()
	require.NoError(t, err, "%v\n%s%s\n%s", args, output, &diagnostics, &b.stderr)
	return string(output)
}

// gone waits until no process is left in the rack's network namespace.
func (b *bootedRack) gone(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		links, _ := filepath.Glob("/proc/[0-9]*/ns/net")
		for _, link := range links {
			if link == fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) {
				continue // a thread that has dialled
			}
			if tag, _ := os.Readlink(link); tag == b.netnsTag {
				return false
			}
		}
		return true
	}, 20*time.Second, 50*time.Millisecond)
	require.NoDirExists(t, b.state)
}

// swappable is the story's rack with roots that can be swapped.
func swappable() string {
	return strings.Replace(string(rack.Story), "export: /export/{client}", "export: /export/{client}/root", 1)
}

func TestBoot(t *testing.T) {
	needBoot(t)
	b := bootRack(t, swappable())
	pis := b.rack.Pis

	ids := map[string]string{}
	for _, pi := range pis {
		ids[pi.Name] = b.bootID(t, pi)
	}
	var statuses []rack.PiStatus
	require.NoError(t, json.Unmarshal([]byte(b.pirack(t, "status", "--json")), &statuses))
	require.Len(t, statuses, len(pis))
	for i, s := range statuses {
		require.Equal(t, rack.PiStatus{Name: pis[i].Name, Power: "deliveringPower", Watts: 3.5, VLAN: "up", Root: "whole", Boot: "mounted", Answers: "yes"}, s)
	}
	require.Empty(t, b.pirack(t, "check"), "the fileserver is as pirack planned it")

	// Each reaches its own fileserver address, and nothing of any other's.
	var all sync.WaitGroup
	for _, pi := range pis {
		all.Go(func() { require.Equal(t, pi.Link.Server.String()+"\n", b.on(t, pi, reaches(pis))) })
	}
	all.Wait()

	// A Pi that is power cycled boots again, and no other does.
	pi3, pi5 := pis[2], pis[4]
	require.Contains(t, b.pirack(t, "cycle", pi3.Name), "pi3")
	require.Eventually(t, func() bool { return b.bootID(t, pi3) != ids[pi3.Name] }, time.Minute, 100*time.Millisecond)
	// So does one that gets a new root; what it had written is gone.
	b.on(t, pi5, "echo mine > /srv/mine")
	b.pirack(t, "roots", "rebuild", pi5.Name, "--force")
	require.Eventually(t, func() bool { return b.bootID(t, pi5) != ids[pi5.Name] }, time.Minute, 100*time.Millisecond)
	require.Contains(t, b.on(t, pi5, "cat /srv/mine"), "No such file")
	for _, pi := range pis {
		if pi.Name != pi3.Name && pi.Name != pi5.Name {
			require.Equal(t, ids[pi.Name], b.bootID(t, pi), pi.Name)
		}
	}

	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-b.stopped, &b.stderr)
	b.gone(t)
	status, _, _ := pirack(t, "status", "--state", b.state)
	require.Equal(t, cli.Done, status, "there is no booted rack to ask")
}

// reaches is a script that prints which of the private addresses answer, the
// Pi's own left out.
func reaches(pis []rack.Pi) string {
	var b strings.Builder
	for _, pi := range pis {
		for _, address := range []string{pi.Link.Server.String(), pi.Link.Client.String()} {
			fmt.Fprintf(&b, "ip addr | grep -q 'inet %s/' || { ping -c 1 -W 3 %s >/dev/null 2>&1 && echo %s; } &\n", regexp.QuoteMeta(address), address, address)
		}
	}
	return b.String() + "wait\n"
}

// Nothing is left of a rack whose boot is killed.
func TestBootKilled(t *testing.T) {
	needBoot(t)
	text, _, _ := strings.Cut(string(rack.Story), "  - {name: pi3")
	b := bootRack(t, text)
	b.bootID(t, b.rack.Pis[1])
	require.NoError(t, b.cmd.Process.Kill())
	b.gone(t)
}
