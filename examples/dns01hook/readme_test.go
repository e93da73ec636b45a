package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
)

// The README's configurations are some, and what it says of modes holds.
func TestREADME(t *testing.T) {
	tried := 0
	for _, block := range readme.Blocks(t, "") {
		if !strings.HasPrefix(block, "provider:") {
			continue
		}
		tried++
		dir := t.TempDir()
		config := strings.ReplaceAll(block, "/etc/berryrack", dir)
		secret := regexp.MustCompile(`secret_file: ([^} ]+)`).FindStringSubmatch(config)[1]
		require.NoError(t, os.WriteFile(filepath.Join(dir, "dns01hook.yaml"), []byte(config), 0o644))
		require.NoError(t, os.WriteFile(secret, []byte("c2VjcmV0\n"), 0o600))
		const call = "dns01hook -f dns01hook.yaml --state state startup_hook" // by testscript.Main on the path
		require.Equal(t, []readme.Ran{{Line: call}}, readme.Each(t, dir, call), config)
		require.NoError(t, os.Chmod(secret, 0o640))
		require.Equal(t, 2, readme.Each(t, dir, call)[0].Status, config)
	}
	require.Equal(t, 2, tried)
}
