package node

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// oracle is a Perl process that asks munin's own modules.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// startOracle starts testdata/oracle.pl, which ends with the test.
func startOracle(t testing.TB) *oracle {
	t.Helper()
	lab.Need(t, "perl", "munin-node", "/usr/share/perl5/Net/Server.pm")
	cmd := exec.CommandContext(t.Context(), lab.Program(t, "perl"), "../testdata/oracle.pl")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("oracle: %.2000s", complaints.String())
		}
	})
	return &oracle{in, bufio.NewReader(out)}
}

// ask sends a question of a kind, and decodes the answer.
func (o *oracle) ask(t testing.TB, kind string, question []byte, answer any) {
	t.Helper()
	_, err := fmt.Fprintf(o.in, "%-10s", kind)
	require.NoError(t, err)
	require.NoError(t, binary.Write(o.in, binary.BigEndian, uint32(len(question))))
	_, err = o.in.Write(question)
	require.NoError(t, err)
	line, err := o.out.ReadBytes('\n')
	require.NoError(t, err, "the oracle ended at %q", question)
	require.NoError(t, json.Unmarshal(line, answer), "%s", line)
}
