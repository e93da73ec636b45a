package rootfs

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// push plans and applies, and returns what the plans were.
func push(t *testing.T, p Push) []Plan {
	t.Helper()
	plans, err := PlanPush(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, Apply(t.Context(), plans, nil))
	return plans
}

func TestPush(t *testing.T) {
	golden, roots := cloned(t, 3)
	upload := filepath.Join("var/www/uploads/2016/04", "photo.jpg")
	write(t, filepath.Join(roots[0].Dir, upload), "first")
	age(t, filepath.Join(roots[0].Dir, "var/www"))
	p := Push{From: roots[0], Path: "/var/www/uploads", To: append(roots[1:], Root{Dir: golden})}
	require.Equal(t, []string{"new var (6 files, 5 bytes)"}, lines(push(t, p)[0]))
	for _, to := range p.To {
		require.Equal(t, "first", read(t, filepath.Join(to.Dir, upload)))
	}
	require.Equal(t, fingerprint(t, filepath.Join(roots[0].Dir, "var/www")), fingerprint(t, filepath.Join(roots[2].Dir, "var/www")))
	require.Empty(t, lines(push(t, p)[1]), "the second time")

	// What Push has put there, it replaces.
	write(t, filepath.Join(roots[0].Dir, upload), "second")
	require.Equal(t, []string{"replace " + upload}, lines(push(t, p)[1]))
	require.Equal(t, "second", read(t, filepath.Join(roots[2].Dir, upload)))

	// What another Pi has written, it does not.
	write(t, filepath.Join(roots[0].Dir, upload), "third")
	write(t, filepath.Join(roots[1].Dir, upload), "by another Pi")
	plans := push(t, p)
	require.Equal(t, []Conflict{{upload, ErrConflict.Error()}}, plans[0].Conflicts)
	require.Equal(t, "by another Pi", read(t, filepath.Join(roots[1].Dir, upload)))
	require.Equal(t, "third", read(t, filepath.Join(roots[2].Dir, upload)))
}

func TestPushReplacesWhatGoldenHas(t *testing.T) {
	golden, roots := cloned(t, 2)
	write(t, filepath.Join(roots[0].Dir, "etc/hostname"), "changed\n")
	p := Push{From: roots[0], Path: "etc/hostname", To: roots[1:]}
	require.Len(t, push(t, p)[0].Conflicts, 1)
	p.Golden = golden
	require.Empty(t, push(t, p)[0].Conflicts)
	require.Equal(t, "changed\n", read(t, filepath.Join(roots[1].Dir, "etc/hostname")))
}

// A Pi that is somebody else's by now does not get at the others.
func TestPushFromAHostilePi(t *testing.T) {
	_, roots := cloned(t, 2)
	outside := t.TempDir()
	write(t, filepath.Join(outside, "shadow"), "the server's")
	in := func(p string) string { return filepath.Join(roots[0].Dir, p) }
	write(t, in("srv/setuid"), "program")
	require.NoError(t, os.Chmod(in("srv/setuid"), 0o755|os.ModeSetuid))
	require.NoError(t, syscall.Mkfifo(in("srv/fifo"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(outside, "shadow"), in("srv/link")))
	require.NoError(t, os.Symlink(outside, in("door")))

	push(t, Push{From: roots[0], Path: "srv", To: roots[1:]})
	info, err := os.Lstat(filepath.Join(roots[1].Dir, "srv/setuid"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	require.NoFileExists(t, filepath.Join(roots[1].Dir, "srv/fifo"))
	to, err := os.Readlink(filepath.Join(roots[1].Dir, "srv/link"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(outside, "shadow"), to, "a link stays a link")

	_, err = PlanPush(t.Context(), Push{From: roots[0], Path: "door/shadow", To: roots[1:]})
	require.Error(t, err)
	_, err = PlanPush(t.Context(), Push{From: roots[0], Path: "/..", To: roots[1:]})
	require.ErrorContains(t, err, "whole root")

	// The other one has a door where the first has a directory.
	require.NoError(t, os.Symlink(outside, filepath.Join(roots[1].Dir, "opt")))
	write(t, in("opt/shadow"), "stolen")
	plans := push(t, Push{From: roots[0], Path: "opt", To: roots[1:]})
	require.Equal(t, []Conflict{{"opt", "is of another type there"}}, plans[0].Conflicts)
	require.Equal(t, "the server's", read(t, filepath.Join(outside, "shadow")))
}

func TestWatch(t *testing.T) {
	_, roots := cloned(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reports := make(chan []Plan)
	done := make(chan error)
	go func() {
		p := Push{From: roots[0], Path: "uploads", To: roots[1:]}
		done <- Watch(ctx, p, time.Millisecond, func(plans []Plan, err error) {
			select {
			case reports <- plans:
			case <-ctx.Done():
			}
		})
	}()
	appear := func(p, data string) { // at once, with all it has
		in := filepath.Join(roots[0].Dir, "in")
		write(t, filepath.Join(in, "file"), data)
		from, to := in, filepath.Join(roots[0].Dir, p)
		if filepath.Dir(p) != "." {
			from = filepath.Join(in, "file")
		}
		require.NoError(t, os.Rename(from, to))
	}
	appear("uploads", "one")
	require.Equal(t, []string{"new uploads (2 files, 3 bytes)"}, lines((<-reports)[0]))
	appear("uploads/b", "two")
	require.Equal(t, []string{"new uploads/b"}, lines((<-reports)[0]))
	require.Equal(t, "two", read(t, filepath.Join(roots[1].Dir, "uploads/b")))
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}
