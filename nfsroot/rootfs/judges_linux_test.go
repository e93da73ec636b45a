package rootfs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
)

// minbase returns a Debian root that must not be changed.
func minbase(t *testing.T) string {
	t.Helper()
	lab.Need(t, "root", "debootstrap", "flock")
	return strings.TrimSpace(lab.Run(t, filepath.Join("testdata", "minbase")))
}

// differences returns what rsync would do to make to like from.
func differences(t *testing.T, from, to string) []string {
	t.Helper()
	out := lab.Run(t, "rsync", "-aHAXn", "--delete", "--itemize-changes", from+"/", to+"/")
	return strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
}

func TestDebian(t *testing.T) {
	lab.Need(t, "rsync", "getcap", "setcap", "setfacl")
	base, dir := minbase(t), t.TempDir()
	golden := filepath.Join(dir, "golden")
	lab.Run(t, "cp", "-a", base, golden)
	lab.Run(t, "setcap", "cap_net_raw+ep", filepath.Join(golden, "usr/bin/tar"))
	lab.Run(t, "setfacl", "-m", "u:33:r", filepath.Join(golden, "etc/fstab"))
	lab.Run(t, "setfacl", "-d", "-m", "g:33:rwx", filepath.Join(golden, "srv"))
	write(t, filepath.Join(golden, "usr/sbin/sshd"), "ELF")
	write(t, filepath.Join(golden, "etc/ssh/ssh_host_rsa_key"), "secret")
	write(t, filepath.Join(golden, "etc/machine-id"), "0123456789abcdef0123456789abcdef\n")
	write(t, filepath.Join(golden, "etc/hosts"), "127.0.0.1\tlocalhost\n")

	var roots []Root
	for i := 1; i <= 8; i++ {
		roots = append(roots, Root{Dir: filepath.Join(dir, fmt.Sprint("pi", i))})
	}
	roots[0].Identity = Identity{Hostname: "pi1", Files: []File{
		{Path: "etc/network/interfaces.d/eth0.131", Data: []byte("auto eth0.131\n")},
		{Path: "etc/resolv.conf", Data: []byte("nameserver 2001:db8::53\n")},
	}}
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	personal := []string{
		"*deleting   etc/systemd/system/ssh.service.d/host-keys.conf",
		"*deleting   etc/systemd/system/ssh.service.d/",
		"*deleting   etc/network/interfaces.d/eth0.131",
		"*deleting   etc/network/interfaces.d/",
		"*deleting   etc/network/",
		"etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf", "etc/ssh/ssh_host_rsa_key",
	}
	var got []string
	for _, line := range differences(t, golden, roots[0].Dir) {
		if what, p, _ := strings.Cut(line, " "); what[0] == '>' {
			line = p
		}
		got = append(got, line)
	}
	require.ElementsMatch(t, personal, got, "the personalised files and nothing else")
	for _, root := range roots[1:] {
		require.ElementsMatch(t, []string{"*deleting   etc/systemd/system/ssh.service.d/host-keys.conf", "*deleting   etc/systemd/system/ssh.service.d/",
			">f.st...... etc/machine-id", ">f+++++++++ etc/ssh/ssh_host_rsa_key"}, differences(t, golden, root.Dir))
	}
	for _, list := range [][]string{
		{"getcap", "-r", "."},
		{"find", ".", "-xdev", "-perm", "/7000", "-printf", "%p %m %u %g\n"},
		{"find", ".", "-xdev", "-type", "f", "-links", "+1", "-printf", "%p %n\n"},
		{"getfacl", "-R", "-n", "etc/fstab", "srv"},
	} {
		want := inDir(t, golden, list)
		require.NotEmpty(t, want)
		require.Equal(t, want, inDir(t, roots[0].Dir, list))
	}

	// After a sync of everything, rsync has nothing left to do.
	write(t, filepath.Join(golden, "usr/bin/perl"), "changed")
	require.NoError(t, os.RemoveAll(filepath.Join(golden, "usr/share/doc")))
	write(t, filepath.Join(golden, "usr/share/new/file"), "new")
	before := differences(t, golden, roots[0].Dir)
	bringUp(t, golden, roots...)
	require.Greater(t, len(before), len(personal)+100)
	require.ElementsMatch(t, personal[5:], skipDeleting(differences(t, golden, roots[0].Dir)))
}

func skipDeleting(lines []string) []string {
	var out []string
	for _, line := range lines {
		if what, p, _ := strings.Cut(line, " "); what[0] != '*' {
			out = append(out, p)
		}
	}
	return out
}

