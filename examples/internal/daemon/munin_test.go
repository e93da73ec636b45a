package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/munin/node"
)

// TestMunin collects a program's figures as munin's master would.
func TestMunin(t *testing.T) {
	var logs strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	s := Service{
		Logger: slog.New(slog.NewTextHandler(&logs, nil)),
		Figures: func() []Figure {
			return []Figure{
				{Name: "prog_things_total", Help: "Things.", Counter: true, Labels: map[string]string{"kind": "a b", "at": "x"}, Value: 7},
				{Name: "prog_things_total", Help: "Things.", Counter: true, Labels: map[string]string{"kind": "a-b", "at": "x"}, Value: 8},
				{Name: "prog_heat", Help: "Heat.", Value: 1.5},
				{Name: "prog_odd", Help: "Odd.", Labels: map[string]string{"k": "\n"}, Value: 1},
			}
		},
	}
	s.Run = func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		return nil
	}
	started := make(chan struct{})
	run := s.Run
	s.Run = func(ctx context.Context, ready func()) error {
		close(started)
		return run(ctx, ready)
	}
	result := make(chan error)
	go func() { result <- s.Serve(ctx, Flags{Munin: "127.0.0.1:0"}) }()
	<-started
	address := regexp.MustCompile(`munin=(\S+)`).FindStringSubmatch(logs.String())[1]
	c, err := node.Dial(ctx, address, node.Limits{})
	require.NoError(t, err)
	_, err = c.Cap(ctx, "multigraph", "dirtyconfig")
	require.NoError(t, err)
	plugins, err := c.List(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"figures"}, plugins)
	graphs, err := c.Config(ctx, "figures")
	require.NoError(t, err)
	require.Len(t, graphs, 3)
	require.Equal(t, "prog_things_total", graphs[0].Name)
	require.Equal(t, node.Field{Name: "_x_a_b", Attributes: []node.Attribute{{Key: "label", Value: "x a b"}, {Key: "type", Value: "DERIVE"}, {Key: "min", Value: "0"}}, Values: node.Now(7)}, graphs[0].Fields[0])
	require.Equal(t, "_x_a_b_2", graphs[0].Fields[1].Name)
	require.Equal(t, node.Now(1.5), graphs[1].Fields[0].Values)
	require.NoError(t, c.Close())
	cancel()
	require.NoError(t, <-result)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	s.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	require.Error(t, s.Serve(t.Context(), Flags{Munin: taken.Addr().String()}))
}

func TestNodeName(t *testing.T) {
	for machine, want := range map[string]string{
		"fenrir.example.org": "fenrir.example.org", "my_pi": "my-pi", "_": "localhost", "": "localhost", "Büro PC_": "B-ro-PC", "-a.": "a",
	} {
		require.Equal(t, want, nodeName(machine), machine)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, (&node.Server{Name: nodeName(machine)}).Serve(ctx, listener), machine)
	}
}
