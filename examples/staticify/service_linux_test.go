package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// systemd is the judge of the unit. The program need not be installed for that.
func TestService(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	unit, err := os.ReadFile("staticify.service")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "staticify.service")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(unit), "/usr/local/bin/staticify", "/bin/true", 1)), 0o644))
	require.Empty(t, lab.Run(t, "systemd-analyze", "verify", path))
}
