package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
)

// TestREADME follows the README word by word.
func TestREADME(t *testing.T) {
	lab.Need(t, "dig", "dnssec-verify", "ldns-verify-zone")
	if !lab.Isolated(t) {
		return
	}
	output := readme.Run(t, t.TempDir(), readme.Blocks(t, "sh")...)
	for _, want := range []string{"signatures  10 made, 0 reused", "signatures  0 made, 10 reused", "status: NOERROR", "Zone fully signed", "Zone is verified and complete"} {
		require.Contains(t, output, want)
	}
}
