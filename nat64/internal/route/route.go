// Package route asks the kernel for ways to addresses.
package route

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Exists reports whether this machine knows a way to the address: an
// unconnected datagram socket is connected, and nothing is sent.
func Exists(addr netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
	if err != nil {
		return !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) && !errors.Is(err, syscall.EADDRNOTAVAIL)
	}
	conn.Close()
	return true
}
