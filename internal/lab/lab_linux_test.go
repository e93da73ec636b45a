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
	kernel := Kernel(t)
	if !Isolated(t) {
		return
	}
	Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	Run(t, "ip", "address", "add", "10.46.189.1/30", "dev", "tap0")
	Run(t, "ip", "link", "set", "tap0", "up")
	l, err := net.Listen("tcp", "10.46.189.1:0")
	require.NoError(t, err)
	ServeNFS(t, l, Root(t, "busybox echo root: $(busybox grep -o 'nfs.*addr=[^ ]*' /proc/mounts)"))
	_, port, _ := net.SplitHostPort(l.Addr().String())

	console, err := Boot(t.Context(), kernel, "mem=64M", "vec0:transport=tap,ifname=tap0,depth=64,gro=1",
		"root=/dev/nfs", "rootfstype=nfs", "ip=10.46.189.2::10.46.189.1:255.255.255.252::vec0:off",
		"nfsroot=10.46.189.1:/,vers=3,tcp,nolock,port="+port+",mountport="+port, "ro", "init=/init", "panic=-1")
	require.NoError(t, err, console)
	require.Contains(t, console, "root: nfs")
	require.Contains(t, console, "addr=10.46.189.1")
}
