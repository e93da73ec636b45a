package acme_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who uses the hook does not compile lego.
func TestDependencies(t *testing.T) {
	for _, dir := range []string{".", "./rfc2136", "./mythicbeasts", "./embedded", "../examples/dns01hook"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", dir).Output()
		require.NoError(t, err)
		require.Contains(t, string(out), "github.com/miekg/dns")
		for _, foreign := range []string{"go-acme/lego", "letsencrypt/pebble"} {
			require.False(t, strings.Contains(string(out), foreign), "%s compiles %s", dir, foreign)
		}
	}
}
