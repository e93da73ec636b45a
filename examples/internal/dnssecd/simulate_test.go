package dnssecd

import (
	"os"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/stretchr/testify/require"
)

// TestSimulate lives through four years, with another algorithm in the last one.
func TestSimulate(t *testing.T) {
	t.Parallel()
	s, err := newSimulation(t.TempDir(), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), 4)
	require.NoError(t, err)
	require.NoError(t, s.run(t.Context()))
	roles := map[rollover.Role]int{}
	for _, lane := range s.timeline.Lanes {
		roles[lane.Role]++
	}
	require.Equal(t, 5, roles[rollover.KSK], "one a year, and the next")
	require.Greater(t, roles[rollover.ZSK], 15)
	require.Greater(t, s.figures.CombinationsValidated, 500)
	t.Logf("%+v", s.figures)
	if path := os.Getenv("SVG"); path != "" {
		require.NoError(t, s.draw(path))
	}
}
