package zonesign

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFullDisk signs to a filesystem that is too small: the old zone stays, and
// nothing else.
func TestFullDisk(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	j := job(t, dir, apex)
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	before, err := os.ReadFile(filepath.Join(dir, "out"))
	require.NoError(t, err)
	var large strings.Builder
	large.WriteString(apex)
	for i := range 1000 {
		fmt.Fprintf(&large, "h%d A 192.0.2.1\n", i)
	}
	_, err = again(t, j, large.String())
	require.ErrorIs(t, err, syscall.ENOSPC)
	after, err := os.ReadFile(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
