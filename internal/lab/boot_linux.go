package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Boot runs a user-mode Linux kernel with the given arguments until it powers
// off or would reboot, and returns what its console printed. The machine has no
// input, and ends with ctx.
func Boot(ctx context.Context, kernel string, args ...string) (console string, err error) {
	state, err := os.MkdirTemp("", "uml")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(state)

	// The signal of Pdeathsig comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, kernel, append(args, "noreboot", "uml_dir="+state, "con=null", "con0=fd:0,fd:1")...)
	// Its memory is a file, and it sleeps by a process for each of its own.
	cmd.Env = append(os.Environ(), "TMPDIR="+state, "HOME="+state)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		// With a process namespace nothing that the kernel forked can outlive it.
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	console = strings.ReplaceAll(output.String(), "\r", "")
	if ctx.Err() != nil {
		err = fmt.Errorf("lab: machine ended before it powered off: %w", context.Cause(ctx))
	}
	return console, err
}
