package publish_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify"
)

const (
	rootVar = "STATICIFY_TEST_ROOT"
	killVar = "STATICIFY_TEST_KILL"
)

// TestChild publishes new pages, and kills itself on the way.
func TestChild(t *testing.T) {
	root, ok := os.LookupEnv(rootVar)
	if !ok {
		t.Skip("runs in a process of its own")
	}
	p := newPress(t)
	p.Roots, p.now = []string{root}, epoch.Add(10*time.Second)
	left, err := strconv.Atoi(os.Getenv(killVar))
	require.NoError(t, err)
	p.Step(func(string) {
		if left--; left == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	})
	p.publish(t, p.page("/", 0, "new"), p.page("/same", 0, "same"), p.page("/more", 20*time.Second, "more"))
}

// kill -9 at each step leaves all pages of the old generation or all of the new one, and nothing that the next
// Publish does not clear away.
func TestKilledAtEachStep(t *testing.T) {
	then := epoch.Add(10 * time.Second)
	before := map[string]string{"^.html": "old", "same^.html": "same", "gone^.html": "gone"}
	after := map[string]string{"^.html": "new", "same^.html": "same", "more^.html": "more"}
	sawOld, sawNew := 0, 0
	for step := 1; ; step++ {
		p := newPress(t)
		p.publish(t, p.page("/", 0, "old"), p.page("/same", 0, "same"), p.page("/gone", 0, "gone"))
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), rootVar+"="+p.root, killVar+"="+fmt.Sprint(step), "TMPDIR="+t.TempDir()) // it cannot clear away itself
		output, err := cmd.CombinedOutput()
		got := p.at(t, then)
		if err == nil {
			require.Equal(t, after, got)
			break
		}
		require.ErrorContains(t, err, "killed", string(output))
		if got["^.html"] == "old" {
			sawOld++
			require.Equal(t, before, got, "step %d", step)
		} else {
			sawNew++
			require.Equal(t, after, got, "step %d", step)
		}
		p.now = then
		p.publish(t, p.page("/", 0, "newer"))
		require.Equal(t, map[string]string{"^.html": "newer"}, p.at(t, then))
		entries, err := os.ReadDir(filepath.Join(p.root, "generations"))
		require.NoError(t, err)
		require.LessOrEqual(t, len(entries), 2)
	}
	require.Greater(t, sawOld, 10)
	require.Positive(t, sawNew)
}

// newSmallPress has its root on a file system of that size. It wants an isolated test.
func newSmallPress(t *testing.T, size string) *press {
	p := newPress(t)
	require.NoError(t, os.MkdirAll(p.root, 0o755))
	require.NoError(t, unix.Mount("none", p.root, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(p.root, 0)) })
	return p
}

// On a full file system the old generation stays, until it is too old.
func TestFullFilesystem(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	p := newSmallPress(t, "256k")
	p.publish(t, p.page("/", 0, "old"))
	before := p.at(t, p.now)
	large := make([]byte, 400)
	for size := range 40 {
		big := p.page("/big", 0, string(make([]byte, 10_000*size)))
		pages := []*staticify.Page{p.page("/", 0, "new"), big}
		for i := range 3 * size {
			pages = append(pages, p.page(fmt.Sprintf("/%d/", i), 0, string(large)))
		}
		err := p.Publish(t.Context(), pages)
		if err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Equal(t, before, p.at(t, p.now))
			require.Greater(t, size, 1)
			p.publish(t, p.page("/", 0, "again"))
			require.Equal(t, map[string]string{"^.html": "again"}, p.at(t, p.now))
			return
		}
		before = p.at(t, p.now)
	}
	t.Fatal("the file system was never full")
}

// A file system that cannot hold two generations has a new one when the time of the old one is over.
func TestFullFilesystemHeals(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	p := newSmallPress(t, "300k")
	random := rand.New(rand.NewPCG(1, 2)) // compresses to nothing less
	body := func() string {
		b := make([]byte, 170_000)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return string(b)
	}
	p.publish(t, p.page("/", 0, body()))
	before := p.at(t, p.now)
	p.now = p.now.Add(20 * time.Second)
	require.ErrorIs(t, p.Publish(t.Context(), []*staticify.Page{p.page("/", 0, body())}), syscall.ENOSPC)
	require.Equal(t, before, p.at(t, p.now))
	p.now = p.now.Add(time.Minute)
	next := body()
	p.publish(t, p.page("/", 0, next))
	require.Equal(t, map[string]string{"^.html": next}, p.at(t, p.now))
}

// Files, which later generations have too, can be read whatever the umask once was, and nobody else takes the lock.
func TestUmask(t *testing.T) {
	p := newPress(t)
	require.NoError(t, os.MkdirAll(p.root, 0o755))
	before := unix.Umask(0o077)
	defer unix.Umask(before)
	p.publish(t, p.page("/", 0, "home"))
	for name, mode := range map[string]os.FileMode{"current/pages0/^.html": 0o644, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(p.root, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), name)
	}
}
