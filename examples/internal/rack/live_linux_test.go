package rack

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// mine gives the test its own copy of a directory of the machine, or an empty one.
func mine(t *testing.T, dir string, empty bool) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.Mkdir(copied, 0o755))
	if !empty {
		lab.Run(t, "cp", "-a", dir+"/.", copied)
	}
	lab.Run(t, "mount", "--bind", copied, dir)
}

// The fileserver's own programs take every file that install puts there, on a
// machine whose /etc, state and network are the test's.
func TestInstallOnAServer(t *testing.T) {
	lab.Need(t, "exportfs", "nft", "sysctl", "dnsmasq", "ifquery", "ifup")
	if !lab.Isolated(t) {
		return
	}
	mine(t, "/etc", false)
	mine(t, "/srv", true)
	mine(t, "/var/lib", true)
	require.NoError(t, os.MkdirAll("/var/lib/nfs/sm", 0o755))
	require.NoError(t, os.WriteFile("/var/lib/nfs/etab", nil, 0o644))
	lab.Run(t, "mount", "-t", "tmpfs", "mnt", "/mnt")

	// This kernel may have no VLANs: interfaces of the same names do.
	text := strings.Replace(string(Story), "export: /export/{client}", "export: /mnt/{client}", 1)
	r, err := Parse("rack.yaml", []byte(text))
	require.NoError(t, err)
	for i, pi := range r.Pis {
		name := r.VLANs.Server.Interfaces[i].IfName()
		lab.Run(t, "ip", "tuntap", "add", name, "mode", "tap")
		lab.Run(t, "ip", "addr", "add", fmt.Sprintf("%v/30", pi.Link.Server), "dev", name)
		require.NoError(t, os.MkdirAll(pi.Export.Path, 0o755))
		if i > 0 {
			lab.Run(t, "mount", "-t", "tmpfs", "root", pi.Export.Path)
		}
	}
	in := install(t, r, "")
	require.Len(t, in.Commands, 3)
	require.NoError(t, in.Apply(t.Context(), silent))

	require.Contains(t, lab.Run(t, "nft", "list", "tables"), "berryrack")
	require.Equal(t, "1\n", lab.Run(t, "cat", "/proc/sys/net/ipv4/conf/eth0.10/rp_filter"))
	require.Equal(t, "1\n", lab.Run(t, "cat", "/proc/sys/net/ipv6/conf/eth0.17/disable_ipv6"))
	require.Contains(t, lab.Run(t, "cat", "/var/lib/nfs/etab"), "/mnt/10.46.189.30\t10.46.189.30(rw,sync")
	lab.Run(t, "dnsmasq", "--test", "--conf-file=/etc/dnsmasq.d/berryrack.conf")
	require.Contains(t, lab.Run(t, "ifquery", "-i", "/etc/network/interfaces.d/berryrack", "eth0.17"), "address: 10.46.189.29")
	lab.Run(t, "ifup", "--no-act", "-i", "/etc/network/interfaces.d/berryrack", "-a")

	require.Empty(t, install(t, r, "").Steps(), "the second time nothing")
	problems, err := r.Check(t.Context(), "", stateDir)
	require.NoError(t, err)
	for _, p := range problems {
		require.NotContains(t, p, "/mnt", "all roots have a file system of their own")
		require.NotContains(t, p, "planned")
	}

	// A file that nft refuses is taken back, and the old rules stay.
	for i, f := range in.tree {
		if strings.HasSuffix(f.Path, ".nft") {
			in.tree[i].Data = "table inet berryrack { rubbish }\n"
			in.Files = []Step{{"changed", in.tree[i], "/"}}
		}
	}
	require.ErrorContains(t, in.Apply(t.Context(), silent), "nft -f")
	require.Contains(t, lab.Run(t, "nft", "list", "table", "inet", "berryrack"), "10.46.189.30")
	require.NotContains(t, lab.Run(t, "cat", "/etc/nftables.d/berryrack.nft"), "rubbish")
}

// The command line boots: a kernel that is given the line that pirack wrote
// mounts its root from the server that the line names, and runs /init there.
func TestBoot(t *testing.T) {
	kernel := lab.Kernel(t)
	if !lab.Isolated(t) {
		return
	}
	lab.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	lab.Run(t, "ip", "address", "add", "10.46.189.1/30", "dev", "tap0")
	lab.Run(t, "ip", "link", "set", "tap0", "up")
	exports := t.TempDir()
	root := lab.Root(t, `echo "booted as $(busybox hostname) from $(busybox grep -o '^[^ ]* / nfs' /proc/mounts)"; busybox ip -4 address show vec0; busybox ip route`)
	require.NoError(t, os.Rename(root, filepath.Join(exports, "10.46.189.2")))
	l, err := net.Listen("tcp", "10.46.189.1:0")
	require.NoError(t, err)
	lab.ServeNFS(t, l, "/")
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)

	// The machine's interface is no eth0, and the server has a port of its own.
	text := strings.NewReplacer(
		"device: eth0", "device: vec0",
		"nfs_options: []", fmt.Sprintf("nfs_options: [vers=3, tcp, port=%s, mountport=%s]", port, port),
		"export: /export/{client}", "export: "+exports+"/{client}",
		"before: dwc_otg.lpm_enable=0 console=ttyAMA0,115200 console=tty1", "before: mem=64M vec0:transport=tap,ifname=tap0,depth=64,gro=1 panic=-1",
		"after: elevator=deadline fsck.repair=yes rootwait", "after: ro rootwait init=/init",
	).Replace(string(Story))
	r, err := Parse("rack.yaml", []byte(text))
	require.NoError(t, err)
	tree, err := r.Tree()
	require.NoError(t, err)
	line := file(t, tree, "pis/pi1/cmdline.txt")

	console, err := lab.Boot(t.Context(), kernel, strings.Fields(line)...)
	require.NoError(t, err, console)
	require.Contains(t, console, "booted as 10.46.189.2 from 10.46.189.1:"+exports+"/10.46.189.2 / nfs")
	require.Contains(t, console, "inet 10.46.189.2/30 brd 10.46.189.3")
	require.Contains(t, console, "default via 10.46.189.1 dev vec0")
}
