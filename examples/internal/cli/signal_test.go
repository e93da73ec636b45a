package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type stuck struct {
	Flags
	Wait stuckCmd `cmd:"" example:"wait"`
}

type stuckCmd struct{}

// Run is told to end, and does not.
func (stuckCmd) Run(ctx context.Context, std Streams) error {
	fmt.Fprintln(std.Out, "ready")
	<-ctx.Done()
	fmt.Fprintln(std.Out, "told")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

const stuckVar = "BERRYRACK_TEST_STUCK"

// TestSecondSignal ends a program that waits for something else than its
// context.
func TestSecondSignal(t *testing.T) {
	if os.Getenv(stuckVar) != "" {
		os.Args = []string{"prog", "wait"}
		Program{Name: "prog", Grammar: &stuck{}}.Main()
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestSecondSignal$")
	cmd.Env = append(os.Environ(), stuckVar+"=1")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stdout)
	for _, want := range []string{"ready", "told"} {
		require.True(t, lines.Scan())
		require.Equal(t, want, lines.Text())
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	require.Eventually(t, func() bool {
		_ = cmd.Process.Signal(syscall.SIGTERM) // until Main has heard of the first one
		select {
		case err = <-ended:
			return true
		default:
			return false
		}
	}, 10*time.Second, 10*time.Millisecond)
	require.ErrorContains(t, err, "signal: terminated")
}
