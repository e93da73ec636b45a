//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package includedir

import (
	"errors"
	"os"
	"syscall"
)

// lock waits until no other process changes the directory.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return func() { d.Close() }, nil
}
