package frontend

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// freebind lets a socket have an address that no interface has, and lets the
// kernel choose its port when it connects, so that each backend has all ports.
func freebind(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
		if failed == nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
