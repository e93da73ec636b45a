package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/internal/lab"
)

// pirack runs a command line of the program.
func pirack(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, diagnostics bytes.Buffer
	p := cli.Program{Name: "pirack", Description: description, Grammar: &grammar{}}
	status = p.Run(t.Context(), args, cli.Streams{Out: &out, Err: &diagnostics})
	return status, out.String(), diagnostics.String()
}

// The story's VLAN interfaces on a kernel that has none, and nothing to do the
// second time; then one that nobody planned.
func TestApply(t *testing.T) {
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	lab.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch0")
	lab.Run(t, "ip", "link", "set", "switch0", "up")
	lab.Run(t, "ip", "link", "set", "eth0", "up")

	status, out, _ := pirack(t, "apply", "-n")
	require.Equal(t, cli.Different, status)
	require.Contains(t, out, "ip address replace 10.46.189.29/30 dev eth0.17")
	status, _, stderr := pirack(t, "apply")
	require.Equal(t, cli.Done, status, stderr)
	require.Contains(t, lab.Run(t, "ip", "-br", "address", "show", "eth0.17"), "10.46.189.29/30")
	status, out, _ = pirack(t, "apply", "-n")
	require.Equal(t, cli.Done, status, out)

	lab.Run(t, "ip", "link", "add", "link", "eth0", "name", "eth0.15x", "type", "vlan", "id", "99")
	lab.Run(t, "ip", "link", "delete", "eth0.12")
	status, out, _ = pirack(t, "apply")
	require.Equal(t, cli.Done, status)
	require.Contains(t, out, "name eth0.12")
	require.Contains(t, lab.Run(t, "ip", "link"), "eth0.15x", "its id is of no slot: not ours")

	status, out, _ = pirack(t, "status")
	require.Equal(t, cli.Done, status)
	require.Regexp(t, `pi8 +unknown +0.0 +up +missing +no +(no|unknown)`, out) // a busy machine may be late
}

// log is a buffer for two.
type log struct {
	sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.Lock()
	defer l.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.Lock()
	defer l.Unlock()
	return l.text.String()
}

// Another namespace is reached by its name, and watched until it is enough.
func TestApplyWatchesANamespace(t *testing.T) {
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	lab.Run(t, "ip", "netns", "add", "fs")
	lab.Run(t, "ip", "link", "add", "eth0", "netns", "fs", "type", "veth", "peer", "name", "switch0")
	lab.Run(t, "ip", "link", "set", "switch0", "up")
	lab.Run(t, "ip", "-n", "fs", "link", "set", "eth0", "up")

	ctx, cancel := context.WithCancel(t.Context())
	var out log
	p := cli.Program{Name: "pirack", Description: description, Grammar: &grammar{}}
	done := make(chan int)
	go func() {
		done <- p.Run(ctx, []string{"apply", "--watch", "--netns", "fs"}, cli.Streams{Out: &out, Err: &out})
	}()
	there := func() bool {
		return strings.Contains(lab.Run(t, "ip", "-n", "fs", "-br", "address"), "10.46.189.29/30")
	}
	require.Eventually(t, there, 20e9, 50e6)
	lab.Run(t, "ip", "-n", "fs", "link", "delete", "eth0.17")
	require.Eventually(t, there, 20e9, 50e6)

	// A rack that cannot be is refused, and the old one stays.
	lab.Run(t, "ip", "-n", "fs", "link", "add", "link", "eth0", "name", "other", "type", "vlan", "id", "900")
	lab.Run(t, "ip", "-n", "fs", "address", "add", "10.46.189.1/30", "dev", "other")
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "the old configuration stays") }, 20e9, 50e6)
	cancel()
	require.Equal(t, cli.Done, <-done)
}
