package rackbox

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrNone is that no rack is booted with a state directory.
var ErrNone = errors.New("no rack is booted here")

// socketName is where the rack that is booted with a state directory is found.
// The name is no file: it is gone with the process.
func socketName(state string) (string, error) {
	state, err := filepath.Abs(state)
	return fmt.Sprintf("@berryrack/pirack/%x", sha256.Sum256([]byte(state))), err
}

// listen makes the socket of a rack.
func listen(state string) (*net.UnixListener, error) {
	name, err := socketName(state)
	if err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("a rack is booted with the state directory %s already", state)
	}
	return l, err
}

// Forward runs a command on the fileserver of the rack that is booted with a
// state directory, and returns its exit status. Without one it is [ErrNone].
func Forward(ctx context.Context, state string, args []string, out, diagnostics io.Writer) (int, error) {
	name, err := socketName(state)
	if err != nil {
		return 0, err
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return 0, ErrNone
	}
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := trusted(conn); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	dir, err := os.Getwd()
	if err != nil {
		return 0, err
	}
	if err := json.NewEncoder(conn).Encode(request{args, dir}); err != nil {
		return 0, err
	}
	status, err := receive(conn, out, diagnostics)
	return status, errors.Join(ctx.Err(), err)
}

// trusted returns an error when the other end of a connection is not root or
// this user: the name of a socket that is no file belongs to who takes it first.
func trusted(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var got error
	err = raw.Control(func(fd uintptr) { peer, got = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, got); err != nil {
		return err
	}
	if peer.Uid != 0 && int(peer.Uid) != os.Geteuid() {
		return fmt.Errorf("user %d holds the socket of pirack boot", peer.Uid)
	}
	return nil
}

// listenerOf returns the listener that a child has inherited.
func listenerOf(file *os.File) (*net.UnixListener, error) {
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	unixListener, ok := l.(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("%s is no Unix socket", file.Name())
	}
	return unixListener, nil
}
