package rootfs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// victimVar makes this test binary a process that is to be killed: what it
// does, and the golden tree and the root that it does it to.
const victimVar = "ROOTFS_TEST_VICTIM"

func TestMain(m *testing.M) {
	what := os.Getenv(victimVar)
	if what == "" {
		os.Exit(m.Run())
	}
	if err := victim(what, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func victim(what, golden, dir string) error {
	root := Root{Dir: dir}
	if what == "rebuild" {
		return Rebuild(context.Background(), golden, root, Machine{}, nil)
	}
	plans, err := PlanSync(context.Background(), golden, []Root{root})
	if err != nil {
		return err
	}
	return Apply(context.Background(), plans, nil)
}

// twoTrees makes two golden trees with little in common but names, and a root
// of the first one.
func twoTrees(t *testing.T) (goldens [2]string, root Root) {
	t.Helper()
	dir := t.TempDir()
	for i := range goldens {
		goldens[i] = filepath.Join(dir, fmt.Sprintf("golden%d", i))
		require.NoError(t, os.Mkdir(goldens[i], 0o755))
		oddTree(t, goldens[i])
		for n := range 100 {
			write(t, filepath.Join(goldens[i], fmt.Sprintf("lib/%d/file%d", n%10, n)), fmt.Sprint("of tree ", i, n))
			write(t, filepath.Join(goldens[i], fmt.Sprintf("lib/%d/caf\xe9%d", n%10, n)), fmt.Sprint("of tree ", i, n))
			if n%5 == i {
				write(t, filepath.Join(goldens[i], fmt.Sprintf("only%d/%d", i, n)), "")
			}
		}
		write(t, filepath.Join(goldens[i], "etc/hostname"), fmt.Sprint("tree ", i, "\n"))
	}
	root = Root{Dir: filepath.Join(dir, "root")}
	require.NoError(t, Clone(t.Context(), goldens[0], []Root{root}, nil))
	return goldens, root
}

// kill runs a victim, and kills it some time after a file of its side directory
// is there. It reports whether that was in time: whether the victim was at work.
func kill(t *testing.T, what, golden string, root Root, file string, after time.Duration) (landed bool) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, golden, root.Dir)
	cmd.Env = append(os.Environ(), victimVar+"="+what)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for begun := (time.Time{}); ; runtime.Gosched() {
		select {
		case err := <-done:
			require.NoError(t, err)
			return false
		default:
		}
		if begun.IsZero() && there(root, file) {
			begun = time.Now()
		}
		if begun.IsZero() || time.Since(begun) < after {
			continue
		}
		cmd.Process.Kill() // fails when it has just ended
		return <-done != nil && (there(root, stageName) || there(root, journalName))
	}
}

// there reports whether a root's side directory has a file.
func there(root Root, file string) bool {
	_, err := os.Lstat(filepath.Join(sideOf(root), file))
	return err == nil
}

// kills is how many kills must hit a run at work, of how many that are tried.
const kills, tries = 50, 1000

// A kill at any moment of a rebuild leaves one whole root, at once.
func TestKilledRebuild(t *testing.T) { testKilled(t, "rebuild") }

// A kill at any moment of a sync leaves whole files at once, and a whole root,
// the old or the new one, once what was begun is finished.
func TestKilledSync(t *testing.T) { testKilled(t, "sync") }

func testKilled(t *testing.T, what string) {
	lab.Need(t, "root")
	goldens, root := twoTrees(t)
	trees := [2]map[string]string{fingerprint(t, goldens[0]), fingerprint(t, goldens[1])}
	begin := time.Now()
	require.False(t, kill(t, what, goldens[1], root, stageName, time.Minute))
	whole := time.Since(begin)
	is, rnd, landed, committing, outcomes := 1, rand.New(rand.NewPCG(1, 2)), 0, 0, [2]int{}
	for try := 0; landed < kills; try++ {
		require.Less(t, try, tries, "%d kills hit", landed)
		to, file := 1-is, []string{stageName, journalName}[try%2]
		if kill(t, what, goldens[to], root, file, time.Duration(rnd.Int64N(int64(whole)/int64(3+57*(try%2))))) {
			landed++
			if there(root, journalName) {
				committing++
			}
		}
		before := fingerprint(t, root.Dir)
		if what == "rebuild" {
			require.Contains(t, trees[:], before, "one whole root, without help")
		} else {
			requireWholeFiles(t, trees, before)
		}
		require.NoError(t, Recover(t.Context(), root.Dir))
		after := fingerprint(t, root.Dir)
		require.Contains(t, trees[:], after)
		if after["etc/hostname"] == trees[to]["etc/hostname"] {
			is = to
			outcomes[1]++
		} else {
			outcomes[0]++
		}
		require.False(t, there(root, stageName))
		require.False(t, there(root, journalName))
		require.NoError(t, DiscardOld(t.Context(), root.Dir))
		require.NoError(t, EmptyTrash(t.Context(), root.Dir, time.Now().Add(time.Hour)))
	}
	t.Logf("%d kills hit a run at work, %d of them when it put things in place; %d runs left the old root, %d the new one", landed, committing, outcomes[0], outcomes[1])
	require.NotZero(t, committing)
	require.NotZero(t, outcomes[0])
}

// requireWholeFiles checks that every content is that of one of the trees.
func requireWholeFiles(t *testing.T, trees [2]map[string]string, got map[string]string) {
	t.Helper()
	content := func(s string) string { return s[max(0, len(s)-64):] }
	for p, entry := range got {
		if !strings.HasPrefix(entry, "100") {
			continue // no regular file
		}
		a, inA := trees[0][p]
		b, inB := trees[1][p]
		require.True(t, inA && content(a) == content(entry) || inB && content(b) == content(entry), "%q: %s", p, entry)
	}
}
