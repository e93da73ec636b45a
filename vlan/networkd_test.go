//go:build linux

package vlan_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

const networkd = "/lib/systemd/systemd-networkd"

// eventually fails the test unless the condition holds within some seconds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 20*time.Second, 20*time.Millisecond, what)
}

// shell runs a line of a shell's, and returns what it printed, failed or not.
func shell(t *testing.T, line string) string {
	t.Helper()
	output, _ := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput()
	return string(output)
}

// startNetworkd starts systemd-networkd on the files, and returns what it has
// logged of level warning or above, and how to end it.
func startNetworkd(t *testing.T, files []vlan.File) (warnings *events, stop func()) {
	t.Helper()
	require.NoError(t, os.RemoveAll("/run/systemd/network"))
	writeFiles(t, "/run/systemd/network", files)
	warnings = &events{}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, lab.Program(t, networkd))
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=warning", "SYSTEMD_LOG_TARGET=console")
	cmd.Stdout, cmd.Stderr = warnings, warnings
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	require.NoError(t, cmd.Start())
	return warnings, func() {
		cancel()
		_ = cmd.Wait()
	}
}

func writeFiles(t *testing.T, dir string, files []vlan.File) {
	t.Helper()
	for _, file := range files {
		path := filepath.Join(dir, filepath.FromSlash(file.Name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if file.Secret {
			mode = 0o600
		}
		require.NoError(t, os.WriteFile(path, []byte(file.Text), mode))
	}
}

// events are what a program prints while the test goes on.
type events struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(p)
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

// monitor records what `ip monitor` says. It has begun when monitor returns,
// and stop returns all that it said before, but for what is about lo: that is
// used to mark beginning and end.
func monitor(t *testing.T, objects ...string) (stop func() string) {
	t.Helper()
	var seen events
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, lab.Program(t, "ip"), append([]string{"-o", "monitor"}, objects...)...)
	cmd.Stdout = &seen
	cmd.WaitDelay = time.Second
	require.NoError(t, cmd.Start())
	mark := func(mtu string) {
		t.Helper()
		eventually(t, "ip monitor", func() bool {
			shell(t, "ip link set dev lo mtu 65536; ip link set dev lo mtu "+mtu)
			return strings.Contains(seen.String(), "mtu "+mtu)
		})
	}
	mark("60001")
	return func() string {
		mark("60002")
		cancel()
		_ = cmd.Wait()
		var lines []string
		for line := range strings.Lines(seen.String()) {
			if !strings.Contains(line, " lo: ") && !strings.Contains(line, "]lo: ") && !strings.Contains(line, " lo ") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
}

// of returns the lines that are about a device.
func of(device, seen string) string {
	var lines []string
	for line := range strings.Lines(seen) {
		if regexp.MustCompile(`\d+: ` + device + `[@:\s]|dev ` + device + `\s`).MatchString(line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// pi makes eth0 of a veth, as a kernel leaves it that mounted its root over NFS.
func pi(t *testing.T) {
	t.Helper()
	lab.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch")
	lab.Run(t, "ip", "link", "set", "switch", "up")
	lab.Run(t, "ip", "link", "set", "eth0", "up")
	lab.Run(t, "ip", "address", "add", "10.46.189.2/30", "dev", "eth0")
	lab.Run(t, "ip", "route", "add", "default", "via", "10.46.189.1", "dev", "eth0")
}

// TestNetworkdPi: the VLAN comes up, and the kernel's address and route on
// eth0 are never gone: not at the start, nor at the end, nor without a carrier.
func TestNetworkdPi(t *testing.T) {
	lab.Need(t, networkd, "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	lab.Run(t, "mount", "-o", "remount,ro", "/sys") // or networkd waits for udev
	events := monitor(t, "address", "route", "link")
	up := func() bool {
		return strings.Contains(shell(t, "ip -6 -o address show dev eth0.131 scope global -tentative"), "2a00:1098:0:84:1000:1:0:2/64") &&
			strings.Contains(shell(t, "ip -6 route show default"), "via 2a00:1098:0:84::1 dev eth0.131")
	}
	for range 2 {
		warnings, stop := startNetworkd(t, computer(0).Networkd())
		eventually(t, "eth0.131", up)
		lab.Run(t, "ip", "link", "set", "switch", "down")
		eventually(t, "no carrier", func() bool { return strings.Contains(shell(t, "ip -o link show dev eth0"), "NO-CARRIER") })
		lab.Run(t, "ip", "link", "set", "switch", "up")
		eventually(t, "eth0.131 after the carrier came back", up)
		stop()
		require.Empty(t, warnings.String())
	}
	untouched(t, events())
}

// untouched checks that nothing was ever missing on eth0, and is not now.
func untouched(t *testing.T, seen string) {
	t.Helper()
	seen = of("eth0", seen)
	require.Contains(t, seen, "NO-CARRIER", "ip monitor saw nothing")
	require.NotContains(t, seen, "Deleted")
	for line := range strings.Lines(seen) {
		if strings.Contains(line, " mtu ") {
			require.Regexp(t, "[<,]UP[,>]", line)
		}
	}
	require.Contains(t, shell(t, "ip -o address show dev eth0"), "inet 10.46.189.2/30")
	require.Contains(t, shell(t, "ip route show default"), "via 10.46.189.1 dev eth0")
}

// haveAll waits until the kernel has every interface of the host as it is
// planned, with its addresses.
func haveAll(t *testing.T, host vlan.Host) {
	t.Helper()
	for _, i := range host.Interfaces {
		eventually(t, i.IfName(), func() bool {
			link := shell(t, "ip -d -o link show dev "+i.IfName())
			addresses := shell(t, "ip -o address show -tentative dev "+i.IfName())
			for _, prefix := range i.Addresses {
				if !strings.Contains(addresses, prefix.String()) {
					return false
				}
			}
			return strings.Contains(link, i.IfName()+"@"+i.Parent+":") &&
				strings.Contains(link, "vlan protocol "+i.Protocol.String()+" id "+i.ID.String()+" ") &&
				(i.MTU == 0 || strings.Contains(link, fmt.Sprintf("mtu %d ", i.MTU)))
		})
	}
}

// TestNetworkdServer: each VLAN comes up with exactly its address.
func TestNetworkdServer(t *testing.T) {
	lab.Need(t, networkd, "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t) // its addresses are the administrator's own
	lab.Run(t, "mount", "-o", "remount,ro", "/sys")
	server := rack(8).Server
	server.Interfaces = append(server.Interfaces, odd...)
	warnings, stop := startNetworkd(t, server.Networkd())
	haveAll(t, server)
	require.Contains(t, shell(t, "ip route show default"), "via 10.46.189.1 dev eth0")
	require.Contains(t, shell(t, "ip route show default"), "via 192.0.2.1 dev storage")
	stop()
	require.Empty(t, warnings.String())

	warnings, stop = startNetworkd(t, []vlan.File{{Name: "10-x.network", Text: "[Match]\nName=eth0\n[Network]\nNoSuchKey=1\n"}})
	eventually(t, "a warning of a bad file", func() bool { return strings.Contains(warnings.String(), "NoSuchKey") })
	stop()
}

// odd are interfaces unlike the story's.
var odd = []vlan.Interface{
	{Parent: "eth0", ID: 200, Name: "storage", MTU: 1400, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")},
		Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::1/64"), netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("198.51.100.2/24"), netip.MustParsePrefix("2001:db8:2::1/64")}},
	{Parent: "eth0", ID: 201, Protocol: vlan.Dot1AD, MTU: 1300},
	{Parent: "eth0.201", ID: 10, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/24")}},
}
