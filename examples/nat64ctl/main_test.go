package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/examples/internal/nat64ctl"
	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nat64ctl": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

// systemd finds nothing wrong with the unit.
func TestUnit(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	unit, err := os.ReadFile("nat64ctl.service")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "nat64ctl.service")
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/nat64ctl", "/bin/true")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	output, err := exec.Command(lab.Program(t, "systemd-analyze"), "verify", "--man=no", path).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Empty(t, string(output))
}

// The README's sessions are what happens.
func TestREADME(t *testing.T) {
	for _, session := range readme.Blocks(t, "console") {
		for _, run := range strings.Split(session, "$ ")[1:] {
			command, want, _ := strings.Cut(run, "\n")
			// testscript.Main has put us on the path.
			output, _ := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput() // some are to fail
			require.Equal(t, want, string(output), command)
		}
	}
}

// The frontend's configuration in the README is one.
func TestREADMEConfiguration(t *testing.T) {
	_, err := nat64ctl.ReadFrontend("README.md", []byte(readme.Block(t, "", "listen:")))
	require.NoError(t, err)
}
