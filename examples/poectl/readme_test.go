package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/poectl"
	"github.com/berryrack/berryrack/examples/internal/readme"
)

// TestREADME follows the README word by word, without a switch. Its configuration is one.
func TestREADME(t *testing.T) {
	install, try, _ := strings.Cut(readme.Block(t, "", "go install"), "\n")
	require.Equal(t, "go install ./examples/poectl", install) // testscript.Main has put us on the path
	var statuses []int
	for _, ran := range readme.Each(t, t.TempDir(), try) {
		statuses = append(statuses, ran.Status)
	}
	require.Equal(t, []int{0, 0, 3, 0}, statuses, "cycle -n prints steps")
	_, err := poectl.Parse("README.md", []byte(readme.Block(t, "", "# /etc/berryrack/poectl.yaml")))
	require.NoError(t, err)
}
