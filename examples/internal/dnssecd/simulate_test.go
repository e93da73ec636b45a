package dnssecd

import (
	"os"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/stretchr/testify/require"
)

// TestSimulate lives through two years, four where there are judges, with another
// algorithm in the last one.
func TestSimulate(t *testing.T) {
	t.Parallel()
	years := 2
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		years = 4
	}
	s, err := newSimulation(t.TempDir(), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), years)
	require.NoError(t, err)
	require.NoError(t, s.run(t.Context()))
	roles := map[rollover.Role]int{}
	for _, lane := range s.timeline.Lanes {
		roles[lane.Role]++
	}
	require.Equal(t, years+1, roles[rollover.KSK], "one a year, and the next")
	require.Greater(t, roles[rollover.ZSK], 4*years-1)
	require.Greater(t, s.figures.CombinationsValidated, 125*years)
	t.Logf("%+v", s.figures)
	if path := os.Getenv("SVG"); path != "" {
		require.NoError(t, s.draw(path))
	}
}
