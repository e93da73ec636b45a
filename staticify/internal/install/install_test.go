package install

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
)

func requireFiles(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	got, err := read(dir, map[string][]byte{"a": nil, "b": nil})
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = os.Lstat(filepath.Join(dir, intent))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// What a process has left that was killed while the server tested its files is tested again, and put back if it must be.
func TestKilled(t *testing.T) {
	ctx, dir, copied := t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "copy")
	old := map[string][]byte{"a": []byte("old"), "b": nil}
	wanted := map[string][]byte{"a": []byte("new"), "b": []byte("more")}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), old["a"], 0o644))
	// The directory is copied as it is during the test, and after that as it is during the reload.
	for _, step := range []string{"test", "reload"} {
		commands := map[string][]string{"test": {"true"}, "reload": {"true"}}
		at := copied + step
		commands[step] = []string{"cp", "-R", dir, at}
		require.NoError(t, Files(ctx, dir, wanted, commands["test"], commands["reload"]))
		requireFiles(t, dir, wanted)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), old["a"], 0o644))
		require.NoError(t, os.Remove(filepath.Join(dir, "b")))

		refused := Files(ctx, at, wanted, []string{"true"}, []string{"false"})
		require.ErrorAs(t, refused, new(*staticify.ConfigError))
		requireFiles(t, at, old)
	}
	require.NoError(t, Files(ctx, dir, wanted, []string{"cp", "-R", dir, copied}, []string{"true"}))
	reloaded := filepath.Join(t.TempDir(), "reloaded")
	require.NoError(t, Files(ctx, copied, wanted, []string{"true"}, []string{"cp", filepath.Join(dir, "a"), reloaded}))
	_, err := os.Stat(reloaded)
	require.NoError(t, err, "the server was not told of files that were there")
	requireFiles(t, copied, wanted)

	require.NoError(t, os.Remove(reloaded))
	require.NoError(t, Files(ctx, copied, wanted, []string{"false"}, []string{"false"}), "nothing to do")
	wanted["a"] = bytes.ToUpper(wanted["a"])
	err = Files(ctx, copied, wanted, []string{"false"}, []string{"true"})
	var refused *staticify.ConfigError
	require.True(t, errors.As(err, &refused) && refused.Foreign)
	requireFiles(t, copied, map[string][]byte{"a": []byte("new"), "b": []byte("more")})
}
