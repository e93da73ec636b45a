package rootfs

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
)

// bind mounts one directory on another until the test ends.
func bind(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o755))
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(to, unix.MNT_DETACH)) })
}

// What an operator has mounted in a root is not moved, and not emptied.
func TestSyncLeavesMountsAlone(t *testing.T) {
	lab.Need(t, "root")
	golden, roots := cloned(t, 1)
	victim := t.TempDir() // of the root's own filesystem
	write(t, filepath.Join(victim, "precious"), "kept")
	bind(t, victim, filepath.Join(roots[0].Dir, "srv3/bind"))
	write(t, filepath.Join(roots[0].Dir, "srv3/other"), "deleted")
	bind(t, victim, filepath.Join(roots[0].Dir, "opt/bind"))
	write(t, filepath.Join(golden, "opt"), "a file by now")

	require.Equal(t, []string{"delete srv3/other"}, deletions(bringUp(t, golden, roots...)[0]))
	require.NoError(t, EmptyTrash(t.Context(), roots[0].Dir, time.Now().Add(time.Minute)))
	require.FileExists(t, filepath.Join(roots[0].Dir, "srv3/bind/precious"))
	require.FileExists(t, filepath.Join(roots[0].Dir, "opt/bind/precious"))
	require.FileExists(t, filepath.Join(victim, "precious"))
}

func deletions(plan Plan) []string {
	var list []string
	for _, c := range plan.Changes {
		if c.Kind == Delete {
			list = append(list, c.String())
		}
	}
	return list
}

// A mount that has come into the trash all the same stays whole.
func TestEmptyTrashStopsAtMounts(t *testing.T) {
	lab.Need(t, "root")
	_, roots := cloned(t, 1)
	victim := t.TempDir()
	write(t, filepath.Join(victim, "precious"), "kept")
	trash := filepath.Join(sideOf(roots[0]), trashName, "0")
	write(t, filepath.Join(trash, "0/a"), "removed")
	bind(t, victim, filepath.Join(trash, "0/bind"))
	require.ErrorContains(t, EmptyTrash(t.Context(), roots[0].Dir, time.Now().Add(time.Minute)), "is mounted")
	require.NoFileExists(t, filepath.Join(trash, "0/a"))
	require.FileExists(t, filepath.Join(victim, "precious"))
}
