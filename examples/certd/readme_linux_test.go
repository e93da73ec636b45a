package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
)

// TestREADME follows the README word by word, as far as that asks no real authority.
func TestREADME(t *testing.T) {
	lab.Need(t, "openssl")
	first := strings.Replace(readme.Block(t, "", "go run"), "go run ./examples/certd", "certd", 1) // on the path by testscript.Main
	require.Contains(t, readme.Run(t, t.TempDir(), first), "/current/cert.pem: OK\n")
}

// The README's configuration is one.
func TestREADMEConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "certd.yaml")
	require.NoError(t, os.WriteFile(file, []byte(readme.Block(t, "", "account:")), 0o644))
	output, err := exec.CommandContext(t.Context(), "certd", "status", "-f", file, "--state", t.TempDir()).CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Contains(t, string(output), "www.example.org")
}
