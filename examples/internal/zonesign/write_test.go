package zonesign

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link stays, and what it leads to is replaced, though it be not there yet.
func TestOutIsLink(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o700))
	require.NoError(t, os.Symlink("real/sub", filepath.Join(dir, "dir")))
	require.NoError(t, os.Symlink("../target", filepath.Join(dir, "dir", "second")))
	require.NoError(t, os.Symlink("dir/second", filepath.Join(dir, "out")))
	target := filepath.Join(dir, "real", "target")
	j := job(t, dir, apex)
	for _, text := range []string{apex, apex + "new A 192.0.2.1\n"} {
		_, err := again(t, j, text)
		require.NoError(t, err)
		info, err := os.Lstat(j.Out)
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&os.ModeSymlink)
		signed, err := os.ReadFile(target)
		require.NoError(t, err)
		require.True(t, isIntact(signed))
		require.NoError(t, os.Chmod(target, 0o640))
	}
	info, err := os.Stat(target)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	require.NoError(t, os.Remove(j.Out))
	require.NoError(t, os.Symlink("out", j.Out))
	_, err = again(t, j, apex)
	require.Error(t, err)
}

// A device or a pipe is written to, and not read nor replaced.
func TestOutIsDevice(t *testing.T) {
	j := job(t, t.TempDir(), apex)
	require.NoError(t, syscall.Mkfifo(j.Out, 0o600))
	read := make(chan string, 1)
	go func() {
		f, err := os.Open(j.Out)
		if err != nil {
			read <- err.Error()
			return
		}
		defer f.Close()
		text, _ := io.ReadAll(f)
		read <- string(text)
	}()
	_, err := j.Run(t.Context())
	require.NoError(t, err)
	require.Contains(t, <-read, "RRSIG\tSOA")
	info, err := os.Stat(j.Out)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	j.Out = os.DevNull
	_, err = again(t, j, apex)
	require.NoError(t, err)
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeDevice)
}

// A file that is open already, as a shell has it, is added to.
func TestOutIsDescriptor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(file, []byte("; before\n"), 0o600))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	defer f.Close()
	j := job(t, t.TempDir(), apex)
	j.Out = fmt.Sprintf("/dev/fd/%d", f.Fd())
	if _, err := os.Stat(j.Out); err != nil {
		t.Skipf("this system has no %s", j.Out)
	}
	_, err = j.Run(t.Context())
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "; before\nexample.org."))
}

// The signed zone does not take the place of the zone, under whatever name.
func TestOutIsSource(t *testing.T) {
	dir := t.TempDir()
	j := job(t, dir, "")
	j.File = filepath.Join(dir, "zone")
	require.NoError(t, os.WriteFile(j.File, []byte(apex), 0o600))
	require.NoError(t, os.Symlink("zone", filepath.Join(dir, "link")))
	require.NoError(t, os.Link(j.File, filepath.Join(dir, "hard")))
	for _, out := range []string{"zone", "link", "hard", "./zone"} {
		j.Out = dir + "/" + out
		_, err := j.Run(t.Context())
		require.ErrorContains(t, err, "is the zone file itself")
		_, err = j.Plan(t.Context())
		require.ErrorContains(t, err, "is the zone file itself")
	}
	stdin, err := os.Open(j.File)
	require.NoError(t, err)
	defer stdin.Close()
	j.File, j.Stdin = "-", stdin
	_, err = j.Run(t.Context())
	require.ErrorContains(t, err, "is the zone file itself")
	j.Out, j.Stdin = dir, strings.NewReader(apex)
	_, err = j.Run(t.Context())
	require.ErrorContains(t, err, "is a directory")
	require.NoDirExists(t, j.Keys.Path)
}
