package rootfs

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSync(t *testing.T) {
	golden, roots := cloned(t, 2)
	in := func(p string) string { return filepath.Join(golden, p) }
	write(t, in("etc/hostname"), "changed\n")
	write(t, in("usr/lib/new/deep/file"), "new")
	require.NoError(t, os.Link(in("usr/bin/tool"), in("usr/lib/new/tool")))
	require.NoError(t, os.RemoveAll(in("usr/share")))
	require.NoError(t, os.Chmod(in("etc/empty"), 0o600))
	require.NoError(t, os.Remove(in("etc/dangling")))
	require.NoError(t, os.Mkdir(in("etc/dangling"), 0o755))
	write(t, filepath.Join(roots[1].Dir, "etc/extra"), "deleted")

	plans := bringUp(t, golden, roots...)
	var changed []string
	for _, c := range plans[0].Changes {
		if c.Kind != Metadata || !c.node.isDir() {
			changed = append(changed, c.String())
		}
	}
	require.Equal(t, []string{"replace etc/dangling", "metadata etc/empty", "replace etc/hostname",
		"new usr/lib (5 files, 3 bytes)", "delete usr/share (2 files, 8 bytes)"}, changed)
	counts := plans[0].Counts()
	counts.Metadata = 0
	require.Equal(t, Counts{New: 5, Replaced: 2, Deleted: 2, Bytes: 11}, counts)
	require.Contains(t, lines(plans[1]), "delete etc/extra")

	for _, root := range roots {
		require.Equal(t, fingerprint(t, golden), fingerprint(t, root.Dir))
		require.Empty(t, lines(bringUp(t, golden, root)[0]), "the second time")
	}
}

func TestSyncKeepsThePisOwn(t *testing.T) {
	golden, roots := newRoots(t, 1)
	write(t, filepath.Join(golden, "etc/machine-id"), "golden\n")
	write(t, filepath.Join(golden, "home/pi/.profile"), "golden")
	write(t, filepath.Join(golden, "etc/ssh/ssh_host_rsa_key"), "golden")
	roots[0].Keep, roots[0].Identity = []string{"/srv/own/data"}, Identity{Hostname: "pi1"}
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	own := map[string]string{
		"etc/machine-id": "pi\n", "home/pi/.profile": "pi", "home/other/file": "pi", "etc/ssh/ssh_host_rsa_key": "pi",
		"var/log/syslog": "pi", "srv/own/data/file": "pi",
	}
	for p, data := range own {
		write(t, filepath.Join(roots[0].Dir, p), data)
	}
	write(t, filepath.Join(roots[0].Dir, "srv/own/other"), "not kept")
	write(t, filepath.Join(roots[0].Dir, "etc/hostname"), "broken\n")
	bringUp(t, golden, roots...)
	for p, data := range own {
		require.Equal(t, data, read(t, filepath.Join(roots[0].Dir, p)), p)
	}
	require.NoFileExists(t, filepath.Join(roots[0].Dir, "srv/own/other"))
	require.Equal(t, "pi1\n", read(t, filepath.Join(roots[0].Dir, "etc/hostname")))
	require.Empty(t, lines(bringUp(t, golden, roots...)[0]))
}

// What a Pi holds open has a name until the Pi has booted.
func TestReplacedFilesStayLinked(t *testing.T) {
	golden, roots := cloned(t, 1)
	nlink := func(f *os.File) int {
		info, err := f.Stat()
		require.NoError(t, err)
		return int(info.Sys().(*syscall.Stat_t).Nlink)
	}
	var open []*os.File
	for _, p := range []string{"etc/hostname", "usr/share/\xff\xfe"} {
		f, err := os.Open(filepath.Join(roots[0].Dir, p))
		require.NoError(t, err)
		defer f.Close()
		open = append(open, f)
	}
	write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
	require.NoError(t, os.RemoveAll(filepath.Join(golden, "usr/share")))
	bringUp(t, golden, roots...)
	require.Equal(t, "changed\n", read(t, filepath.Join(roots[0].Dir, "etc/hostname")))
	require.NoDirExists(t, filepath.Join(roots[0].Dir, "usr/share"))
	status, err := Look(roots[0].Dir)
	require.NoError(t, err)
	require.Equal(t, Status{Dir: roots[0].Dir, Exists: true, Trash: 1}, status)

	require.NoError(t, EmptyTrash(t.Context(), roots[0].Dir, time.Now().Add(-time.Hour)))
	require.Equal(t, 1, nlink(open[0]))
	require.Equal(t, 1, nlink(open[1]))
	require.NoError(t, EmptyTrash(t.Context(), roots[0].Dir, time.Now().Add(time.Hour)))
	require.Zero(t, nlink(open[0]))
	require.Zero(t, nlink(open[1]))
}

