package main

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tour": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

// TestREADME follows the README: its table has the stops of the page, in their order.
func TestREADME(t *testing.T) {
	require.Equal(t, []string{"go run ./examples/tour\n"}, readme.Blocks(t, "sh"))
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var told, gone []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z0-9]+) \| [^|]+ \| [a-z0-9/, ]+ \|$`).FindAllSubmatch(text, -1) {
		told = append(told, string(row[1]))
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "tour") // testscript.Main has put it on the path
	cmd.Dir = dir
	output, err := cmd.Output()
	require.NoError(t, err)
	require.Regexp(t, "\ntour-report/index.html\n$", string(output))
	page, err := os.ReadFile(dir + "/tour-report/index.html")
	require.NoError(t, err)
	for _, section := range regexp.MustCompile(`<section id="([^"]+)">`).FindAllSubmatch(page, -1) {
		gone = append(gone, string(section[1]))
	}
	require.Equal(t, append([]string{"stop"}, gone...), told)
}
