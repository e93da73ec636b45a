// Package oracle asks munin's own Perl modules, for tests.
package oracle

import (
	"bufio"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// Judges are what the machine must have, as a test names them.
var Judges = []string{"perl", "munin-node", "/usr/share/perl5/Munin/Master/Config.pm", "/usr/share/perl5/Net/Server.pm"}

//go:embed oracle.pl
var script string

// Oracle is a Perl process.
type Oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts one, which ends with the test. It prints what perl complained of when
// the test fails.
func Start(t testing.TB, perl string) *Oracle {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), perl, "-e", script)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("oracle: %.2000s", complaints.String())
		}
	})
	return &Oracle{in, bufio.NewReader(out)}
}

// Ask sends a question of a kind, and decodes the answer. The kinds are told at the
// beginning of oracle.pl.
func (o *Oracle) Ask(t testing.TB, kind string, question []byte, answer any) {
	t.Helper()
	_, err := fmt.Fprintf(o.in, "%-10s", kind)
	must(t, err)
	must(t, binary.Write(o.in, binary.BigEndian, uint32(len(question))))
	_, err = o.in.Write(question)
	must(t, err)
	line, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the oracle ended at %q: %v", question, err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
