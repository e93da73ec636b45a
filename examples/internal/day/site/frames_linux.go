package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	etherARP  = 0x0806
	etherVLAN = 0x8100
	etherAll  = 0x0003
)

// takeAddress gives an interface another Pi's address.
func takeAddress(a netip.Addr, device string) (undo func(), err error) {
	if err := ip("address", "add", a.String()+"/32", "dev", device); err != nil {
		return nil, err
	}
	return func() { ip("address", "del", a.String()+"/32", "dev", device) }, nil
}

// forgeTags asks, in other Pis' VLANs, who has their addresses: with one tag,
// and with two of which the outer is a VLAN that it is in. Whoever answers has
// let a frame into a VLAN that is not this Pi's.
func forgeTags(ctx context.Context, o order) (int, []string, error) {
	device, err := net.InterfaceByName(o.Device)
	if err != nil {
		return 0, nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(swap(etherAll)))
	if err != nil {
		return 0, nil, fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	at := &unix.SockaddrLinklayer{Protocol: swap(etherAll), Ifindex: device.Index}
	if err := errors.Join(unix.Bind(fd, at), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})); err != nil {
		return 0, nil, err
	}
	asked := map[netip.Addr]bool{}
	tried := 0
	for i, other := range o.Others {
		for _, tags := range [][]uint16{{o.VLANs[i]}, {0, o.VLANs[i]}, {o.VLANs[i], o.VLANs[i]}, {131, o.VLANs[i]}} {
			for _, who := range []netip.Addr{other.Server, other.Client} {
				tried++
				asked[who] = true
				if err := unix.Sendto(fd, arpRequest(device.HardwareAddr, other.Client, who, tags), 0, at); err != nil {
					return tried, nil, err
				}
			}
		}
	}
	breaches, err := answered(ctx, fd, asked)
	return tried, breaches, err
}

// answered listens for a while for ARP answers of those who must not hear it.
func answered(ctx context.Context, fd int, asked map[netip.Addr]bool) ([]string, error) {
	var breaches []string
	frame := make([]byte, 2048)
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end) && ctx.Err() == nil; {
		n, from, err := unix.Recvfrom(fd, frame, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return breaches, err
		}
		if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if who, ok := arpAnswer(frame[:n]); ok && asked[who] {
			breaches = append(breaches, fmt.Sprintf("%v answered", who))
		}
	}
	return breaches, nil
}

// arpRequest makes a request (RFC 826) of a Pi's address.
func arpRequest(mac net.HardwareAddr, source, who netip.Addr, tags []uint16) []byte {
	b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
	for _, tag := range tags {
		b = binary.BigEndian.AppendUint16(b, etherVLAN)
		b = binary.BigEndian.AppendUint16(b, tag)
	}
	b = binary.BigEndian.AppendUint16(b, etherARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
	b = append(append(b, mac...), source.AsSlice()...)
	b = append(append(b, 0, 0, 0, 0, 0, 0), who.AsSlice()...)
	return append(b, make([]byte, max(0, 60-len(b)))...)
}

// arpAnswer returns whose address an ARP answer tells, whatever its tags.
func arpAnswer(b []byte) (netip.Addr, bool) {
	b = b[min(len(b), 12):]
	for len(b) >= 4 && binary.BigEndian.Uint16(b) == etherVLAN {
		b = b[4:]
	}
	if len(b) < 2+28 || binary.BigEndian.Uint16(b) != etherARP || binary.BigEndian.Uint16(b[8:]) != 2 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b[16:20])), true
}

// swap puts a number into the order of the network.
func swap(n uint16) uint16 { return n<<8 | n>>8 }
