package rootfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// pi is a Pi whose hooks write down what happens to it.
type pi struct {
	up  bool
	log []string
	err map[string]error
}

func (p *pi) machine() Machine {
	hook := func(name string, effect func()) func(context.Context) error {
		return func(context.Context) error {
			p.log = append(p.log, name)
			if err := p.err[name]; err != nil {
				return err
			}
			effect()
			return nil
		}
	}
	return Machine{
		Reachable: func(context.Context) (bool, error) { return p.up, p.err["reachable"] },
		PowerOff:  hook("off", func() { p.up = false }),
		PowerOn:   hook("on", func() { p.up = true }),
		Reexport:  hook("export", func() {}),
		Serving:   hook("serving", func() {}),
	}
}

func TestRebuildAndRollback(t *testing.T) {
	golden, roots := cloned(t, 1)
	root := roots[0]
	write(t, filepath.Join(root.Dir, "etc/hostname"), "broken\n")
	broken := fingerprint(t, root.Dir)
	p := &pi{}
	require.NoError(t, Rebuild(t.Context(), golden, root, p.machine(), nil))
	require.Equal(t, []string{"off", "export", "serving", "on"}, p.log)
	require.Equal(t, fingerprint(t, golden), fingerprint(t, root.Dir))
	status, err := Look(root.Dir)
	require.NoError(t, err)
	require.Equal(t, Status{Dir: root.Dir, Exists: true, Old: 1}, status)

	require.ErrorIs(t, Rollback(t.Context(), root.Dir, p.machine()), ErrRunning)
	forced := p.machine()
	forced.Force = true
	require.NoError(t, Rollback(t.Context(), root.Dir, forced))
	require.Equal(t, broken, fingerprint(t, root.Dir))
	require.ErrorIs(t, Rollback(t.Context(), root.Dir, Machine{}), ErrNoOld)
	require.Equal(t, broken, fingerprint(t, root.Dir))

	require.NoError(t, Rebuild(t.Context(), golden, root, Machine{}, nil))
	require.NoError(t, DiscardOld(t.Context(), root.Dir))
	require.ErrorIs(t, Rollback(t.Context(), root.Dir, Machine{}), ErrNoOld)
}

func TestRebuildMakesAMissingRoot(t *testing.T) {
	golden, roots := newRoots(t, 1)
	require.NoError(t, Rebuild(t.Context(), golden, roots[0], Machine{}, nil))
	require.Equal(t, fingerprint(t, golden), fingerprint(t, roots[0].Dir))
}

// Whatever fails before the swap leaves the old root, and a Pi with power.
func TestRebuildFails(t *testing.T) {
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		up      bool
		fails   string
		cancel  bool
		want    error
		log     []string
		swapped bool
	}{
		"the Pi is up":       {up: true, want: ErrRunning},
		"the Pi is unknown":  {fails: "reachable", want: boom},
		"power off fails":    {fails: "off", want: boom, log: []string{"off", "on"}},
		"cancelled when off": {cancel: true, want: context.Canceled, log: []string{"off", "on"}},
		"export fails":       {fails: "export", want: boom, log: []string{"off", "export", "on"}, swapped: true},
		"serving fails":      {fails: "serving", want: boom, log: []string{"off", "export", "serving", "on"}, swapped: true},
	} {
		t.Run(name, func(t *testing.T) {
			golden, roots := cloned(t, 1)
			write(t, filepath.Join(roots[0].Dir, "etc/hostname"), "broken\n")
			want := fingerprint(t, roots[0].Dir)
			if test.swapped {
				want = fingerprint(t, golden)
			}
			p := &pi{up: test.up, err: map[string]error{test.fails: boom}}
			m := p.machine()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if off := m.PowerOff; test.cancel {
				m.PowerOff = func(ctx context.Context) error { cancel(); return off(ctx) }
			}
			require.ErrorIs(t, Rebuild(ctx, golden, roots[0], m, nil), test.want)
			require.Equal(t, test.log, p.log)
			require.Equal(t, want, fingerprint(t, roots[0].Dir))
			require.NoDirExists(t, filepath.Join(sideOf(roots[0]), stageName))
		})
	}
}

func TestWaitsForThePi(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		m := Machine{
			PowerOn:   func(context.Context) error { return nil },
			Reachable: func(context.Context) (bool, error) { asked++; return asked > 30, nil },
			Force:     true,
		}
		require.NoError(t, m.around(t.Context(), func() error { return nil }))
		require.Equal(t, 31, asked)
	})
}

// A Pi that does not come back is not waited for without end.
func TestWaitsForThePiInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Machine{
			PowerOn:   func(context.Context) error { return nil },
			Reachable: func(context.Context) (bool, error) { return false, nil },
			Force:     true,
		}
		require.ErrorIs(t, m.around(t.Context(), func() error { return nil }), context.DeadlineExceeded)
	})
}

func TestPowerIsOnAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	on := false
	m := Machine{
		PowerOff: func(context.Context) error { return nil },
		PowerOn:  func(ctx context.Context) error { on = true; return ctx.Err() },
		Reexport: func(ctx context.Context) error { cancel(); return ctx.Err() },
	}
	require.ErrorIs(t, m.around(ctx, func() error { return nil }), context.Canceled)
	require.True(t, on)
}

func TestSteps(t *testing.T) {
	p := &pi{}
	require.Equal(t, []string{"copy /srv/golden beside /export/pi1, as pi1", "make sure that the Pi is down", "power off",
		"swap /export/pi1, keep the former root", "exportfs -f", "wait for the NFS server", "power on", "wait for the Pi"},
		RebuildSteps("/srv/golden", Root{Dir: "/export/pi1", Identity: Identity{Hostname: "pi1"}}, p.machine()))
	require.Equal(t, []string{"swap /export/pi1 with the former root, move it to the trash"}, RollbackSteps("/export/pi1", Machine{}))
}

func TestUnreadableJournal(t *testing.T) {
	golden, roots := cloned(t, 1)
	journal := filepath.Join(sideOf(roots[0]), journalName)
	write(t, journal, "{")
	require.ErrorContains(t, Recover(t.Context(), roots[0].Dir), journal)
	require.NoError(t, os.Remove(journal))
	require.NoError(t, Rebuild(t.Context(), golden, roots[0], Machine{}, nil))
}
