//go:build linux

// Package nstest lets a test that is isolated (lab.Isolated) use several
// network namespaces from one process.
package nstest

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Here names the namespace that the test itself is in.
const Here = ""

// Add makes network namespaces with a loopback interface that is up.
func Add(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		Run(t, Here, "ip", "netns", "add", name)
		IP(t, name, "link", "set", "lo", "up")
	}
}

// IP runs ip(8) in the namespace.
func IP(t testing.TB, ns string, args ...string) string {
	t.Helper()
	return Run(t, ns, "ip", args...)
}

// Run runs a program in the namespace.
func Run(t testing.TB, ns, program string, args ...string) string {
	t.Helper()
	command := append([]string{program}, args...)
	if ns != Here {
		command = append([]string{"ip", "netns", "exec", ns}, command...)
	}
	output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, output)
	}
	return string(output)
}

// Link joins two namespaces by a pair of interfaces with addresses, which are
// usable at once.
func Link(t testing.TB, nsA, ifA string, addrsA []string, nsB, ifB string, addrsB []string) {
	t.Helper()
	Run(t, Here, "ip", slices.Concat([]string{"link", "add", ifA}, in(nsA), []string{"type", "veth", "peer", "name", ifB}, in(nsB))...)
	for _, end := range []struct {
		ns, dev string
		addrs   []string
	}{{nsA, ifA, addrsA}, {nsB, ifB, addrsB}} {
		for _, addr := range end.addrs {
			args := []string{"address", "add", addr, "dev", end.dev}
			if ip, _, _ := net.ParseCIDR(addr); ip.To4() == nil {
				args = append(args, "nodad")
			}
			IP(t, end.ns, args...)
		}
		IP(t, end.ns, "link", "set", end.dev, "up")
	}
}

// in returns the words of ip(8) for a namespace.
func in(ns string) []string {
	if ns == Here {
		return nil
	}
	return []string{"netns", ns}
}

// In calls f on a thread that is in the namespace, and that ends with it.
func In(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread cannot go back
		done <- func() error {
			if ns != Here {
				file, err := os.Open(filepath.Join("/run/netns", ns))
				if err != nil {
					return err
				}
				defer file.Close()
				if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
					return os.NewSyscallError("setns", err)
				}
			}
			return f()
		}()
	}()
	return <-done
}

// Dial returns a DialContext that connects from the namespace, to literal addresses.
func Dial(ns string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = In(ns, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
}

// Listen listens in the namespace until the test ends.
func Listen(t testing.TB, ns, network, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	err := In(ns, func() (err error) {
		l, err = net.Listen(network, addr)
		return err
	})
	if err != nil {
		t.Fatalf("listen on %s in %q: %v", addr, ns, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
