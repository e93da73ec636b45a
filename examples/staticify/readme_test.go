package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
)

// TestREADME follows the README, with a log of the test's. Its configuration is one, and
// the lines that it asks to be put into nginx's are those that the program asks for.
func TestREADME(t *testing.T) {
	dir := t.TempDir()
	log := strings.Repeat("192.0.2.1 - - [27/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\"\n", 9)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "access.log"), []byte(log), 0o644))
	install, plan, _ := strings.Cut(readme.Block(t, "", "go install"), "\n")
	require.Equal(t, "go install ./examples/staticify", install) // testscript.Main has put us on the path
	ran := readme.Each(t, dir, strings.Replace(plan, "/var/log/nginx", dir, 1))[0]
	require.Zero(t, ran.Status, ran.Output)
	require.Regexp(t, `\nexpected hit ratio: +\d+\.\d %\n$`, ran.Output)
	require.FileExists(t, filepath.Join(dir, "plan.svg"))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "staticify.yaml"), []byte(readme.Block(t, "", "# /etc/berryrack/staticify.yaml")), 0o644))
	asked := readme.Each(t, dir, "staticify config nginx -f staticify.yaml")[0]
	require.Zero(t, asked.Status, asked.Output)
	for line := range strings.Lines(readme.Block(t, "", "server {")) {
		if include := strings.TrimSpace(line); strings.HasPrefix(include, "include /var") {
			require.Contains(t, asked.Output, include)
		}
	}
}
