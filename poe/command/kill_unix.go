//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

// killAll lets the end of the command's context kill what it started, too.
func killAll(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
