package rollover

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// runs is how many worlds are tried: 1,000, or what BERRYRACK_RUNS says.
func runs(t *testing.T) int {
	if text := os.Getenv("BERRYRACK_RUNS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return 1000
}

// TestNoResolverFindsTheZoneBogus is the property that all of this is for.
func TestNoResolverFindsTheZoneBogus(t *testing.T) {
	t.Parallel()
	crashes, steps := 0, 0
	for seed := range runs(t) {
		w := newWorld(uint64(seed), standard)
		if err := w.run(60); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		crashes, steps = crashes+w.crashes, steps+w.steps
	}
	fmt.Println(crashes, "crashes,", steps, "steps")
}
