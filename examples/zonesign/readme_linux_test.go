package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

// TestREADME follows the README word by word.
func TestREADME(t *testing.T) {
	lab.Need(t, "bash", "dig", "dnssec-verify", "ldns-verify-zone", "go")
	if !lab.Isolated(t) {
		return
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	script := []string{"set -eux"}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script = append(script, block[1])
	}
	require.Greater(t, len(script), 4)
	dir := t.TempDir()
	lab.Run(t, "go", "build", "-o", filepath.Join(dir, "zonesign"), ".")
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.Join(script, "\n"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")+":/usr/sbin")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	for _, want := range []string{"signatures  10 made, 0 reused", "signatures  0 made, 10 reused", "status: NOERROR", "Zone fully signed", "Zone is verified and complete"} {
		require.Contains(t, string(output), want)
	}
}
