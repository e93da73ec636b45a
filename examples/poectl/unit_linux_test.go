package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

func TestUnit(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	unit, err := os.ReadFile("poectl.service")
	require.NoError(t, err)
	self, err := os.Executable() // it wants the program to be there
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "poectl.service")
	// Who commands poectl writes its journals with mode 0600: the same user must
	// recover.
	require.NotContains(t, string(unit), "\nDynamicUser=")
	require.NotContains(t, string(unit), "\nUser=")
	require.Contains(t, string(unit), "poectl recover ")
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(unit, []byte("/usr/local/bin/poectl"), []byte(self)), 0o600))
	lab.Run(t, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path)
}
