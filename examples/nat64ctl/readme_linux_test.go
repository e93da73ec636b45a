package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
)

// What the README asks of a network is understood where there is none.
func TestREADMEWithoutANetwork(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	t.Setenv("URL", "http://198.51.100.7/")
	blocks := readme.Blocks(t, "sh")
	for line := range strings.Lines(blocks[0]) {
		if strings.Contains(line, "--watch") {
			continue // it goes on, in silence
		}
		ran := readme.Each(t, t.TempDir(), line)[0]
		require.Contains(t, []int{1, 3}, ran.Status, "%s %s", ran.Line, ran.Output)
	}
	dns64 := exec.CommandContext(t.Context(), "sh", "-c", "exec "+blocks[1])
	said, err := dns64.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, dns64.Start())
	var line struct{ Msg, DNS64, Prefix string }
	require.NoError(t, json.NewDecoder(bufio.NewReader(said)).Decode(&line))
	require.Equal(t, "serving", line.Msg)
	require.Equal(t, "2001:db8:64::/96", line.Prefix)
	require.NoError(t, dns64.Process.Signal(syscall.SIGTERM))
	require.NoError(t, dns64.Wait())
}
