package rootfs

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mapTree is a tree of regular files with mode 0644.
type mapTree map[string]string

func (m mapTree) read(p string) (present, error) {
	data, ok := m[p]
	return present{exists: ok, regular: ok, mode: 0o644, data: []byte(data)}, nil
}

func (m mapTree) list(dir string) ([]string, error) {
	var names []string
	for p := range m {
		if path.Dir(p) == dir {
			names = append(names, path.Base(p))
		}
	}
	return names, nil
}

// after returns the tree with the edits made.
func (m mapTree) after(edits []Edit) mapTree {
	out := mapTree{}
	for p, data := range m {
		out[p] = data
	}
	for _, e := range edits {
		if out[e.Path] = string(e.data); e.remove {
			delete(out, e.Path)
		}
	}
	return out
}

// card is a tree as an image for an SD card has it.
var card = mapTree{
	"etc/hostname":                   "raspberrypi\n",
	"etc/hosts":                      "127.0.0.1\tlocalhost\n127.0.1.1\traspberrypi\n::1\tlocalhost\n",
	"etc/machine-id":                 "0123456789abcdef0123456789abcdef\n",
	"var/lib/dbus/machine-id":        "0123456789abcdef0123456789abcdef\n",
	"etc/ssh/ssh_host_ed25519_key":   "secret",
	"etc/ssh/ssh_host_rsa_key.pub":   "public",
	"etc/ssh/sshd_config":            "Port 22\n",
	"usr/sbin/sshd":                  "ELF",
	"etc/fstab":                      "proc /proc proc defaults 0 0\nPARTUUID=1-01 /boot/firmware vfat defaults 0 2\nPARTUUID=1-02 / ext4 defaults 0 1\n# kept\nUUID=2 /srv ext4 nofail 0 2\n/dev/mmcblk0p3 /data ext4 defaults 0 0\n",
	"boot/firmware/cmdline.txt":      "console=tty1 root=PARTUUID=1-02 rootfstype=ext4 fsck.repair=yes init=/usr/lib/raspi-config/init_resize.sh opt=\"a b\" rootwait\n",
	"etc/resolv.conf":                "nameserver 192.0.2.1\n",
	"etc/munin/munin-node.conf":      "allow ^127\\.0\\.0\\.1$\n",
	"etc/network/interfaces.d/other": "",
}

func TestEdits(t *testing.T) {
	id := Identity{Hostname: "pi1.example.org", Files: []File{
		{Path: "/etc/resolv.conf", Data: []byte("nameserver 2001:db8::53\n")},
		{Path: "etc/NetworkManager/system-connections/eth0.131", Data: []byte("[connection]\n"), Mode: 0o600},
		{Path: "etc/munin/munin-node.conf", Data: []byte(card["etc/munin/munin-node.conf"])},
	}}
	edits, err := id.edits(card)
	require.NoError(t, err)
	var lines []string
	for _, e := range edits {
		lines = append(lines, e.String())
	}
	require.Equal(t, []string{
		"boot/firmware/cmdline.txt: without what breaks an NFS root",
		"etc/NetworkManager/system-connections/eth0.131: the Pi's own",
		"etc/fstab: without the SD card",
		"etc/hostname: hostname pi1",
		"etc/hosts: 127.0.1.1 is pi1.example.org",
		"etc/machine-id: empty, made at boot",
		"etc/resolv.conf: the Pi's own",
		"etc/ssh/ssh_host_ed25519_key: made at first boot",
		"etc/ssh/ssh_host_rsa_key.pub: made at first boot",
		"etc/systemd/system/ssh.service.d/host-keys.conf: makes SSH host keys at first boot",
		"var/lib/dbus/machine-id: a copy of another machine's id",
	}, lines)

	out := card.after(edits)
	require.Equal(t, "pi1\n", out["etc/hostname"])
	require.Equal(t, "127.0.0.1\tlocalhost\n127.0.1.1\tpi1.example.org pi1\n::1\tlocalhost\n", out["etc/hosts"])
	require.Empty(t, out["etc/machine-id"])
	require.Equal(t, "proc /proc proc defaults 0 0\n# kept\nUUID=2 /srv ext4 nofail 0 2\n", out["etc/fstab"])
	require.Equal(t, "console=tty1 opt=\"a b\" rootwait\n", out["boot/firmware/cmdline.txt"])
	require.Equal(t, "Port 22\n", out["etc/ssh/sshd_config"])

	for _, e := range edits {
		if strings.HasPrefix(e.Path, "etc/NetworkManager") {
			require.EqualValues(t, 0o600, e.mode)
		}
	}
	delete(out, "etc/NetworkManager/system-connections/eth0.131") // mapTree knows no modes
	id.Files = id.Files[:1]
	again, err := id.edits(out)
	require.NoError(t, err)
	require.Empty(t, again, "idempotent")
}

func TestOwnFilesComeFirst(t *testing.T) {
	own := Identity{Hostname: "pi1", Files: []File{
		{Path: "etc/hosts", Data: []byte(card["etc/hosts"])},
		{Path: "boot/firmware/cmdline.txt", Data: []byte("root=/dev/nfs init=/mine\n")},
	}}
	edits, err := own.edits(card)
	require.NoError(t, err)
	out := card.after(edits)
	require.Equal(t, card["etc/hosts"], out["etc/hosts"])
	require.Equal(t, "root=/dev/nfs init=/mine\n", out["boot/firmware/cmdline.txt"])
}

func TestEmptyIdentityEditsAnEmptyTree(t *testing.T) {
	edits, err := Identity{}.edits(mapTree{})
	require.NoError(t, err)
	require.Empty(t, edits)
}

func TestIdentityProblemsComeTogether(t *testing.T) {
	_, err := Identity{Hostname: "pi_1.-x", Files: []File{{Path: "/"}, {Path: "../etc/passwd"}, {Path: "a"}, {Path: "/a"}}}.edits(card)
	for _, want := range []string{`"pi_1"`, `"-x"`, `"/"`, `"../etc/passwd"`, `"/a": named twice`} {
		require.ErrorContains(t, err, want)
	}
}

func TestHosts(t *testing.T) {
	for _, test := range []struct{ name, old, want string }{
		{"none", "", "127.0.0.1\tlocalhost\n127.0.1.1\tpi1\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
		{"appended", "127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\tpi1\n"},
		{"replaced once", "127.0.1.1 a\n#127.0.1.1 b\n", "127.0.1.1\tpi1\n#127.0.1.1 b\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := hosts(test.old, "pi1")
			require.Equal(t, test.want, got)
			require.Equal(t, got, hosts(got, "pi1"))
		})
	}
}

func FuzzEdits(f *testing.F) {
	f.Add(card["etc/fstab"], card["etc/hosts"], card["boot/firmware/cmdline.txt"])
	f.Add("\x00", "127.0.1.1", `root="a b`)
	f.Fuzz(func(t *testing.T, fstab, hosts, cmdline string) {
		tree := mapTree{"etc/fstab": fstab, "etc/hosts": hosts, "boot/cmdline.txt": cmdline}
		edits, err := Identity{Hostname: "pi1"}.edits(tree)
		require.NoError(t, err)
		again, err := Identity{Hostname: "pi1"}.edits(tree.after(edits))
		require.NoError(t, err)
		require.Empty(t, again, "idempotent")
	})
}
