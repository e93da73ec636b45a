package rackbox

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plug connects a wire to a port, and returns its other end.
func plug(t *testing.T, s *Switch, port int) *os.File {
	t.Helper()
	ours, theirs, err := cable("test")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Connect(ctx, port, ours) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		theirs.Close()
	})
	require.Eventually(t, func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.wires[port] == ours
	}, 10e9, 1e6)
	return theirs
}

func TestSwitchOverWires(t *testing.T) {
	s, err := NewSwitch(plan())
	require.NoError(t, err)
	a, fs := plug(t, s, pi1), plug(t, s, server)
	_, err = a.Write(ethernet(broadcast, host(1)))
	require.NoError(t, err)
	raw := make([]byte, maxFrame)
	n, err := fs.Read(raw)
	require.NoError(t, err)
	require.Equal(t, ethernet(broadcast, host(1), 10), raw[:n])

	_, err = fs.Write(ethernet(host(1), host(9), 10))
	require.NoError(t, err)
	n, err = a.Read(raw)
	require.NoError(t, err)
	require.Equal(t, ethernet(host(1), host(9)), raw[:n])
}

// A computer that reads nothing loses its own frames, and holds up nobody.
func TestSlowComputer(t *testing.T) {
	s, err := NewSwitch(plan())
	require.NoError(t, err)
	a, b, c := plug(t, s, pi1), plug(t, s, pi2), plug(t, s, pi3)
	_ = b // reads nothing
	raw := make([]byte, maxFrame)
	for range 5000 {
		_, err := a.Write(ethernet(broadcast, host(1), 131))
		require.NoError(t, err)
		_, err = c.Read(raw)
		require.NoError(t, err)
	}
	require.NotZero(t, s.Dropped.Load())
}

// The end of a wire is that of its link: what was learned there is forgotten.
func TestUnplugged(t *testing.T) {
	s, err := NewSwitch(plan())
	require.NoError(t, err)
	ours, theirs, err := cable("test")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Connect(t.Context(), pi1, ours) }()
	_, err = theirs.Write(ethernet(broadcast, host(1)))
	require.NoError(t, err)
	require.NoError(t, theirs.Close())
	require.NoError(t, <-done)
	require.Empty(t, s.wires)
	require.Empty(t, s.bridge.learned)
}

func TestTaggedWire(t *testing.T) {
	ours, theirs, err := cable("test")
	require.NoError(t, err)
	defer theirs.Close()
	wire := tagged{ours, public}
	defer wire.Close()
	_, err = unix.Write(int(theirs.Fd()), ethernet(broadcast, host(1)))
	require.NoError(t, err)
	raw := make([]byte, maxFrame+1)
	n, err := wire.Read(raw)
	require.NoError(t, err)
	require.Equal(t, ethernet(broadcast, host(1), 131), raw[:n])
	_, err = wire.Write(ethernet(host(1), host(2), 131))
	require.NoError(t, err)
	n, err = theirs.Read(raw)
	require.NoError(t, err)
	require.Equal(t, ethernet(host(1), host(2)), raw[:n])
}
