package lab

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Isolated reports whether the test runs in network, mount and process
// namespaces of its own. When it does not, Isolated runs the same test again in
// a child that does, takes over its outcome and returns false:
//
//	func TestRoutes(t *testing.T) {
//		if !lab.Isolated(t) {
//			return
//		}
//
// There the loopback interface is up, /run is empty and the test's own, so that
// `ip netns add` leaves nothing behind, and every process dies with the test.
func Isolated(t *testing.T) bool {
	t.Helper()
	Need(t, "netns")
	if isAgain(t) {
		settle(t)
		return true
	}
	// The signal of Pdeathsig comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	args := again(t)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), againVar+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	output, err := cmd.CombinedOutput()
	adopt(t, "in namespaces", string(output), err)
	return false
}

// settle makes the new namespaces usable.
func settle(t *testing.T) {
	t.Helper()
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"none", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{"proc", "/proc", "proc", 0},
		{"run", "/run", "tmpfs", 0},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			t.Fatalf("mount %s: %v", m.target, err)
		}
	}
	Run(t, "ip", "link", "set", "lo", "up")
}
