package rack

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// nfsClients returns who is connected to this machine's NFS server.
func nfsClients() (map[netip.Addr]bool, error) {
	const name = "/proc/net/tcp"
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	clients, err := connected(f, nfsPort)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return clients, nil
}

// connected reads proc(5)'s /proc/net/tcp: who has an established connection to
// a port of this machine.
func connected(r io.Reader, port string) (map[netip.Addr]bool, error) {
	const established = "01"
	clients := map[netip.Addr]bool{}
	lines := bufio.NewScanner(r)
	lines.Scan() // the heading
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			return nil, fmt.Errorf("%q is no connection", lines.Text())
		}
		local, err := socketAddress(fields[1])
		if err != nil {
			return nil, err
		}
		remote, err := socketAddress(fields[2])
		if err != nil {
			return nil, err
		}
		if fields[3] == established && fmt.Sprint(local.Port()) == port {
			clients[remote.Addr()] = true
		}
	}
	return clients, lines.Err()
}

// socketAddress reads an address as the kernel prints it: the 32 bits of IPv4
// as a number of this machine, which is little-endian wherever Pis are served.
func socketAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	a, err := hex.DecodeString(address)
	p, errPort := hex.DecodeString(port)
	if err != nil || errPort != nil || len(a) != 4 || len(p) != 2 {
		return netip.AddrPort{}, fmt.Errorf("%q is no address and port", text)
	}
	slices.Reverse(a)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a)), uint16(p[0])<<8|uint16(p[1])), nil
}