// inDir returns the sorted output of a command in a directory.
func inDir(t *testing.T, dir string, command []string) string {
	t.Helper()
	return lab.Run(t, "sh", append([]string{"-c", `cd "$0" && "$@" | sort`, dir}, command...)...)
}

// A Pi boots from a cloned root, runs a program of it and reads its own name.
func TestPiBoots(t *testing.T) {
	lab.Need(t, "root", "netns")
	kernel, base := lab.Kernel(t), minbase(t)
	if !lab.Isolated(t) {
		return
	}
	golden, root := filepath.Join(t.TempDir(), "golden"), Root{Dir: filepath.Join(t.TempDir(), "pi7"), Identity: Identity{Hostname: "pi7"}}
	lab.Run(t, "cp", "-a", base, golden)
	write(t, filepath.Join(golden, "init"), "#!/bin/bash\nread name </etc/hostname\necho \"$(cat /etc/debian_version) calls itself $name\"\nperl -e 'print \"perl runs\\n\"'\nmount -t proc proc /proc\necho o >/proc/sysrq-trigger\nbusybox poweroff -f\nsleep 5\n")
	require.NoError(t, os.Chmod(filepath.Join(golden, "init"), 0o755))
	lab.Run(t, "cp", lab.Program(t, "busybox"), filepath.Join(golden, "bin/busybox"))
	require.NoError(t, Clone(t.Context(), golden, []Root{root}, nil))

	lab.Run(t, "ip", "tuntap", "add", "tap0", "mode", "tap")
	lab.Run(t, "ip", "address", "add", "10.46.189.1/30", "dev", "tap0")
	lab.Run(t, "ip", "link", "set", "tap0", "up")
	l, err := net.Listen("tcp", "10.46.189.1:0")
	require.NoError(t, err)
	lab.ServeNFS(t, l, root.Dir)
	port := l.Addr().(*net.TCPAddr).Port
	console, err := lab.Boot(t.Context(), kernel, "mem=256M", "vec0:transport=tap,ifname=tap0,depth=64,gro=1",
		"root=/dev/nfs", "rootfstype=nfs", "ip=10.46.189.2::10.46.189.1:255.255.255.252::vec0:off",
		fmt.Sprintf("nfsroot=10.46.189.1:/,vers=3,tcp,port=%d,mountport=%d,nolock", port, port), "ro", "rootwait", "init=/init", "panic=-1")
	require.NoError(t, err, console)
	require.Contains(t, console, "calls itself pi7", console)
	require.Contains(t, console, "perl runs", console)
}

// Out of space, everything stays as it was.
func TestDiskFull(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	golden := filepath.Join(t.TempDir(), "golden")
	require.NoError(t, os.Mkdir(golden, 0o755))
	oddTree(t, golden)
	disk := func(size string) Root {
		dir := t.TempDir()
		require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, size))
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		return Root{Dir: filepath.Join(dir, "root")}
	}
	small, large := disk("size=1m"), disk("size=64m")
	err := Clone(t.Context(), golden, []Root{small, large}, nil)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, small.Dir)
	require.NotContains(t, err.Error(), large.Dir)
	require.NoDirExists(t, small.Dir)
	require.NoDirExists(t, filepath.Join(sideOf(small), stageName))
	require.Equal(t, fingerprint(t, golden), fingerprint(t, large.Dir), "the other root is made")

	for _, limit := range []string{"size=2000k", "size=64m,nr_inodes=40"} {
		root := disk(limit)
		require.NoError(t, Clone(t.Context(), golden, []Root{root}, nil))
		want := fingerprint(t, root.Dir)
		require.ErrorIs(t, Rebuild(t.Context(), golden, root, Machine{}, nil), syscall.ENOSPC, limit)
		require.Equal(t, want, fingerprint(t, root.Dir))
		next := filepath.Join(t.TempDir(), "next")
		lab.Run(t, "cp", "-a", golden, next)
		for i := range 60 {
			write(t, filepath.Join(next, "etc/hostname"), strings.Repeat("x", 1_000_000))
			write(t, filepath.Join(next, fmt.Sprint("new/", i)), strings.Repeat("x", 20_000))
		}
		plans, err := PlanSync(t.Context(), next, []Root{root})
		require.NoError(t, err)
		require.ErrorIs(t, Apply(t.Context(), plans, nil), syscall.ENOSPC, limit)
		require.Equal(t, want, fingerprint(t, root.Dir))
		require.NoDirExists(t, filepath.Join(sideOf(root), stageName))
		bringUp(t, golden, root)
	}

	root := disk("size=64m")
	require.ErrorIs(t, Clone(t.Context(), golden, []Root{{Dir: filepath.Dir(root.Dir)}}, nil), ErrMountPoint)
}
