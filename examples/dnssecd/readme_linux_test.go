package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
)

// TestREADME follows the README word by word.
func TestREADME(t *testing.T) {
	lab.Need(t, "dig")
	if !lab.Isolated(t) {
		return
	}
	output := readme.Run(t, t.TempDir(), readme.Blocks(t, "sh")...)
	for _, want := range []string{
		"never bogus", "example.org. is signed, with serial 2", "lodge with the parent:", "what happens next:", "status: NOERROR",
		"not before", "generate", "KSK 015+", "goes unsigned",
	} {
		require.Contains(t, output, want)
	}
}
