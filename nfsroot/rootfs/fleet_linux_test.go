package rootfs

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A root that is missing or in use does not keep the others from being brought up.
func TestSyncCarriesOn(t *testing.T) {
	golden, roots := cloned(t, 3)
	write(t, filepath.Join(golden, "etc/hostname"), "changed\n")
	missing := Root{Dir: filepath.Join(t.TempDir(), "none")}
	plans, err := PlanSync(t.Context(), golden, append([]Root{missing}, roots...))
	require.ErrorContains(t, err, missing.Dir)
	s, err := openSide(roots[1].Dir)
	require.NoError(t, err)
	defer s.close()
	require.ErrorIs(t, Apply(t.Context(), plans, nil), ErrLocked)
	require.Equal(t, "changed\n", read(t, filepath.Join(roots[0].Dir, "etc/hostname")))
	require.Equal(t, "golden\n", read(t, filepath.Join(roots[1].Dir, "etc/hostname")))
	require.Equal(t, "changed\n", read(t, filepath.Join(roots[2].Dir, "etc/hostname")))
}

// What is the Pi's own stays, also when the golden tree has a file above it.
func TestSyncKeepsWhatIsBelowAFile(t *testing.T) {
	golden, roots := cloned(t, 1)
	roots[0].Keep = []string{"srv/own"}
	write(t, filepath.Join(roots[0].Dir, "srv/own/file"), "pi")
	write(t, filepath.Join(golden, "srv"), "a file")
	bringUp(t, golden, roots...)
	require.Equal(t, "pi", read(t, filepath.Join(roots[0].Dir, "srv/own/file")))
}

// busy makes and removes files in a directory until the test ends.
func busy(t *testing.T, dir string) {
	require.NoError(t, os.MkdirAll(dir, 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p := filepath.Join(dir, strconv.Itoa(i%50))
			os.Mkdir(p, 0o755)
			os.Remove(p)
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
}

func TestPlanSyncOfABusyPi(t *testing.T) {
	golden, roots := cloned(t, 1)
	busy(t, filepath.Join(roots[0].Dir, "tmp"))
	busy(t, filepath.Join(roots[0].Dir, "srv")) // where nothing is kept
	for range 100 {
		planned(t, golden, roots[0])
	}
}

// No path is too long to be read or removed.
func TestSyncOfADeepTree(t *testing.T) {
	golden, roots := cloned(t, 1)
	for _, top := range []string{"home", "srv"} {
		require.NoError(t, os.MkdirAll(filepath.Join(roots[0].Dir, top), 0o755))
		dir, err := unix.Open(filepath.Join(roots[0].Dir, top), unix.O_RDONLY, 0)
		require.NoError(t, err)
		name := strings.Repeat("x", 200)
		for range 40 {
			require.NoError(t, unix.Mkdirat(dir, name, 0o755))
			next, err := unix.Openat(dir, name, unix.O_RDONLY, 0)
			require.NoError(t, err)
			require.NoError(t, unix.Close(dir))
			dir = next
		}
		require.NoError(t, unix.Close(dir))
	}
	require.Equal(t, []string{"delete srv (41 files, 0 bytes)"}, deletions(bringUp(t, golden, roots[0])[0]))
	require.NoError(t, EmptyTrash(t.Context(), roots[0].Dir, time.Now().Add(time.Minute)))
	status, err := Look(roots[0].Dir)
	require.NoError(t, err)
	require.Zero(t, status.Trash)
}

// A root that is not there yet is said, and the others get the file.
func TestWatchWithoutOneRoot(t *testing.T) {
	_, roots := cloned(t, 2)
	write(t, filepath.Join(roots[0].Dir, "srv/file"), "pushed")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := Push{From: roots[0], Path: "srv", To: append(roots[1:], Root{Dir: filepath.Join(t.TempDir(), "none")})}
	var said error
	require.ErrorIs(t, Watch(ctx, p, time.Millisecond, func(plans []Plan, err error) {
		if said == nil {
			said = err
		}
		if _, err := os.Lstat(filepath.Join(roots[1].Dir, "srv/file")); err == nil {
			cancel()
		}
	}), context.Canceled)
	require.ErrorContains(t, said, "none")
}

// Whoever only looks is in nobody's way.
func TestLookTakesNoLock(t *testing.T) {
	_, roots := cloned(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			Look(roots[0].Dir)
		}
	})
	for range 200 {
		require.NoError(t, Recover(t.Context(), roots[0].Dir))
	}
	cancel()
	group.Wait()
	s, err := openSide(roots[0].Dir)
	require.NoError(t, err)
	defer s.close()
	status, err := Look(roots[0].Dir)
	require.NoError(t, err)
	require.True(t, status.Locked)
}

func TestConflictIsQuoted(t *testing.T) {
	require.Equal(t, `"a\n\x1b[31mb": differs`, Conflict{"a\n\x1b[31mb", "differs"}.String())
	require.Equal(t, "etc/größe: differs", Conflict{"etc/größe", "differs"}.String())
}
