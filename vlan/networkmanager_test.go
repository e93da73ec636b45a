//go:build linux

package vlan_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

// startNetworkManager starts it on the files, with a bus, and returns what it
// has logged of level warning or above.
func startNetworkManager(t *testing.T, files []vlan.File) *events {
	t.Helper()
	lab.Run(t, "mount", "-o", "remount,ro", "/sys") // or it waits for udev
	for _, dir := range []string{"/etc/NetworkManager", "/var/lib/NetworkManager"} {
		lab.Run(t, "mount", "-t", "tmpfs", "none", dir)
	}
	require.NoError(t, os.MkdirAll("/run/dbus", 0o755))
	// The switch's end of the wire is on the same machine, but not its business.
	writeFiles(t, "/etc/NetworkManager", append(files, vlan.File{Name: "NetworkManager.conf", Text: "[main]\nplugins=keyfile\nno-auto-default=*\n"}))
	bus := exec.CommandContext(t.Context(), lab.Program(t, "dbus-daemon"), "--system", "--nofork", "--nopidfile")
	require.NoError(t, bus.Start())
	eventually(t, "bus", func() bool { _, err := os.Stat("/run/dbus/system_bus_socket"); return err == nil })
	warnings := &events{}
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "NetworkManager"), "--no-daemon", "--log-level=WARN")
	cmd.Stdout, cmd.Stderr = warnings, warnings
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_, _ = cmd.Process.Kill(), bus.Process.Kill()
		_, _ = cmd.Process.Wait()
		_, _ = bus.Process.Wait()
	})
	return warnings
}

// TestNetworkManagerPi: the VLAN comes up on an unmanaged parent, whose own
// address and route are never gone.
func TestNetworkManagerPi(t *testing.T) {
	lab.Need(t, "NetworkManager", "nmcli", "dbus-daemon", "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	events := monitor(t, "address", "route", "link")
	warnings := startNetworkManager(t, computer(0).NetworkManager())
	up := func() bool {
		return strings.Contains(shell(t, "ip -6 -o address show dev eth0.131 scope global -tentative"), "2a00:1098:0:84:1000:1:0:2/64") &&
			strings.Contains(shell(t, "ip -6 route show default"), "via 2a00:1098:0:84::1 dev eth0.131")
	}
	eventually(t, "eth0.131", up)
	require.Contains(t, shell(t, "nmcli -t -f DEVICE,STATE device"), "eth0:unmanaged\n")
	lab.Run(t, "ip", "link", "set", "switch", "down")
	eventually(t, "no carrier", func() bool { return strings.Contains(shell(t, "ip -o link show dev eth0"), "NO-CARRIER") })
	lab.Run(t, "ip", "link", "set", "switch", "up")
	eventually(t, "eth0.131 after the carrier came back", up)
	require.Contains(t, shell(t, "nmcli -t -f DEVICE,STATE device"), "eth0:unmanaged\n")
	require.Empty(t, warnings.String())
	untouched(t, events())
}

// TestNetworkManagerServer: each VLAN comes up with exactly its addresses.
func TestNetworkManagerServer(t *testing.T) {
	lab.Need(t, "NetworkManager", "dbus-daemon", "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	server := rack(8).Server
	server.Interfaces = append(server.Interfaces, odd...)
	warnings := startNetworkManager(t, server.NetworkManager())
	haveAll(t, server)
	require.Empty(t, warnings.String())
}
