package rack

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// withSerials is the story's rack with what TFTP needs.
func withSerials(t testing.TB) *Rack {
	t.Helper()
	text := strings.Replace(string(Story), "switch_port: 1}", "switch_port: 1, serial: 0123abcd}", 1)
	r, err := Parse("rack.yaml", []byte(text))
	require.NoError(t, err)
	return r
}

const stateDir = "/var/lib/berryrack/pirack"

func silent(string) {}

func install(t testing.TB, r *Rack, destdir string) *Installation {
	t.Helper()
	dir := t.TempDir()
	tree, err := r.Tree()
	require.NoError(t, err)
	write(t, tree, dir)
	for _, pi := range r.Pis {
		require.NoError(t, os.MkdirAll(filepath.Join(destdir, pi.Export.Path), 0o755))
	}
	in, err := r.Installation(dir, destdir, stateDir)
	require.NoError(t, err)
	return in
}

func TestInstall(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, "etc/network"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/nftables.conf"), []byte("flush ruleset\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/network/interfaces"), []byte("source /etc/network/interfaces.d/*\n"), 0o644))

	in := install(t, withSerials(t), root)
	require.Empty(t, in.Commands, "with a destdir nothing runs")
	require.Equal(t, []string{
		`/etc/nftables.conf lacks the line: include "/etc/nftables.d/*.nft"`,
		"to take effect: ifup -a (or pirack apply)",
		"to take effect: systemctl restart dnsmasq",
		"to take effect: systemctl restart nfs-server",
	}, in.Notes)
	require.NoError(t, in.Apply(t.Context(), silent))
	for _, path := range []string{
		"etc/network/interfaces.d/berryrack", "etc/exports.d/berryrack.exports", "etc/sysctl.d/60-berryrack.conf",
		"etc/nftables.d/berryrack.nft", "etc/nfs.conf.d/berryrack.conf", "etc/dnsmasq.d/berryrack.conf",
		"srv/tftp/0123abcd/cmdline.txt", "srv/tftp/0123abcd/config.txt",
	} {
		require.FileExists(t, filepath.Join(root, path))
	}
	require.Empty(t, install(t, withSerials(t), root).Steps(), "the second time nothing")

	// A Pi that has left takes its firmware's files along.
	in = install(t, story(t), root)
	require.NoError(t, in.Apply(t.Context(), silent))
	require.NoFileExists(t, filepath.Join(root, "srv/tftp/0123abcd/cmdline.txt"))
}

func TestInstallWantsWhatTheRackSays(t *testing.T) {
	dir := t.TempDir()
	_, err := story(t).Installation(dir, t.TempDir(), stateDir)
	require.ErrorContains(t, err, "run pirack write -o "+dir)
}

func TestInstallWantsTheRoots(t *testing.T) {
	dir, destdir := t.TempDir(), t.TempDir()
	tree, err := story(t).Tree()
	require.NoError(t, err)
	write(t, tree, dir)
	_, err = story(t).Installation(dir, destdir, stateDir)
	require.ErrorContains(t, err, "pi8's root: stat "+destdir+"/export/10.46.189.30")
}

func TestInstallIsUndone(t *testing.T) {
	root := t.TempDir()
	old := filepath.Join(root, "etc/exports.d/berryrack.exports")
	require.NoError(t, os.MkdirAll(filepath.Dir(old), 0o755))
	require.NoError(t, os.WriteFile(old, []byte("/old 192.0.2.1(ro)\n"), 0o640))

	in := install(t, story(t), root)
	in.Commands = []Command{{Args: []string{"false"}, file: "etc/exports.d/berryrack.exports"}}
	require.ErrorContains(t, in.Apply(t.Context(), silent), "false: exit status 1")
	data, err := os.ReadFile(old)
	require.NoError(t, err)
	require.Equal(t, "/old 192.0.2.1(ro)\n", string(data))
	require.NoFileExists(t, filepath.Join(root, "etc/nftables.d/berryrack.nft"))

	// The next one knows that it has the commands to run, whatever the files.
	require.FileExists(t, filepath.Join(root, stateDir, "pending"))
}

func TestCheck(t *testing.T) {
	root := t.TempDir()
	r := story(t)
	require.NoError(t, install(t, r, root).Apply(t.Context(), silent))
	require.NoError(t, os.RemoveAll(filepath.Join(root, r.Pis[0].Export.Path)))
	require.NoError(t, os.WriteFile(filepath.Join(root, "etc/exports.d/berryrack.exports"), []byte("/ *(rw)\n"), 0o644))

	problems, err := r.Check(t.Context(), root, stateDir)
	require.NoError(t, err)
	require.Contains(t, problems, "/etc/exports.d/berryrack.exports: not as planned")
	text := strings.Join(problems, "\n")
	require.Contains(t, text, "/export/10.46.189.2:", "a root that is missing")
	require.True(t, slices.ContainsFunc(problems, func(s string) bool {
		return strings.Contains(s, "/export/10.46.189.6") && strings.Contains(s, "/export/10.46.189.10")
	}) || strings.Contains(text, "/ and /export/10.46.189.10 are on one filesystem"), "two roots on one file system: %s", text)
}
