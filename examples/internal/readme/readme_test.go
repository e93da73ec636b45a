package readme

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlocks(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("README.md", []byte("# A\n\n    one\n      deeper\n\n    same\n\nText\n    of it.\n\n```sh\necho two\n```\n\n    last\n"), 0o644))
	require.Equal(t, []string{"one\n  deeper\n\nsame\n", "last\n"}, Blocks(t, ""))
	require.Equal(t, []string{"echo two\n"}, Blocks(t, "sh"))
	require.Equal(t, "last\n", Block(t, "", "la"))
	require.Equal(t, []Ran{{"echo a", 0, "a\n"}, {"exit 3", 3, ""}}, Each(t, ".", "echo a\nexit 3\n"))
	require.Contains(t, Run(t, ".", "cd .", "echo 1"), "1\n")
}
