package rack

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

// switched is the story's rack on a simulated switch that answers SNMP on loopback.
func switched(t *testing.T) *Rack {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	sim := poetest.New(poetest.Config{Ports: 24, Watts: 370, Vendor: poetest.HP})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sim.Serve(ctx, conn, "s3cret") }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })

	community := filepath.Join(t.TempDir(), "community")
	require.NoError(t, os.WriteFile(community, []byte("s3cret\n"), 0o600))
	text := fmt.Sprintf("%sswitches: [{name: sw1, address: %q, port: \"swp{port}\", poe: \"1.{port}\", snmp: {version: 2, community_file: %q}}]\n", Story, conn.LocalAddr(), community)
	r, err := Parse("rack.yaml", []byte(text))
	require.NoError(t, err)
	for i := range r.Pis {
		id := poe.PortID{Group: 1, Port: r.Pis[i].Port}
		sim.Attach(id, &poetest.Device{Watts: 4})
	}
	return r
}

func TestPower(t *testing.T) {
	r := switched(t)
	state := filepath.Join(t.TempDir(), "state")
	planning, err := r.Powering(t.Context(), state, r.Pis[2:3])
	require.NoError(t, err)
	defer planning.Close()
	lines, err := planning.Explain(t.Context(), r.Pis[2])
	require.NoError(t, err)
	require.Len(t, lines, 3)
	require.Equal(t, "sleep 5", lines[1], "as long as it is dark")
	require.NotContains(t, strings.Join(lines, ""), "s3cret")
	require.NoDirExists(t, state)
	p, err := r.Power(t.Context(), state, r.Pis[2:3], nil)
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Recover(t.Context()))
	c, id, err := p.of(r.Pis[2])
	require.NoError(t, err)
	c.Hold, c.Poll = time.Millisecond, time.Millisecond
	for port, guarded := range c.Guard.Ports {
		guarded.Up = nil // there is no Pi to answer: delivered power has to do
		c.Guard.Ports[port] = guarded
	}

	report, err := p.Cycle(t.Context(), r.Pis[2])
	require.NoError(t, err)
	require.Equal(t, "pi3", report.Name)
	require.False(t, report.Dark.IsZero())
	require.True(t, report.After.Delivering())
	require.Equal(t, poe.PortID{Group: 1, Port: 3}, id)

	// The fileserver's own port is no Pi's.
	require.ErrorIs(t, c.Off(t.Context(), poe.PortID{Group: 1, Port: 24}), poe.ErrNotListed)
	_, err = p.Explain(t.Context(), r.Pis[2])
	require.ErrorContains(t, err, "a moment ago", "refused as the act itself is")

	// One process at a time switches; looking needs no journal.
	_, err = r.Power(t.Context(), state, r.Pis[2:3], nil)
	require.ErrorIs(t, err, poe.ErrBusy)
	statuses := make([]PiStatus, len(r.Pis))
	r.power(t.Context(), r.Config.Switches[0], statuses)
	require.Equal(t, "deliveringPower", statuses[2].Power)
	require.NotZero(t, statuses[2].Watts)
}

func TestPowerWantsASwitch(t *testing.T) {
	_, err := story(t).Power(t.Context(), t.TempDir(), story(t).Pis[:1], nil)
	require.ErrorContains(t, err, "pi1: rack.yaml must say the address, poe and snmp of its switch")
}
