package main

import (
	"os"
	"os/exec"
	"path/filepath"
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
