package rack

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// contents returns the files below dir, without the manifest.
func contents(t testing.TB, dir string) Tree {
	t.Helper()
	var tree Tree
	root := os.DirFS(dir)
	require.NoError(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == manifestName {
			return err
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		tree = append(tree, File{path, info.Mode().Perm(), string(data)})
		return err
	}))
	return tree
}

func write(t testing.TB, tree Tree, dir string) []Step {
	t.Helper()
	steps, err := tree.Diff(dir)
	require.NoError(t, err)
	require.NoError(t, tree.Write(t.Context(), dir, steps))
	return steps
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "rack")
	tree, err := story(t).Tree()
	require.NoError(t, err)
	require.Len(t, write(t, tree, dir), len(tree))
	require.ElementsMatch(t, tree, contents(t, dir))
	require.Empty(t, write(t, tree, dir), "the second time nothing")

	// What a person changed or removed is put right; what is theirs stays.
	theirs := filepath.Join(dir, "pis", "pi1", "notes")
	require.NoError(t, os.WriteFile(theirs, []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pis/pi1/cmdline.txt"), []byte("broken"), 0o644))
	require.NoError(t, os.Chmod(filepath.Join(dir, "pis/pi2/cmdline.txt"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "pis/pi3/cmdline.txt")))
	var actions []string
	for _, s := range write(t, tree, dir) {
		actions = append(actions, s.Action+" "+s.File.Path)
	}
	require.Equal(t, []string{"changed pis/pi1/cmdline.txt", "changed pis/pi2/cmdline.txt", "new pis/pi3/cmdline.txt"}, actions)

	// A Pi that leaves the rack takes its files along, and nothing else.
	smaller := slices.DeleteFunc(slices.Clone(tree), func(f File) bool {
		return strings.HasPrefix(f.Path, "pis/pi1/") || strings.HasPrefix(f.Path, "pis/pi8/")
	})
	write(t, smaller, dir)
	require.FileExists(t, theirs)
	require.NoDirExists(t, filepath.Join(dir, "pis/pi8"))
	require.NoFileExists(t, filepath.Join(dir, "pis/pi1/cmdline.txt"))
	require.NoDirExists(t, filepath.Join(dir, stagingName))
}

func TestDiffWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rack")
	tree, err := story(t).Tree()
	require.NoError(t, err)
	steps, err := tree.Diff(dir)
	require.NoError(t, err)
	require.Len(t, steps, len(tree))
	require.NoDirExists(t, dir)
	require.Equal(t, fmt.Sprintf("install -D -m 0644 /dev/stdin %s/pis/pi1/cmdline.txt  # new, %d bytes", dir, len(storyCmdline)), steps[0].String())
}

func TestWriteStaysBelowItsDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "cmdline.txt"), []byte("theirs"), 0o644))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "pis"), 0o755))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "pis", "pi1")))
	tree := Tree{{"pis/pi1/cmdline.txt", 0o644, "ours"}}
	_, err := tree.Diff(dir)
	require.Error(t, err)
	require.Error(t, tree.Write(t.Context(), dir, []Step{{"new", tree[0], dir}}))
	require.Equal(t, "theirs", contents(t, outside)[0].Data)

	// Nor does a list that somebody has changed lead a removal elsewhere.
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, manifestName), []byte("../../etc/passwd\n"), 0o644))
	_, err = tree.Diff(other)
	require.ErrorContains(t, err, "../../etc/passwd")
}

func TestWriteIsCancelled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tree := Tree{{"a", 0o644, "a"}}
	require.ErrorIs(t, tree.Write(ctx, dir, []Step{{"new", tree[0], dir}}), context.Canceled)
	require.Empty(t, contents(t, dir))
}

func TestRemovalFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	two := Tree{{"pis/pi1/a", 0o644, "1"}, {"pis/pi2/a", 0o644, "2"}}
	write(t, two, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "pis/pi2")))
	require.NoError(t, os.Symlink("pi1", filepath.Join(dir, "pis/pi2")))
	_, err := two.Diff(dir)
	require.ErrorContains(t, err, "pis/pi2 is a symbolic link")
	write(t, two[:1], dir)
	require.FileExists(t, filepath.Join(dir, "pis/pi1/a"))

	// What stands in the way of a removal is not what was made: it is let alone.
	write(t, Tree{two[0], {"pis/pi3/a", 0o644, "3"}}, dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "pis/pi3")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pis/pi3"), []byte("mine"), 0o644))
	write(t, two[:1], dir)
	require.FileExists(t, filepath.Join(dir, "pis/pi3"))
}

func TestOneWriteAtATime(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	release, err := lock(root)
	require.NoError(t, err)
	tree := Tree{{"a", 0o644, "a"}}
	steps, err := tree.Diff(dir)
	require.NoError(t, err)
	require.ErrorContains(t, tree.Write(t.Context(), dir, steps), "another run is at work there")
	require.NoError(t, release())
	require.NoError(t, tree.Write(t.Context(), dir, steps))
}

// killVar makes TestKilledWrite write a rack, again and again, to be killed.
const killVar = "BERRYRACK_TEST_WRITE"

func TestKilledWrite(t *testing.T) {
	even, odd := Tree{}, Tree{}
	for i := range 200 {
		path := fmt.Sprintf("pis/pi%d/cmdline.txt", i)
		even = append(even, File{path, 0o644, "even"})
		if i%2 == 1 {
			odd = append(odd, File{path, 0o600, "odd"})
		}
	}
	if dir := os.Getenv(killVar); dir != "" {
		for {
			write(t, even, dir)
			write(t, odd, dir)
		}
	}
	dir := t.TempDir()
	for range 25 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWrite$")
		cmd.Env = append(os.Environ(), killVar+"="+dir)
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // a moment to be killed at
		require.NoError(t, cmd.Process.Kill())
		cmd.Wait()
		for _, f := range contents(t, dir) {
			if strings.HasPrefix(f.Path, stagingName) {
				continue
			}
			require.Contains(t, []File{{f.Path, 0o644, "even"}, {f.Path, 0o600, "odd"}}, f, "half a file")
		}
	}
	// And then nothing of what the killed ones made is left over.
	write(t, odd, dir)
	require.ElementsMatch(t, odd, contents(t, dir))
}

func BenchmarkWrite(b *testing.B) {
	c := random(rand.New(rand.NewPCG(1, 2)), 1000)
	for i := range c.Pis {
		c.Pis[i].Serial = fmt.Sprintf("%08x", i+1)
	}
	r, err := Parse("random.yaml", yamlOf(c))
	require.NoError(b, err)
	for b.Loop() {
		tree, err := r.Tree()
		require.NoError(b, err)
		b.ReportMetric(float64(len(write(b, tree, b.TempDir()))), "files")
	}
}
