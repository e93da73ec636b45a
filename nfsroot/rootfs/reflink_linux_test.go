package rootfs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
)

// On a filesystem with reflinks eight roots take the room of one.
func TestReflinks(t *testing.T) {
	if !lab.InGuest(t, "loop", "btrfs") {
		return
	}
	lab.Need(t, "mkfs.btrfs", "btrfs")
	require.NoError(t, os.WriteFile("/run/image", nil, 0o600))
	require.NoError(t, os.Truncate("/run/image", 128<<20))
	lab.Run(t, "mkfs.btrfs", "-q", "/run/image")
	require.NoError(t, os.Mkdir("/run/disk", 0o755))
	lab.Run(t, "busybox", "mount", "-o", "loop", "-t", "btrfs", "/run/image", "/run/disk")
	golden := "/run/disk/golden"
	require.NoError(t, os.Mkdir(golden, 0o755))
	oddTree(t, golden)
	write(t, filepath.Join(golden, "large"), string(make([]byte, 16<<20)))
	age(t, golden)
	unix.Sync()
	var before, after unix.Statfs_t
	require.NoError(t, unix.Statfs("/run/disk", &before))
	var roots []Root
	for _, name := range []string{"pi1", "pi2", "pi3", "pi4", "pi5", "pi6", "pi7", "pi8"} {
		roots = append(roots, Root{Dir: filepath.Join("/run/disk", name)})
	}
	require.NoError(t, Clone(t.Context(), golden, roots, nil))
	require.NoError(t, unix.Statfs("/run/disk", &after))
	for _, root := range roots {
		require.Equal(t, fingerprint(t, golden), fingerprint(t, root.Dir))
	}
	used := int64(before.Bfree-after.Bfree) * int64(after.Bsize)
	require.Less(t, used, int64(16<<20), "less than one copy of the large file")

	// A subvolume has a device number of its own, and is no filesystem of its own.
	lab.Run(t, "btrfs", "subvolume", "create", "/run/disk/sub")
	var top, sub unix.Stat_t
	require.NoError(t, unix.Stat("/run/disk", &top))
	require.NoError(t, unix.Stat("/run/disk/sub", &sub))
	require.NotEqual(t, top.Dev, sub.Dev)
	a, err := Device("/run/disk")
	require.NoError(t, err)
	b, err := Device("/run/disk/sub")
	require.NoError(t, err)
	require.Equal(t, a, b)
}
