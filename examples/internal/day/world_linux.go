package main

import (
	"context"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// world is the network outside of the rack: the namespace that is the gateway
// of its public VLAN. The zero world is the process's own network.
type world struct{ path string }

// do calls f in the namespace.
func (w world) do(f func() error) error {
	if w.path == "" {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with this function
		ns, err := os.Open(w.path)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// dial connects from an address, which may be nil.
func (w world) dial(ctx context.Context, from net.IP, address string) (conn net.Conn, err error) {
	err = w.do(func() error {
		d := net.Dialer{}
		if from != nil {
			d.LocalAddr = &net.TCPAddr{IP: from}
		}
		conn, err = d.DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

func (w world) listen(address string) (l net.Listener, err error) {
	err = w.do(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}
