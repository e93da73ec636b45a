package nfsroot

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// TestNextArg compares ParseCmdline with the kernel's own next_arg, compiled
// from Debian's source of the kernel.
func TestNextArg(t *testing.T) {
	lab.Need(t, "kernel", "tar")
	const source = "/usr/src/linux-source-6.1.tar.xz"
	dir := t.TempDir()
	lab.Run(t, "tar", "--extract", "--xz", "--strip-components=1", "--occurrence=1", "--directory", dir, "--file", source,
		"linux-source-6.1/lib/cmdline.c", "linux-source-6.1/lib/ctype.c", "linux-source-6.1/include/linux/ctype.h")
	// The kernel's ctype.h beside our few lines of the others.
	include := filepath.Join(dir, "few")
	lab.Run(t, "mkdir", "-p", filepath.Join(include, "linux"))
	lab.Run(t, "cp", filepath.Join(dir, "include/linux/ctype.h"), filepath.Join(include, "linux"))
	judge := filepath.Join(dir, "nextarg")
	lab.Run(t, "gcc", "-o", judge, "-I", "testdata/nextarg", "-I", include,
		"testdata/nextarg/main.c", filepath.Join(dir, "lib/cmdline.c"), filepath.Join(dir, "lib/ctype.c"))

	r := rand.New(rand.NewPCG(3, 4))
	lines := []string{"", `"`, `""`, `a="`, `"a="`, `=`, `==`, `="`, "a\x00b", `" "`, "-- a --"}
	for range 50000 {
		lines = append(lines, hostileLine(r))
	}
	lines = append(lines, texts("a= \"", 7)...)
	var input bytes.Buffer
	for _, line := range lines {
		input.Write(binary.NativeEndian.AppendUint32(nil, uint32(len(line))))
		input.WriteString(line)
	}
	cmd := exec.CommandContext(t.Context(), judge)
	cmd.Stdin = &input
	output, err := cmd.Output()
	require.NoError(t, err)
	read := bytes.NewReader(output)
	for _, line := range lines {
		require.Equal(t, readCmdline(t, read), ParseCmdline(line), "%q", line)
	}
	require.Zero(t, read.Len())
	t.Logf("%d lines", len(lines))
}

// readCmdline reads what testdata/nextarg prints of one line.
func readCmdline(t *testing.T, r io.Reader) (c Cmdline) {
	number := func() (n uint32) {
		require.NoError(t, binary.Read(r, binary.NativeEndian, &n))
		return n
	}
	text := func() string {
		b := make([]byte, number())
		_, err := io.ReadFull(r, b)
		require.NoError(t, err)
		return string(b)
	}
	for range number() {
		c = append(c, Param{Name: text(), HasValue: number() == 1, Value: text()})
	}
	return c
}
