package main

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"failover": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

// varying are times, which no two runs have in common.
var varying = regexp.MustCompile(`\b\d+(\.\d+)?(µs|ms|s)\b|\d{4}-\d\d-\d\dT\S+Z`)

// TestREADME follows the README word by word.
func TestREADME(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"go install ./examples/failover\n"}, readme.Blocks(t, "sh")) // testscript.Main has put us on the path
	sessions := readme.Blocks(t, "console")
	require.Len(t, sessions, 1)
	dir := t.TempDir()
	for _, session := range strings.Split(sessions[0], "$ ")[1:] {
		command, want, _ := strings.Cut(session, "\n")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
		cmd.Dir = dir
		output, _ := cmd.CombinedOutput() // some exit with 3
		require.Equal(t, normal(want), normal(string(output)), command)
	}
}

// normal returns the lines without times, in an order that does not depend on them.
func normal(text string) []string {
	return slices.Sorted(strings.Lines(varying.ReplaceAllString(text, "TIME")))
}

// The configuration in the README is one: load refuses it only for its log, which is
// not on this machine.
func TestREADMEConfiguration(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	require.NoError(t, os.WriteFile(dir+"/flip.key", []byte("c2VjcmV0\n"), 0o600))
	config := readme.Blocks(t, "yaml")
	require.Len(t, config, 1)
	require.NoError(t, os.WriteFile(dir+"/failover.yaml", []byte(strings.ReplaceAll(config[0], "/var/log/nginx", dir)), 0o600))
	output, err := exec.CommandContext(t.Context(), "failover", "load", "-f", dir+"/failover.yaml", "--state", dir).CombinedOutput()
	require.ErrorContains(t, err, "exit status 1")
	require.Contains(t, string(output), "access.log: no such file")
	require.NotContains(t, string(output), "c2VjcmV0")
}
