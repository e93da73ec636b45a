//go:build !linux

package check

import "net"

// pathMTU tells what the kernel knows of a TCP connection's path.
func pathMTU(net.Conn) string { return "" }
