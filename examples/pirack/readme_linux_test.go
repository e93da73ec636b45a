package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/readme"
	"github.com/berryrack/berryrack/internal/lab"
)

// aptGet stands in for apt-get: the packages must be installed.
const aptGet = "#!/bin/sh\ntest \"$1\" = install\nshift\nexec dpkg-query --show \"$@\"\n"

// TestREADMEBoot follows "A rack in a box" word by word.
func TestREADMEBoot(t *testing.T) {
	needBoot(t)
	lab.Need(t, "curl", "nsenter", "dpkg-query", "go")
	if !lab.Isolated(t) { // or it could meet the rack of somebody else who has followed it
		return
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "apt-get"), []byte(aptGet), 0o755))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	install := strings.Replace(readme.Block(t, "", "apt-get install"), "/usr/local/bin", bin, 1)
	install, boot, _ := strings.Cut(install, "pirack boot\n")
	require.Empty(t, boot)
	readme.Run(t, "../..", install)

	b := &bootedRack{stopped: make(chan error, 1)}
	b.start(t, exec.Command(filepath.Join(bin, "pirack"), "boot"))
	output := readme.Run(t, bin, readme.Block(t, "", "pirack status"))
	for _, pi := range []string{"pi1", "pi2", "pi3", "pi4", "pi5", "pi6", "pi7", "pi8"} {
		require.Regexp(t, `(?s)\n`+pi+` +deliveringPower +3\.5 +up +whole +mounted +yes\n.*pi3.*, dark after .*\n`+pi+` +deliveringPower +3\.5 +up +whole +mounted +yes\n`, output)
	}
	outside := strings.Replace(readme.Block(t, "", "nsenter"), "/proc/PID/ns/net", b.netns, 1)
	require.Regexp(t, `(?m)^pi1 [0-9a-f-]{36}$`, readme.Run(t, bin, outside))

	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-b.stopped, &b.stderr)
}

// TestREADME follows the README up to the fileserver, and its roots below a directory.
func TestREADME(t *testing.T) {
	dir := t.TempDir()
	run := func(block string) (statuses []int) {
		for _, ran := range readme.Each(t, dir, strings.ReplaceAll(block, "go run ./examples/pirack", "pirack")) {
			statuses = append(statuses, ran.Status)
			t.Log(ran.Line, ran.Status, ran.Output)
		}
		return statuses
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rack.yaml"), []byte(readme.Block(t, "", "pool:")), 0o644))
	require.Equal(t, []int{0}, run(readme.Block(t, "", "go run ./examples/pirack plan\n")))
	require.Equal(t, []int{0, 0, 0}, run(readme.Block(t, "", "go run ./examples/pirack plan -f")), "nothing is left to do")

	// Here the Pis' filesystems are directories.
	export := func(client string) string { return filepath.Join(dir, "export", client) }
	require.NoError(t, errors.Join(os.MkdirAll(export("10.46.189.2"), 0o755), os.MkdirAll(export("10.46.189.6"), 0o755)))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "golden/etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "golden/etc/hostname"), []byte("raspberrypi\n"), 0o644))
	ofGolden := regexp.MustCompile(`(?m)^pirack roots (clone|sync) .*`)
	below := func(begins string) []int {
		block := strings.ReplaceAll(readme.Block(t, "", begins), "-f rack.yaml", "-f rack.yaml --destdir .")
		return run(ofGolden.ReplaceAllString(block, "$0 --golden golden"))
	}
	require.Equal(t, []int{3, 0, 0}, below("pirack roots clone"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "golden/etc/motd"), []byte("hello\n"), 0o644))
	require.Equal(t, []int{3, 0}, below("pirack roots sync"))
	require.Equal(t, []int{0}, below("pirack roots empty"))
	www := filepath.Join(export("10.46.189.2"), "root/srv/www")
	require.NoError(t, os.MkdirAll(www, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(www, "photo.jpg"), nil, 0o644))
	push, _, _ := strings.Cut(readme.Block(t, "", "pirack roots push"), "\n") // the second one goes on
	require.Equal(t, []int{0}, run(push+" --destdir ."))
	require.FileExists(t, filepath.Join(export("10.46.189.6"), "root/srv/www/photo.jpg"))
	rebuild, _, _ := strings.Cut(readme.Block(t, "", "pirack roots rebuild"), "\n") // the others ask Pis
	require.Equal(t, []int{3}, run(rebuild+" --destdir . --golden golden"))
}
