package check

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// pathMTU tells what the kernel knows of a TCP connection's path.
func pathMTU(conn net.Conn) string {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return ""
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return ""
	}
	var info *unix.TCPInfo
	err = raw.Control(func(fd uintptr) { info, _ = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || info == nil {
		return ""
	}
	return fmt.Sprintf(", path MTU %d, MSS %d out and %d in", info.Pmtu, info.Snd_mss, info.Rcv_mss)
}
