package rootfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// interrupt leaves a plan as a kill after its first steps would.
func interrupt(t *testing.T, plan Plan, steps int) {
	t.Helper()
	sides, err := openSides([]Root{plan.Root})
	require.NoError(t, err)
	defer closeAll(sides)
	w := newWork(plan, sides[0])
	defer unix.Close(w.root.base)
	a := &application{tree: plan.tree, works: []*work{w}, meter: &meter{}}
	require.NoError(t, a.stage(t.Context(), plan))
	all, err := w.steps()
	require.NoError(t, err)
	require.NoError(t, w.side.writeJournal(journal{Steps: all, Pushed: w.pushed()}))
	for _, s := range all[:steps] {
		require.NoError(t, w.side.step(w.root.base, s))
	}
}

func planned(t *testing.T, golden string, root Root) Plan {
	t.Helper()
	plans, err := PlanSync(t.Context(), golden, []Root{root})
	require.NoError(t, err)
	return plans[0]
}

// Paths are bytes, in the journal and in the record of pushes too.
func TestInterruptedWithOddNames(t *testing.T) {
	golden, roots := cloned(t, 2)
	write(t, filepath.Join(golden, "etc/caf\xe9"), "new")
	interrupt(t, planned(t, golden, roots[0]), 0)
	require.NoError(t, Recover(t.Context(), roots[0].Dir))
	require.Equal(t, fingerprint(t, golden), fingerprint(t, roots[0].Dir))

	odd := "srv/\xe9t\xe9"
	p := Push{From: roots[0], Path: "srv", To: roots[1:]}
	for _, data := range []string{"one", "second"} {
		write(t, filepath.Join(roots[0].Dir, odd), data)
		require.Empty(t, push(t, p)[0].Conflicts)
		require.Equal(t, data, read(t, filepath.Join(roots[1].Dir, odd)))
	}
}

// A Pi that is up does not lose its root to a run that was cut short.
func TestInterruptedSwapIsGivenUp(t *testing.T) {
	golden, roots := cloned(t, 1)
	old := fingerprint(t, roots[0].Dir)
	write(t, filepath.Join(golden, "etc/hostname"), "other\n")
	sides, err := openSides(roots)
	require.NoError(t, err)
	_, err = build(t.Context(), golden, roots, sides, nil)
	require.NoError(t, err)
	st, err := lstat(sides[0].dir, stageName)
	require.NoError(t, err)
	require.NoError(t, sides[0].writeJournal(journal{Swap: st.Ino, From: stageName, Retire: "old/0"}))
	closeAll(sides)

	up := Machine{Reachable: func(context.Context) (bool, error) { return true, nil }}
	require.ErrorIs(t, Rollback(t.Context(), roots[0].Dir, up), ErrRunning)
	require.Equal(t, old, fingerprint(t, roots[0].Dir))
	require.NoFileExists(t, filepath.Join(sideOf(roots[0]), journalName))
}

func TestSwapWithoutTheNewRoot(t *testing.T) {
	_, roots := cloned(t, 1)
	s, err := openSide(roots[0].Dir)
	require.NoError(t, err)
	defer s.close()
	require.ErrorIs(t, s.swap(journal{Swap: 4711, From: stageName, Retire: "old/0"}), unix.ENOENT)
	require.DirExists(t, roots[0].Dir)
}

// What the Pi has written since is newer than what the run had in mind.
func TestInterruptedSyncSparesThePisWrites(t *testing.T) {
	for _, done := range []string{"nothing", "everything"} {
		t.Run(done, func(t *testing.T) {
			golden, roots := cloned(t, 1)
			write(t, filepath.Join(golden, "etc/hostname"), "of the golden tree\n")
			plan := planned(t, golden, roots[0])
			steps := 0
			if done == "everything" {
				steps = len(plan.Changes)
			}
			interrupt(t, plan, steps)
			file := filepath.Join(roots[0].Dir, "etc/hostname")
			write(t, file+".new", "of the Pi\n")
			require.NoError(t, os.Rename(file+".new", file))
			require.NoError(t, Recover(t.Context(), roots[0].Dir))
			require.Equal(t, "of the Pi\n", read(t, file))
		})
	}
}