// A Pi may put a symbolic link in the place of a directory at any moment.
func TestSyncNeverLeavesTheRoot(t *testing.T) {
	for _, when := range []string{"before the plan", "after the plan"} {
		t.Run(when, func(t *testing.T) {
			golden, roots := cloned(t, 1)
			outside := t.TempDir()
			write(t, filepath.Join(outside, "hostname"), "the server's\n")
			want := fingerprint(t, outside)
			write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
			write(t, filepath.Join(golden, "etc/new"), "new\n")
			require.NoError(t, os.Remove(filepath.Join(golden, "etc/empty")))
			attack := func() {
				require.NoError(t, os.Rename(filepath.Join(roots[0].Dir, "etc"), filepath.Join(roots[0].Dir, "etc.real")))
				require.NoError(t, os.Symlink(outside, filepath.Join(roots[0].Dir, "etc")))
			}
			if when == "before the plan" {
				attack()
			}
			plans, err := PlanSync(t.Context(), golden, roots)
			require.NoError(t, err)
			if when == "after the plan" {
				attack()
				require.ErrorContains(t, Apply(t.Context(), plans, nil), `"etc/new"`)
			} else {
				require.NoError(t, Apply(t.Context(), plans, nil))
			}
			require.Equal(t, want, fingerprint(t, outside))
			bringUp(t, golden, roots...)
			require.Equal(t, want, fingerprint(t, outside))
			require.Equal(t, fingerprint(t, golden), fingerprint(t, roots[0].Dir))
		})
	}
}

func TestSyncWhileGoldenChanges(t *testing.T) {
	golden, roots := cloned(t, 2)
	want := fingerprint(t, golden)
	write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
	write(t, filepath.Join(golden, "etc/new"), "new\n")
	plans, err := PlanSync(t.Context(), golden, roots)
	require.NoError(t, err)
	write(t, filepath.Join(golden, "usr/lib/more"), "more\n")
	require.ErrorIs(t, Apply(t.Context(), plans, nil), ErrChanged)
	for _, root := range roots {
		require.Equal(t, want, fingerprint(t, root.Dir))
	}
	bringUp(t, golden, roots...)
	require.Equal(t, fingerprint(t, golden), fingerprint(t, roots[1].Dir))
}

func TestSyncIsCancelled(t *testing.T) {
	golden, roots := cloned(t, 2)
	want := fingerprint(t, golden)
	write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
	plans, err := PlanSync(t.Context(), golden, roots)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, Apply(ctx, plans, func(Progress) { cancel() }), context.Canceled)
	for _, root := range roots {
		require.Equal(t, want, fingerprint(t, root.Dir))
		require.NoDirExists(t, filepath.Join(sideOf(root), stageName))
	}
}

func TestApplyWantsOneSource(t *testing.T) {
	golden, roots := cloned(t, 1)
	write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
	a, err := PlanSync(t.Context(), golden, roots)
	require.NoError(t, err)
	b, err := PlanSync(t.Context(), golden, roots)
	require.NoError(t, err)
	require.Error(t, Apply(t.Context(), append(a, b...), nil))
}

// Whatever two trees are, a sync makes the one like the other.
func TestSyncOfRandomTrees(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			dir := memoryDir(t)
			golden, root := filepath.Join(dir, "golden"), filepath.Join(dir, "root")
			scramble(t, golden, rnd)
			scramble(t, root, rnd)
			bringUp(t, golden, Root{Dir: root})
			require.Equal(t, fingerprint(t, golden), fingerprint(t, root))
			require.Empty(t, lines(bringUp(t, golden, Root{Dir: root})[0]))
		})
	}
}

// scramble makes a small tree of few names, so that two have much in common.
func scramble(t testing.TB, dir string, rnd *rand.Rand) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
	dirs, files := []string{dir}, []string(nil)
	for range 40 {
		p := filepath.Join(dirs[rnd.IntN(len(dirs))], string(rune('a'+rnd.IntN(6))))
		if _, err := os.Lstat(p); err == nil {
			continue
		}
		switch n := rnd.IntN(10); {
		case n < 3:
			require.NoError(t, os.Mkdir(p, 0o755))
			dirs = append(dirs, p)
		case n < 4:
			require.NoError(t, os.Symlink(strings.Repeat("x", 1+rnd.IntN(2)), p))
		case n < 7 && len(files) > 0:
			require.NoError(t, os.Link(files[rnd.IntN(len(files))], p))
		default:
			require.NoError(t, os.WriteFile(p, make([]byte, rnd.IntN(3)), fs.FileMode(0o600+rnd.IntN(2))))
			files = append(files, p)
		}
	}
	age(t, dir)
}
