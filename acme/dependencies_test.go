package acme_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who uses the hook does not compile lego.
func TestDependencies(t *testing.T) {
	dirs := []string{".", "./rfc2136", "./mythicbeasts", "./embedded", "../examples/dns01hook"}
	list := append([]string{"list", "-f", "{{.Dir}}{{range .Deps}} {{.}}{{end}}"}, dirs...)
	out, err := exec.CommandContext(t.Context(), "go", list...).Output()
	require.NoError(t, err)
	packages := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, packages, len(dirs))
	for _, line := range packages {
		dir, dependencies, _ := strings.Cut(line, " ")
		require.Contains(t, dependencies, "github.com/miekg/dns")
		for _, foreign := range []string{"go-acme/lego", "letsencrypt/pebble"} {
			require.False(t, strings.Contains(dependencies, foreign), "%s compiles %s", dir, foreign)
		}
	}
}
