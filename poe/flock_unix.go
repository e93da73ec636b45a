//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package poe

import (
	"io"
	"os"
	"syscall"
)

// lockFile takes the lock of a file, which the kernel gives back when the
// process ends in whatever way.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if err == syscall.EWOULDBLOCK {
			return nil, ErrBusy
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return f, nil
}
