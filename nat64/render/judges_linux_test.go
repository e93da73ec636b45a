package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func rendered(t *testing.T, name string) string {
	t.Helper()
	text, err := cases(t)[name].Render()
	require.NoError(t, err)
	return text
}

// The programs read what was written for their versions in Debian 12.
func TestUnboundReads(t *testing.T) {
	lab.Run(t, "unbound-checkconf", write(t, "unbound.conf", rendered(t, "unbound")))
}

func TestUnboundRefusesWhatWeRefuse(t *testing.T) {
	path := write(t, "unbound.conf", rendered(t, "unbound-1.19"))
	require.Error(t, exec.Command(lab.Program(t, "unbound-checkconf"), path).Run(), "do-nat64 in 1.17.1")
}

func TestBINDReads(t *testing.T) {
	for _, name := range []string{"bind", "bind-ranges"} {
		lab.Run(t, "named-checkconf", write(t, "named.conf", "options {\n"+rendered(t, name)+"};\n"))
	}
}

func TestRadvdRefusesWhatWeRefuse(t *testing.T) {
	radvd := lab.Program(t, "radvd")
	output, err := exec.Command(radvd, "--configtest", "--config", write(t, "radvd.conf", rendered(t, "radvd"))).CombinedOutput()
	require.Error(t, err, "nat64prefix in 2.19")
	require.Contains(t, string(output), "syntax error")
	plain := strings.Split(rendered(t, "radvd"), "    nat64prefix")[0] + "};\n"
	lab.Run(t, "radvd", "--configtest", "--config", write(t, "radvd.conf", plain))
}

func TestTAYGAReads(t *testing.T) {
	lab.Need(t, "tayga")
	if !lab.Isolated(t) {
		return
	}
	text, err := TAYGA{Table: one(), DataDir: t.TempDir()}.Render()
	require.NoError(t, err)
	lab.Run(t, "tayga", "--config", write(t, "tayga.conf", text), "--mktun")
	require.Contains(t, lab.Run(t, "ip", "link"), "nat64")
}
