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
	lab.Need(t, "bash", "dig", "go")
	if !lab.Isolated(t) {
		return
	}
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	script := []string{"set -eux"}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script = append(script, block[1])
	}
	require.Greater(t, len(script), 6)
	dir := t.TempDir()
	lab.Run(t, "go", "build", "-o", filepath.Join(dir, "dnssecd"), ".")
	cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.Join(script, "\n"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	for _, want := range []string{
		"never bogus", "example.org. is signed, with serial 2", "lodge with the parent:", "what happens next:", "status: NOERROR",
		"not before", "generate", "KSK 015+", "goes unsigned",
	} {
		require.Contains(t, string(output), want)
	}
}
