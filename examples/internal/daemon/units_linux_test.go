package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// systemd is the judge of the units beside the programs, which need not be installed
// for that.
func TestUnits(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	units, err := filepath.Glob("../../*/*.service")
	require.NoError(t, err)
	require.NotEmpty(t, units)
	for _, path := range units {
		name := strings.TrimSuffix(filepath.Base(path), ".service")
		unit, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(unit), "\nExecStart=/usr/local/bin/"+name+" ")
		at := filepath.Join(t.TempDir(), filepath.Base(path))
		require.NoError(t, os.WriteFile(at, []byte(strings.ReplaceAll(string(unit), "/usr/local/bin/"+name, "/bin/true")), 0o644))
		require.Empty(t, lab.Run(t, "systemd-analyze", "verify", "--man=no", at))
	}
}
