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
	machine, end := context.WithCancel(ctx)
	defer end()
	cmd := Machine(machine, state, kernel, append(args, "noreboot", "con=null", "con0=fd:0,fd:1")...)
	output := &output{end: end}
	cmd.Stdout, cmd.Stderr = output, output
	err = RunMachine(cmd)
	console = strings.ReplaceAll(output.String(), "\r", "")
	switch {
	case output.halted:
		err = nil
	case ctx.Err() != nil:
		err = fmt.Errorf("lab: machine ended before it powered off: %w", context.Cause(ctx))
	}
	return console, err
}

// output is what a machine prints. Now and then the kernel says that it has halted
// and its process goes on: it is ended then.
type output struct {
	bytes.Buffer
	halted bool
	end    func()
}

// haltPatience is how long a process may go on after its kernel has halted.
const haltPatience = 2 * time.Second

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Buffer.Write(b)
	last := o.Bytes()[max(0, o.Len()-len(b)-len("reboot: System halted")):]
	if !o.halted && (bytes.Contains(last, []byte("reboot: System halted")) || bytes.Contains(last, []byte("reboot: Power down"))) {
		o.halted = true
		time.AfterFunc(haltPatience, o.end)
	}
	return n, err
}

// Machine returns the command that runs a user-mode Linux kernel, which keeps
// its memory and its sockets in dir, until ctx ends. Nothing that the kernel
// forks outlives it. [RunMachine] runs it.
func Machine(ctx context.Context, dir, kernel string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, kernel, append(args, "uml_dir="+dir)...)
	// Its memory is a file, and it sleeps by a process for each of its own.
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		// With a process namespace nothing that the kernel forked can outlive it.
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// RunMachine runs what [Machine] returned, from a thread that stays: the kernel
// dies with the thread that started it.
func RunMachine(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
