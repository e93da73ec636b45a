package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
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
	_, err = os.Lstat(filepath.Join(dir, beforeLink))
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
		commands[step] = []string{"cp", "-a", dir, at}
		require.NoError(t, Files(ctx, dir, wanted, commands["test"], commands["reload"]))
		requireFiles(t, dir, wanted)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), old["a"], 0o644))
		require.NoError(t, os.Remove(filepath.Join(dir, "b")))

		refused := Files(ctx, at, wanted, []string{"true"}, []string{"false"})
		require.ErrorAs(t, refused, new(*staticify.ConfigError))
		requireFiles(t, at, old)
	}
	require.NoError(t, Files(ctx, dir, wanted, []string{"cp", "-a", dir, copied}, []string{"true"}))
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
	sets, err := filepath.Glob(filepath.Join(copied, setPrefix+"*"))
	require.NoError(t, err)
	require.Len(t, sets, 1)
}

// Whenever a process is killed, the files belong together, and the next process ends the change.
func TestKilledAtEachStep(t *testing.T) {
	none := map[string][]byte{"a": nil, "b": nil}
	old := map[string][]byte{"a": []byte("old a"), "b": []byte("old b")}
	wanted := map[string][]byte{"a": []byte("new a"), "b": []byte("new b")}
	ok, refuse := []string{"true"}, []string{"false"}
	for _, first := range []struct {
		what    string
		before  map[string][]byte
		prepare func(dir string) error
	}{
		{"a set", old, func(dir string) error { return Files(t.Context(), dir, old, ok, ok) }},
		{"files", old, func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "a"), old["a"], 0o644), os.WriteFile(filepath.Join(dir, "b"), old["b"], 0o644))
		}},
		{"nothing", none, func(string) error { return nil }},
	} {
		for _, test := range [][]string{ok, refuse} {
			dir, copies := t.TempDir(), t.TempDir()
			require.NoError(t, first.prepare(dir))
			var at []string
			step = func() {
				at = append(at, filepath.Join(copies, fmt.Sprint(len(at))))
				require.NoError(t, exec.Command("cp", "-a", dir, at[len(at)-1]).Run())
			}
			t.Cleanup(func() { step = func() {} })
			err := Files(t.Context(), dir, wanted, test, ok)
			step = func() {}
			require.Equal(t, test[0] == "false", err != nil)
			require.Greater(t, len(at), 3)
			for i, killed := range at {
				got, err := read(killed, wanted)
				require.NoError(t, err)
				same := func(files map[string][]byte) bool { return maps.EqualFunc(got, files, bytes.Equal) }
				// The first of the first files may be there alone, which the second one needs.
				alone := first.before["a"] == nil && same(map[string][]byte{"a": wanted["a"], "b": nil})
				require.True(t, same(first.before) || same(wanted) || alone, "%s, step %d: %s", first.what, i, got)
				err = Files(t.Context(), killed, wanted, test, ok)
				if test[0] == "true" {
					require.NoError(t, err)
					requireFiles(t, killed, wanted)
				} else {
					require.Error(t, err)
					requireFiles(t, killed, first.before)
				}
			}
		}
	}
}

// A command that is not there says nothing of the server's configuration.
func TestNoSuchCommand(t *testing.T) {
	dir := t.TempDir()
	err := Files(t.Context(), dir, map[string][]byte{"a": []byte("new"), "b": nil}, []string{"/nonexistent"}, nil)
	var refused *staticify.ConfigError
	require.ErrorAs(t, err, &refused)
	require.False(t, refused.Foreign)
	requireFiles(t, dir, map[string][]byte{"a": nil, "b": nil})
}
