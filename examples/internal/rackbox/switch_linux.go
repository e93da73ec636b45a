package rackbox

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/vlan"
)

// Switch is an Ethernet switch between wires.
type Switch struct {
	bridge *bridge

	mu    sync.RWMutex
	wires map[int]Wire

	// Forwarded and Dropped count frames: sent on, and not let in or lost to a
	// wire that was full.
	Forwarded, Dropped atomic.Uint64
}

// NewSwitch returns a switch that obeys a plan, with nothing plugged in.
func NewSwitch(plan vlan.Switch) (*Switch, error) {
	b, err := newBridge(plan, time.Now)
	if err != nil {
		return nil, err
	}
	return &Switch{bridge: b, wires: map[int]Wire{}}, nil
}

// Connect plugs a wire into a port and forwards what comes in by it until the
// wire or ctx ends. Then it closes the wire.
func (s *Switch) Connect(ctx context.Context, port int, wire Wire) error {
	s.mu.Lock()
	s.wires[port] = wire
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { wire.Close() })
	err := s.receive(port, wire)
	stop()
	s.mu.Lock()
	if s.wires[port] == wire {
		delete(s.wires, port)
		s.bridge.forget(port)
	}
	s.mu.Unlock()
	wire.Close()
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func (s *Switch) receive(port int, wire Wire) error {
	in, out := make([]byte, maxFrame+1), make([]byte, 0, maxFrame+tagBytes)
	for {
		n, err := wire.Read(in)
		if err != nil {
			return err
		}
		f, ok := s.bridge.classify(port, in[:n])
		if !ok {
			s.Dropped.Add(1)
			continue
		}
		for _, to := range s.bridge.forward(port, f) {
			s.send(to, f.bytes(out, !s.bridge.ports[to].untagged[f.vlan]))
		}
	}
}

func (s *Switch) send(port int, raw []byte) {
	s.mu.RLock()
	wire := s.wires[port]
	s.mu.RUnlock()
	if wire == nil {
		return
	}
	if _, err := wire.Write(raw); err != nil {
		s.Dropped.Add(1)
		return
	}
	s.Forwarded.Add(1)
}

// file is a wire made of a file: an end of a socket pair, or a tap.
type file struct{ *os.File }

// newFile returns the wire of a descriptor, which it owns.
func newFile(fd int, name string) (file, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return file{}, err
	}
	return file{os.NewFile(uintptr(fd), name)}, nil
}

// Write sends one frame at once or not at all.
func (f file) Write(raw []byte) (n int, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var sent error
	err = conn.Write(func(fd uintptr) bool {
		n, sent = unix.Write(int(fd), raw)
		return true // EAGAIN, too: a switch does not wait for a slow computer
	})
	return n, cmp.Or(err, sent)
}

// cable returns the two ends of a wire: one for the switch, one that a machine
// inherits.
func cable(name string) (Wire, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, err := newFile(fds[0], name)
	if err != nil {
		unix.Close(fds[1])
		return nil, nil, err
	}
	return ours, os.NewFile(uintptr(fds[1]), name), nil
}
