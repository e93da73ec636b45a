package rootfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// past is a time with nanoseconds that no file has by accident.
var past = time.Unix(1459500000, 123456789)

func write(t testing.TB, p, data string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, []byte(data), 0o644))
}

func read(t testing.TB, p string) string {
	t.Helper()
	data, err := os.ReadFile(p)
	require.NoError(t, err)
	return string(data)
}

// oddTree makes a tree with one of everything, as far as the user may.
func oddTree(t testing.TB, dir string) {
	t.Helper()
	in := func(p string) string { return filepath.Join(dir, p) }
	write(t, in("etc/hostname"), "golden\n")
	write(t, in("etc/empty"), "")
	write(t, in("usr/bin/tool"), strings.Repeat("tool", 300_000))
	write(t, in("usr/bin/new\nline"), "a name of two lines")
	write(t, in("usr/share/\xff\xfe"), "no UTF-8")
	require.NoError(t, os.Link(in("usr/bin/tool"), in("usr/bin/alias")))
	require.NoError(t, os.Link(in("usr/bin/tool"), in("etc/alias")))
	require.NoError(t, os.Symlink("/etc/passwd", in("etc/absolute")))
	require.NoError(t, os.Symlink("../../../..", in("etc/outside")))
	require.NoError(t, os.Symlink("nowhere", in("etc/dangling")))
	require.NoError(t, syscall.Mkfifo(in("run.fifo"), 0o620))
	require.NoError(t, os.Mkdir(in("sticky"), 0o700))
	require.NoError(t, os.Chmod(in("sticky"), 0o777|fs.ModeSticky))
	require.NoError(t, os.Chmod(in("usr/bin/tool"), 0o755|fs.ModeSetuid))
	sparse, err := os.Create(in("usr/sparse"))
	require.NoError(t, err)
	_, err = sparse.WriteAt([]byte("in the middle"), 5<<20)
	require.NoError(t, err)
	require.NoError(t, sparse.Truncate(8<<20))
	require.NoError(t, sparse.Close())
	setXattr(t, in("etc/empty"), "user.long", bytes.Repeat([]byte("x"), 300))
	setXattr(t, in("usr"), "user.dir", nil)
	if os.Geteuid() == 0 {
		require.NoError(t, syscall.Mknod(in("null"), syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		require.NoError(t, os.Lchown(in("etc/dangling"), 1234, 5678))
		require.NoError(t, os.Chown(in("usr/bin/tool"), 33, 44))
		require.NoError(t, os.Chmod(in("usr/bin/tool"), 0o755|fs.ModeSetuid|fs.ModeSetgid))
		capability := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // cap_net_raw=ep
		setXattr(t, in("usr/bin/new\nline"), "security.capability", capability)
	}
	age(t, dir)
}

func setXattr(t testing.TB, p, name string, value []byte) {
	t.Helper()
	if err := unix.Lsetxattr(p, name, value, 0); err != unix.EOPNOTSUPP {
		require.NoError(t, err)
	}
}

// age gives everything in a tree a time in the past.
func age(t testing.TB, dir string) {
	t.Helper()
	var all []string
	require.NoError(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		all = append(all, p)
		return err
	}))
	at := []unix.Timespec{unix.NsecToTimespec(past.UnixNano()), unix.NsecToTimespec(past.UnixNano())}
	for _, p := range slices.Backward(all) {
		require.NoError(t, unix.UtimesNanoAt(unix.AT_FDCWD, p, at, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// fingerprint describes every entry of a tree in full, hard links by the first
// of their names.
func fingerprint(t testing.TB, dir string) map[string]string {
	t.Helper()
	out, firsts := map[string]string{}, map[uint64]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(p, &st); err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		first, ok := firsts[st.Ino]
		if !ok {
			first = rel
			firsts[st.Ino] = rel
		}
		xattrs, err := xattrsOf(p, make([]byte, 4096))
		if err != nil {
			return err
		}
		size := st.Size
		if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
			size = 0
		}
		out[rel] = fmt.Sprintf("%o %d:%d %d rdev %d at %d.%09d as %q %q %s", st.Mode, st.Uid, st.Gid, size, st.Rdev,
			st.Mtim.Sec, st.Mtim.Nsec, first, xattrs, contentOf(t, p, st.Mode))
		return nil
	}))
	return out
}

func contentOf(t testing.TB, p string, mode uint32) string {
	t.Helper()
	switch mode & syscall.S_IFMT {
	case syscall.S_IFLNK:
		to, err := os.Readlink(p)
		require.NoError(t, err)
		return to
	case syscall.S_IFREG:
		return fmt.Sprintf("%x", sha256.Sum256([]byte(read(t, p))))
	}
	return ""
}

// memoryDir returns a directory that needs no disk, where there is one: a sync
// of a disk waits for everything that others write there.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rootfs")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// newRoots returns paths for roots beside each other, and a golden tree.
func newRoots(t testing.TB, n int) (golden string, roots []Root) {
	t.Helper()
	dir := memoryDir(t)
	golden = filepath.Join(dir, "golden")
	require.NoError(t, os.Mkdir(golden, 0o755))
	oddTree(t, golden)
	for i := range n {
		roots = append(roots, Root{Dir: filepath.Join(dir, "export", fmt.Sprintf("pi%d", i+1))})
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "export"), 0o755))
	return golden, roots
}

// cloned is newRoots with the roots made.
func cloned(t testing.TB, n int) (golden string, roots []Root) {
	t.Helper()
	golden, roots = newRoots(t, n)
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	return golden, roots
}

// bringUp plans and applies, and returns what the plan was.
func bringUp(t testing.TB, golden string, roots ...Root) []Plan {
	t.Helper()
	plans, err := PlanSync(t.Context(), golden, roots)
	require.NoError(t, err)
	require.NoError(t, Apply(t.Context(), plans, nil))
	return plans
}

func lines(plan Plan) []string {
	var out []string
	for _, c := range plan.Changes {
		out = append(out, c.String())
	}
	return out
}

// sideOf is where the package keeps what belongs to a root.
func sideOf(root Root) string {
	return filepath.Join(filepath.Dir(root.Dir), sideDir, filepath.Base(root.Dir))
}

func TestFindAndWalk(t *testing.T) {
	golden, _ := newRoots(t, 0)
	base, err := openSource(golden)
	require.NoError(t, err)
	defer unix.Close(base)
	tree, err := scan(context.Background(), base, true, nil)
	require.NoError(t, err)
	var paths []string
	tree.walk("", func(p string, n *node) {
		paths = append(paths, p)
		require.Same(t, n, tree.find(p), p)
	})
	require.True(t, slices.IsSortedFunc(paths, comparePaths), paths)
	require.Nil(t, tree.find("etc/none"))
	require.Equal(t, "etc/alias", tree.find("usr/bin/tool").first)
	require.Len(t, paths, len(fingerprint(t, golden)))
}
