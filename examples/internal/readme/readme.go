// Package readme has tests follow the READMEs of the example programs word by word.
package readme

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Blocks returns the blocks of the README in the working directory that are in fences
// of a language, such as "sh", or with "" those that are indented, without what indents
// them.
func Blocks(t testing.TB, language string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	expression := "(?ms)^```" + language + "\n(.*?)^```$"
	if language == "" {
		expression = `(?m)^\n((?:    .*\n|\n    .*\n)+)`
	}
	for _, found := range regexp.MustCompile(expression).FindAllStringSubmatch(string(text), -1) {
		if language == "" {
			found[1] = strings.ReplaceAll("\n"+found[1], "\n    ", "\n")[1:]
		}
		blocks = append(blocks, found[1])
	}
	if blocks == nil {
		t.Fatalf("README.md has no blocks %q", language)
	}
	return blocks
}

// Block returns the one block that begins with a text.
func Block(t testing.TB, language, begins string) string {
	t.Helper()
	for _, block := range Blocks(t, language) {
		if strings.HasPrefix(block, begins) {
			return block
		}
	}
	t.Fatalf("README.md has no block %q that begins with %q", language, begins)
	return ""
}

// Run runs blocks with sh in a directory, until a command of theirs fails, and returns
// what they print.
func Run(t testing.TB, dir string, blocks ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "set -eux\n"+strings.Join(blocks, "\n"))
	cmd.Dir = dir
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("README.md: %v\n%s", err, output)
	}
	return string(output)
}

// Ran is a line of a block that was run.
type Ran struct {
	Line   string
	Status int
	Output string // of both streams
}

// Each runs each line of a block with sh in a directory, whether the one before it
// failed or not.
func Each(t testing.TB, dir, block string) (all []Ran) {
	t.Helper()
	for line := range strings.Lines(block) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = dir
		output, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatalf("README.md: %v", err)
		}
		all = append(all, Ran{strings.TrimSuffix(line, "\n"), cmd.ProcessState.ExitCode(), string(output)})
	}
	return all
}
