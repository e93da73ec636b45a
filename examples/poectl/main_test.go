package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"poectl": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0") // or each run sleeps for a second at its end
			return nil
		},
	})
}

// Who commands poectl writes its journals with mode 0600: the same user must recover.
func TestUnitRecoversAsRoot(t *testing.T) {
	unit, err := os.ReadFile("poectl.service")
	require.NoError(t, err)
	require.NotContains(t, string(unit), "\nDynamicUser=")
	require.NotContains(t, string(unit), "\nUser=")
	require.Contains(t, string(unit), "poectl recover ")
}
