package rackbox

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

func TestNeeds(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := needs()
	if os.Geteuid() != 0 {
		require.ErrorContains(t, err, "boot needs root")
		return
	}
	if _, missing := os.Stat("/dev/net/tun"); missing != nil {
		require.ErrorContains(t, err, "/dev/net/tun")
		return
	}
	require.ErrorContains(t, err, "apt-get install busybox-static")
	require.Equal(t, 1, strings.Count(err.Error(), "busybox-static"))
}

// Whoever boots for the first time is told what takes so long, and what went wrong.
func TestKernelThatCannotBeBuilt(t *testing.T) {
	lab.Need(t, "kernel")
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "tar"), []byte("#!/bin/sh\necho the disk is full\nexit 1\n"), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var log bytes.Buffer
	_, err := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}.kernel(t.Context())
	require.ErrorContains(t, err, "the disk is full")
	require.ErrorContains(t, err, "apt-get install linux-source-6.1")
	require.Equal(t, 1, strings.Count(log.String(), "takes minutes"), &log)
}

// The built-in tree is whole: what init starts is there and can be run.
func TestMakeGolden(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "golden")
	program := filepath.Join(t.TempDir(), "busybox")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	require.NoError(t, MakeGolden(dir, program))
	for _, name := range []string{"bin/busybox", "bin/sh", "sbin/init", "etc/init.d/rcS", "etc/network/if-pre-up.d/vlan"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o755), info.Mode().Perm(), name)
	}
	require.DirExists(t, filepath.Join(dir, "proc"))
	inittab, err := os.ReadFile(filepath.Join(dir, "etc/inittab"))
	require.NoError(t, err)
	require.Contains(t, string(inittab), "::sysinit:/etc/init.d/rcS\n")
	for _, script := range []string{"etc/init.d/rcS", "etc/network/if-pre-up.d/vlan"} {
		output, err := exec.Command("sh", "-n", filepath.Join(dir, script)).CombinedOutput()
		require.NoError(t, err, string(output))
	}
	require.Error(t, MakeGolden(dir, program), "it is there already")
	require.Error(t, MakeGolden(filepath.Join(dir, "x"), filepath.Join(dir, "no busybox")))
}

func TestConsole(t *testing.T) {
	var seen []string
	l := &lines{line: func(text string) { seen = append(seen, text) }}
	for _, part := range []string{"one\r\ntw", "o\n", strings.Repeat("x", 3*maxLine), "\nend\n"} {
		n, err := l.Write([]byte(part))
		require.NoError(t, err)
		require.Equal(t, len(part), n)
	}
	require.Equal(t, []string{"one", "two"}, seen[:2])
	require.Equal(t, "end", seen[len(seen)-1])
	require.Empty(t, l.part)
	for range 2 * maxLines {
		l.Write([]byte("again\n"))
	}
	require.Len(t, l.last, maxLines)
	require.True(t, strings.HasSuffix(l.tail(), "again"))
}
