package manager

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
)

// On a full filesystem the old certificate stays, and the new one is not lost:
// it is fetched again when there is room.
func TestFullFilesystem(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.Output = t.TempDir()
	require.NoError(t, unix.Mount("none", m.Output, "tmpfs", 0, "size=128k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(m.Output, 0)) })
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	before := a.verify(t, m, "example.org", "example.org")

	filler := filepath.Join(m.Output, "filler")
	require.ErrorIs(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	err := m.Renew(t.Context(), "example.org")
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "fetched again")
	require.Equal(t, before, a.verify(t, m, "example.org", "example.org"))

	require.NoError(t, os.Remove(filler))
	require.NoError(t, m.Renew(t.Context(), "example.org"))
	require.NotEqual(t, before.SerialNumber, a.verify(t, m, "example.org", "example.org").SerialNumber)
	require.Equal(t, 2, a.ordered())
}