// A Pi that writes between plan and push loses nothing.
func TestPushToAFileThatChanges(t *testing.T) {
	golden, roots := cloned(t, 2)
	file := filepath.Join(roots[1].Dir, "etc/hostname")
	write(t, filepath.Join(roots[0].Dir, "etc/hostname"), "of pi1\n")
	plans, err := PlanPush(t.Context(), Push{From: roots[0], Path: "etc/hostname", To: roots[1:], Golden: golden})
	require.NoError(t, err)
	require.Len(t, plans[0].Changes, 1)
	write(t, file, "of pi2, meanwhile\n")
	require.ErrorIs(t, Apply(t.Context(), plans, nil), ErrConflict)
	require.Equal(t, "of pi2, meanwhile\n", read(t, file))
}

// Without a trash, what a Pi has open stays where it is until there is one.
func TestTrashThatTakesNothing(t *testing.T) {
	golden, roots := cloned(t, 1)
	trash := filepath.Join(sideOf(roots[0]), trashName)
	write(t, filepath.Join(golden, "etc/hostname"), "other\n")
	plan := planned(t, golden, roots[0])
	open, err := os.Open(filepath.Join(roots[0].Dir, "etc/hostname"))
	require.NoError(t, err)
	defer open.Close()
	require.NoError(t, os.Remove(trash))
	write(t, trash, "")
	require.Error(t, Apply(t.Context(), []Plan{plan}, nil))
	require.Error(t, Recover(t.Context(), roots[0].Dir))
	links := func() uint64 {
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(int(open.Fd()), &st))
		return uint64(st.Nlink)
	}
	require.EqualValues(t, 1, links())
	require.NoError(t, os.Remove(trash))
	require.NoError(t, Recover(t.Context(), roots[0].Dir))
	require.EqualValues(t, 1, links())
	status, err := Look(roots[0].Dir)
	require.NoError(t, err)
	require.Equal(t, 1, status.Trash)
}

// The side directory is on the filesystem of a Pi, which may be hostile.
func TestForgedJournal(t *testing.T) {
	_, roots := cloned(t, 1)
	outside := filepath.Join(filepath.Dir(sideOf(roots[0])), "outside")
	require.NoError(t, os.Mkdir(outside, 0o755))
	st, err := os.Stat(filepath.Join(roots[0].Dir, "etc/empty"))
	require.NoError(t, err)
	inode := inodeOf(st)
	for _, forged := range []string{
		fmt.Sprintf(`{"Steps":[{"Kind":3,"Path":"ZXRjL2VtcHR5","Slot":"../../outside/x","Inode":%d}]}`, inode),
		fmt.Sprintf(`{"Steps":[{"Kind":3,"Path":"Li4vb3V0c2lkZQ==","Slot":"0","Inode":%d}]}`, inode),
		`{"Steps":[{"Kind":2,"Path":""}]}`,
		`{"Steps":[{"Kind":9,"Path":""}]}`,
		`{"Swap":1,"From":"../outside","Retire":"old/0"}`,
		`{"Swap":1,"From":"stage","Retire":"old/../../outside/x"}`,
	} {
		file := filepath.Join(sideOf(roots[0]), journalName)
		write(t, filepath.Join(sideOf(roots[0]), "stage/x"), "")
		write(t, file, forged)
		require.ErrorContains(t, Recover(t.Context(), roots[0].Dir), file, forged)
		entries, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

func TestJournalThatIsNoFile(t *testing.T) {
	_, roots := cloned(t, 1)
	file := filepath.Join(sideOf(roots[0]), journalName)
	require.NoError(t, unix.Mkfifo(file, 0o600))
	failed := make(chan error, 1)
	go func() { failed <- Recover(context.Background(), roots[0].Dir) }()
	select {
	case err := <-failed:
		require.ErrorContains(t, err, "is no file")
	case <-time.After(10 * time.Second):
		t.Fatal("waits for a writer")
	}
	require.NoError(t, os.Remove(file))
	write(t, file, "")
	require.NoError(t, os.Truncate(file, maxFile+1))
	require.ErrorContains(t, Recover(t.Context(), roots[0].Dir), "is no file of at most")
}

func inodeOf(info os.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }
