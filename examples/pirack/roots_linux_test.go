package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// A watch that is told to end by a signal has not failed.
func TestWatchEndsWell(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "rack.yaml")
	require.NoError(t, os.WriteFile(config, []byte(`pool: 10.0.0.0/28
first_vlan: 10
export: /{name}/root
server: {interface: eth0, switch_port: 24}
pis: [{name: pi1, slot: 0, switch_port: 1}, {name: pi2, slot: 1, switch_port: 2}]
`), 0o644))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, diagnostics bytes.Buffer
	program := cli.Program{Name: "pirack", Description: description, Grammar: &grammar{}}
	args := []string{"roots", "push", "--watch", "--from", "pi1", "/srv/file", "-f", config, "--destdir", dir}
	require.Equal(t, cli.Done, program.Run(ctx, args, cli.Streams{Out: &out, Err: &diagnostics}), diagnostics.String())
	require.Empty(t, diagnostics.String())
}
