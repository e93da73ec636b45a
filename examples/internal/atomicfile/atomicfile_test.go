package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	require.NoError(t, WriteBytes(path, 0o640, []byte("old")))
	broken := errors.New("half way")
	require.ErrorIs(t, Write(path, func(f *os.File) error {
		io.WriteString(f, "ne")
		return broken
	}), broken)
	check := func(text string, mode fs.FileMode) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(data))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, "nothing is left beside it")
	}
	check("old", 0o640)
	require.NoError(t, WriteBytes(path, 0o604, []byte("new")))
	check("new", 0o604)
	require.ErrorIs(t, WriteBytes(filepath.Join(dir, "missing", "file"), 0o600, nil), fs.ErrNotExist)
}
