package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

type grammar struct {
	Flags
	Do command `cmd:"" help:"Do it." example:"do well"`
}

type command struct {
	Outcome string `arg:""`
}

func (c *command) Run(ctx context.Context, std Streams) error {
	fmt.Fprintln(std.Out, "doing", c.Outcome)
	switch c.Outcome {
	case "bad":
		return &UsageError{errors.New("bad configuration")}
	case "fail":
		return errors.New("it failed")
	case "differ":
		return fmt.Errorf("in a wrapper: %w", ErrDifferent)
	}
	return ctx.Err()
}

func run(args ...string) (status int, out, diagnostics string) {
	var stdout, stderr bytes.Buffer
	p := Program{Name: "prog", Description: "A program.", Grammar: &grammar{}}
	status = p.Run(context.Background(), args, Streams{&stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
		stderr string
	}{
		{[]string{"do", "well"}, Done, ""},
		{[]string{"do", "fail"}, Failed, "prog: it failed\n"},
		{[]string{"do", "bad"}, Usage, "prog: bad configuration\n"},
		{[]string{"do", "differ"}, Different, ""},
		{[]string{"nothing"}, Usage, "prog: unexpected argument nothing (see prog --help)\n"},
	} {
		status, _, stderr := run(tt.args...)
		require.Equal(t, tt.status, status, tt.args)
		require.Equal(t, tt.stderr, stderr, tt.args)
	}
}

func TestHelpAndVersion(t *testing.T) {
	status, out, _ := run("--help")
	require.Equal(t, Done, status)
	require.Contains(t, out, "A program.")
	status, out, _ = run("--version")
	require.Equal(t, Done, status)
	require.Contains(t, out, "go1.")
}

func TestConfigFile(t *testing.T) {
	name, data, err := ConfigFile("no-such-program", "", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, "embedded no-such-program.yaml", name)
	require.Equal(t, "x", string(data))
	_, _, err = ConfigFile("prog", filepath.Join(t.TempDir(), "missing"), nil)
	require.ErrorAs(t, err, new(*UsageError))
}

func TestSecret(t *testing.T) {
	credentials, dir := t.TempDir(), t.TempDir()
	path, config := filepath.Join(dir, "key"), filepath.Join(dir, "prog.yaml")
	require.NoError(t, os.WriteFile(path, []byte("s3cret\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(credentials, "key"), []byte("from systemd\n"), 0o600))
	for _, tt := range []struct{ credentials, name, want string }{
		{"", path, "s3cret"},
		{"", "key", "s3cret"},
		{credentials, path, "s3cret"},
		{credentials, "key", "from systemd"},
		{t.TempDir(), "key", "s3cret"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", tt.credentials)
		secret, err := SecretOf(config, tt.name)
		require.NoError(t, err)
		require.Equal(t, tt.want, secret)
	}
	require.NoError(t, os.Chmod(path, 0o640))
	_, err := Secret(path)
	require.ErrorContains(t, err, "chmod 600")
	require.NotContains(t, err.Error(), "s3cret")
}

// Each command's help has an example; a command without one is a mistake in the grammar.
func TestExamples(t *testing.T) {
	status, out, _ := run("do", "--help")
	require.Equal(t, Done, status)
	require.Contains(t, out, "\nExample: prog do well\n")
	p := Program{Name: "prog", Grammar: &struct {
		Do command `cmd:""`
	}{}}
	require.PanicsWithError(t, "prog do has no example", func() { p.Run(t.Context(), nil, Streams{}) })
}
