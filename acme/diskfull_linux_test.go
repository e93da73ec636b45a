package acme_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/internal/lab"
)

// On a full filesystem nothing is published; what was stays known.
func TestFullFilesystem(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	w := newWorld(t)
	dir := t.TempDir()
	require.NoError(t, unix.Mount("none", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	w.solver.Journal = &acme.Journal{Dir: dir}
	first := acme.Challenge{Domain: "example.org", Value: "first"}
	require.NoError(t, w.solver.Publish(t.Context(), first))

	filler := filepath.Join(dir, "filler")
	require.ErrorIs(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	err := w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "second"})
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "nothing was published")
	require.Equal(t, []string{"first"}, w.zone.TXT(apex))

	// What is withdrawn is gone, although that cannot be noted.
	err = w.solver.Withdraw(t.Context(), first)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NotContains(t, err.Error(), "published")
	require.Empty(t, w.zone.TXT(apex))

	require.NoError(t, os.Remove(filler))
	require.NoError(t, w.solver.Withdraw(t.Context(), first))
	require.Empty(t, w.zone.TXT(apex))
}
