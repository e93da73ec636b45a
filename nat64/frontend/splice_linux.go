package frontend

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	pipeSize   = 1 << 20 // what an unprivileged process may have, by default
	spliceSize = 1 << 20
	// maxIdlePipes is how many empty pipes wait for data to move.
	maxIdlePipes = 64
	spliceFlags  = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
)

// A pipe is what splice moves octets through.
type pipe struct{ r, w int }

// pipes are empty ones. A direction of a connection borrows one while it has
// octets to move, so that idle connections hold none.
type pipes struct {
	mu   sync.Mutex
	idle []pipe
}

func (ps *pipes) borrow() (pipe, error) {
	ps.mu.Lock()
	if n := len(ps.idle); n > 0 {
		p := ps.idle[n-1]
		ps.idle = ps.idle[:n-1]
		ps.mu.Unlock()
		return p, nil
	}
	ps.mu.Unlock()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return pipe{}, os.NewSyscallError("pipe2", err)
	}
	// The user may be short of pipe memory: a small pipe is as good, only slower.
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return pipe{fds[0], fds[1]}, nil
}

func (ps *pipes) giveBack(p pipe) {
	ps.mu.Lock()
	if len(ps.idle) < maxIdlePipes {
		ps.idle = append(ps.idle, p)
		ps.mu.Unlock()
		return
	}
	ps.mu.Unlock()
	p.close()
}

func (p pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// closeIdle closes the pipes that nobody uses.
func (ps *pipes) closeIdle() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.idle {
		p.close()
	}
	ps.idle = nil
}

// A splicer moves octets from one socket to another through a pipe that it
// holds only while there are some.
type splicer struct {
	pipes *pipes
	pipe  pipe
	holds bool
	full  int // octets in the pipe
	end   bool
	err   error
}

// pump moves all octets of src to dst, and tells moved of each lot. It returns
// nil at the end of src.
func (f *Frontend) pump(dst, src *net.TCPConn, moved func(n int)) error {
	in, err := src.SyscallConn()
	if err != nil {
		return err
	}
	out, err := dst.SyscallConn()
	if err != nil {
		return err
	}
	s := &splicer{pipes: &f.pipes}
	defer s.release()
	fill, drain := s.fill, s.drain
	for {
		if err := in.Read(fill); err != nil || s.err != nil || s.end {
			return errors.Join(err, s.err)
		}
		n := s.full
		if err := out.Write(drain); err != nil || s.err != nil {
			return errors.Join(err, s.err)
		}
		moved(n)
	}
}

// fill moves what the socket has into the pipe. It returns false, without a
// pipe, while the socket has nothing.
func (s *splicer) fill(fd uintptr) bool {
	if !s.holds {
		if s.pipe, s.err = s.pipes.borrow(); s.err != nil {
			return true
		}
		s.holds = true
	}
	for {
		n, err := unix.Splice(int(fd), nil, s.pipe.w, nil, spliceSize, spliceFlags)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			s.pipes.giveBack(s.pipe)
			s.holds = false
			return false
		case err != nil:
			s.err = os.NewSyscallError("splice", err)
			return true
		default:
			s.full, s.end = int(n), n == 0
			return true
		}
	}
}

// drain moves what the pipe has into the socket. It returns false while the
// socket takes no more.
func (s *splicer) drain(fd uintptr) bool {
	for s.full > 0 {
		n, err := unix.Splice(s.pipe.r, nil, int(fd), nil, s.full, spliceFlags)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			s.err = os.NewSyscallError("splice", err)
			return true
		case n == 0:
			s.err = io.ErrUnexpectedEOF
			return true
		default:
			s.full -= int(n)
		}
	}
	return true
}

// release gives an empty pipe back, and closes one with octets in it.
func (s *splicer) release() {
	switch {
	case !s.holds:
	case s.full > 0:
		s.pipe.close()
	default:
		s.pipes.giveBack(s.pipe)
	}
}
