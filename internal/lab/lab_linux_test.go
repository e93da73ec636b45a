package lab

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequired(t *testing.T) {
	require.False(t, required("", "nft"))
	require.False(t, required("uml,netns", "nft"))
	require.True(t, required("uml,nft", "nft"))
	require.True(t, required("all", "nft"))
}

func TestLacks(t *testing.T) {
	require.Empty(t, lacks("go"))
	require.Equal(t, "no-such-program", lacks("no-such-program"))
}

func TestIsolated(t *testing.T) {
	if !Isolated(t) {
		return
	}
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	require.Len(t, interfaces, 1, "only lo")
	require.NotZero(t, interfaces[0].Flags&net.FlagUp)
	Run(t, "ip", "netns", "add", "other")
	require.Equal(t, 1, os.Getpid())
}

func TestInGuest(t *testing.T) {
	if !InGuest(t, "8021q", "veth", "bridge") {
		return
	}
	Run(t, "ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
	Run(t, "ip", "link", "add", "link", "veth0", "name", "veth0.10", "type", "vlan", "id", "10")
	require.Contains(t, Run(t, "ip", "-d", "link", "show", "veth0.10"), "802.1Q id 10")
	Run(t, "ip", "link", "add", "br0", "type", "bridge", "vlan_filtering", "1")
	require.True(t, strings.HasPrefix(t.TempDir(), "/run/"))
}

func TestKernel(t *testing.T) {
	console, err := Boot(t.Context(), Kernel(t), "mem=64M", "rootfstype=hostfs", "ro", "init=/bin/busybox", "panic=-1", "ip=127.0.0.1:::255.0.0.0::lo:off")
	require.NoError(t, err, console)
	require.Contains(t, console, "IP-Config")
}
