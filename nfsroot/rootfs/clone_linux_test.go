package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/nfsroot"
)

func TestClone(t *testing.T) {
	golden, roots := newRoots(t, 3)
	var last Progress
	require.NoError(t, Clone(t.Context(), golden, roots, func(p Progress) { last = p }))
	want := fingerprint(t, golden)
	for _, root := range roots {
		require.Equal(t, want, fingerprint(t, root.Dir))
		var st unix.Stat_t
		require.NoError(t, unix.Stat(filepath.Join(root.Dir, "usr/sparse"), &st))
		require.Less(t, st.Blocks*512, st.Size, "holes stay holes")
	}
	require.EqualValues(t, 3*len(want), last.AllFiles)
	require.Equal(t, last.AllFiles, last.Files)
	require.Equal(t, last.AllBytes, last.Bytes)

	require.ErrorIs(t, Clone(t.Context(), golden, roots[:1], nil), ErrExists)
	require.Empty(t, lines(bringUp(t, golden, roots[0])[0]), "a clone is in sync")
}

func TestCloneIntoEmptyDirectory(t *testing.T) {
	golden, roots := newRoots(t, 1)
	require.NoError(t, os.Mkdir(roots[0].Dir, 0o755))
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	require.Equal(t, fingerprint(t, golden), fingerprint(t, roots[0].Dir))
}

func TestClonePersonalises(t *testing.T) {
	golden, roots := newRoots(t, 2)
	for i, name := range []string{"pi1", "pi2"} {
		roots[i].Identity = Identity{Hostname: name, Files: []File{{Path: "etc/munin/munin-node.conf", Data: []byte("host_name " + name + "\n"), Mode: 0o640}}}
	}
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	require.Equal(t, "pi2\n", read(t, filepath.Join(roots[1].Dir, "etc/hostname")))
	require.Equal(t, "host_name pi1\n", read(t, filepath.Join(roots[0].Dir, "etc/munin/munin-node.conf")))
	for _, root := range roots {
		require.Empty(t, lines(bringUp(t, golden, root)[0]), "a personalised clone is in sync")
		edits, err := Personalise(t.Context(), root.Dir, root.Identity)
		require.NoError(t, err)
		require.Empty(t, edits)
	}
}

// What the golden tree is when it is read is not what it was.
func TestGoldenChangesDuringCopy(t *testing.T) {
	for name, change := range map[string]func(golden string) error{
		"written": func(g string) error { return os.WriteFile(filepath.Join(g, "etc/hostname"), []byte("other\n"), 0o644) },
		"new":     func(g string) error { return os.WriteFile(filepath.Join(g, "etc/new"), nil, 0o644) },
		"gone":    func(g string) error { return os.Remove(filepath.Join(g, "usr/sparse")) },
		"replaced": func(g string) error {
			return os.Rename(filepath.Join(g, "etc/empty"), filepath.Join(g, "etc/hostname"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			golden, roots := newRoots(t, 2)
			changed := false
			err := Clone(t.Context(), golden, roots, func(p Progress) {
				if !changed && p.Files > 2 {
					changed = true
					require.NoError(t, change(golden))
				}
			})
			require.ErrorIs(t, err, ErrChanged)
			require.NoDirExists(t, roots[0].Dir)
			require.NoDirExists(t, filepath.Join(sideOf(roots[0]), stageName))
			require.NoError(t, Clone(t.Context(), golden, roots, nil), "again, in peace")
		})
	}
}

func TestCloneIsCancelled(t *testing.T) {
	golden, roots := newRoots(t, 2)
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Clone(ctx, golden, roots, func(p Progress) { cancel(errors.New("enough")) })
	require.ErrorIs(t, err, context.Canceled)
	require.NoDirExists(t, roots[0].Dir)
	require.NoDirExists(t, filepath.Join(sideOf(roots[0]), stageName))
}

func TestCloneProblemsComeTogether(t *testing.T) {
	golden, roots := newRoots(t, 2)
	roots[0].Identity.Hostname = "pi_1"
	roots[1].Dir = "relative"
	err := Clone(t.Context(), golden, roots, nil)
	require.ErrorContains(t, err, "pi_1")
	require.ErrorContains(t, err, "relative")
	require.Error(t, Clone(t.Context(), golden+"/none", roots[:0], nil))
}

func TestLocked(t *testing.T) {
	golden, roots := cloned(t, 1)
	s, err := openSide(roots[0].Dir)
	require.NoError(t, err)
	require.ErrorIs(t, Rebuild(t.Context(), golden, roots[0], Machine{}, nil), ErrLocked)
	status, err := Look(roots[0].Dir)
	require.NoError(t, err)
	require.Equal(t, Status{Dir: roots[0].Dir, Exists: true, Locked: true}, status)
	s.close()
	require.NoError(t, Rebuild(t.Context(), golden, roots[0], Machine{}, nil))
}

func TestDevice(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	exports := []nfsroot.Export{{Path: dir}, {Path: "/proc"}}
	require.NoError(t, nfsroot.CheckFilesystems(exports, Device))
	require.ErrorContains(t, nfsroot.CheckFilesystems(append(exports, nfsroot.Export{Path: other}), Device), "on one filesystem")
	require.ErrorIs(t, nfsroot.CheckFilesystems([]nfsroot.Export{{Path: dir + "/none"}}, Device), os.ErrNotExist)
}
