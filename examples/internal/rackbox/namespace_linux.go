package rackbox

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace that lives as long as a thread of this
// process. The nil namespace is the process's own.
type namespace struct{ work chan func() }

// newNamespace makes a network namespace, with its loopback interface up.
func newNamespace() (*namespace, error) {
	ns := &namespace{work: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with this function
		made <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range ns.work {
			f()
		}
	}()
	if err := <-made; err != nil {
		close(ns.work)
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	return ns, ns.do(func() error { return ip("link set lo up") })
}

// close gives the namespace up.
func (ns *namespace) close() { close(ns.work) }

// do calls f in the namespace.
func (ns *namespace) do(f func() error) error {
	if ns == nil {
		return f()
	}
	done := make(chan error)
	ns.work <- func() { done <- f() }
	return <-done
}

// ip runs ip(8), with each of the arguments one command.
func ip(commands ...string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(commands, "; "), err, strings.TrimSpace(string(output)))
	}
	return nil
}

// tap makes a network interface with an address, and returns its wire.
func (ns *namespace) tap(name string, address netip.Prefix) (Wire, error) {
	var wire Wire
	err := ns.do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: "/dev/net/tun", Err: err}
		}
		request, err := unix.NewIfreq(name)
		if err == nil {
			request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
			err = os.NewSyscallError("TUNSETIFF", unix.IoctlIfreq(fd, unix.TUNSETIFF, request))
		}
		if err != nil {
			unix.Close(fd)
			return err
		}
		if wire, err = newFile(fd, name); err != nil {
			return err
		}
		add := fmt.Sprintf("address add %v dev %s", address, name)
		if address.Addr().Is6() {
			add += " nodad" // there is nobody else yet
		}
		return ip(add, "link set "+name+" up")
	})
	return wire, err
}
