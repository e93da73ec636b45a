package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/examples/internal/nat64ctl"
	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"nat64ctl": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
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
