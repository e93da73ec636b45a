package vlan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// The attributes of a VLAN's IFLA_INFO_DATA (linux/if_link.h). The id is in the
// host's byte order, the protocol in the network's.
const (
	vlanID       = 1
	vlanProtocol = 5
)

// etherType returns the protocol's EtherType.
func (p Protocol) etherType() uint16 {
	if p == Dot1AD {
		return unix.ETH_P_8021AD
	}
	return unix.ETH_P_8021Q
}

const (
	// readBuffer has room for the answers to a batch, should all fail.
	readBuffer = 1 << 20
	// messageBuffer has room for one message of a dump.
	messageBuffer = 1 << 16
	// dumpTries is how often a dump that changes interrupted is made again.
	dumpTries = 10
)

// conn is a socket to rtnetlink.
type conn struct{ *netlink.Conn }

func (n Namespace) dial(groups uint32) (conn, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: n.FD, Strict: true, MessageBufferSize: messageBuffer, Groups: groups})
	if err != nil {
		return conn{}, fmt.Errorf("vlan: %w", err)
	}
	// Without the privilege it stays as the system has it.
	_ = c.SetReadBuffer(readBuffer)
	return conn{c}, nil
}

// dump returns all messages of a kind. Changes in between make it inconsistent:
// then it is made again.
func (c conn) dump(ctx context.Context, kind int, body []byte) ([]netlink.Message, error) {
	for range dumpTries {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		messages, err := c.Execute(netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Dump},
			Data:   body,
		})
		if err != nil {
			return nil, reason(err)
		}
		if !interrupted(messages) {
			return messages, nil
		}
	}
	return nil, fmt.Errorf("interfaces change faster than they can be listed (%d times)", dumpTries)
}

func interrupted(messages []netlink.Message) bool {
	for _, message := range messages {
		if message.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// reason returns what the kernel says, in its own words if it has some.
func reason(err error) error {
	var opError *netlink.OpError
	switch {
	case !errors.As(err, &opError):
		return err
	case opError.Message != "":
		return fmt.Errorf("%s (%w)", opError.Message, opError.Err)
	}
	return opError.Err
}

// ifinfomsg is a link message's header (linux/rtnetlink.h).
func ifinfomsg(index int, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

// ifaddrmsg is an address message's header.
func ifaddrmsg(prefix netip.Prefix, index int) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1] = family(prefix.Addr()), byte(prefix.Bits())
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// rtmsg is a static default route's header.
func rtmsg(family, protocol uint8) []byte {
	b := make([]byte, unix.SizeofRtMsg)
	b[0], b[4], b[5], b[6], b[7] = family, unix.RT_TABLE_MAIN, protocol, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST
	return b
}

func family(addr netip.Addr) uint8 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// attributes appends what set encodes to a header.
func attributes(header []byte, set func(*netlink.AttributeEncoder)) ([]byte, error) {
	encoder := netlink.NewAttributeEncoder()
	set(encoder)
	encoded, err := encoder.Encode()
	return append(header, encoded...), err
}

// message encodes an op. index are the links by name.
func (o op) message(index map[string]int) (netlink.Message, error) {
	var kind, flags int
	var body []byte
	var err error
	switch o.verb {
	case addLink:
		kind, flags = unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL
		body, err = o.newLink(index[o.parent])
	case deleteLink:
		kind, body = unix.RTM_DELLINK, ifinfomsg(index[o.device], 0, 0)
	case setMTU:
		kind = unix.RTM_NEWLINK
		body, err = attributes(ifinfomsg(index[o.device], 0, 0), func(e *netlink.AttributeEncoder) { e.Uint32(unix.IFLA_MTU, uint32(o.mtu)) })
	case setUp:
		kind, body = unix.RTM_NEWLINK, ifinfomsg(index[o.device], unix.IFF_UP, unix.IFF_UP)
	case setDown:
		kind, body = unix.RTM_NEWLINK, ifinfomsg(index[o.device], 0, unix.IFF_UP)
	case addAddress, deleteAddress:
		kind, flags = unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE
		if o.verb == deleteAddress {
			kind, flags = unix.RTM_DELADDR, 0
		}
		body, err = attributes(ifaddrmsg(o.prefix, index[o.device]), func(e *netlink.AttributeEncoder) {
			e.Bytes(unix.IFA_LOCAL, o.prefix.Addr().AsSlice())
			e.Bytes(unix.IFA_ADDRESS, o.prefix.Addr().AsSlice())
		})
	default:
		kind, flags = unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL
		protocol := uint8(unix.RTPROT_STATIC)
		if o.verb == deleteRoute {
			kind, flags, protocol = unix.RTM_DELROUTE, 0, unix.RTPROT_UNSPEC
		}
		body, err = attributes(rtmsg(family(o.via), protocol), func(e *netlink.AttributeEncoder) {
			e.Bytes(unix.RTA_GATEWAY, o.via.AsSlice())
			e.Uint32(unix.RTA_OIF, uint32(index[o.device]))
		})
	}
	return netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.HeaderFlags(flags)},
		Data:   body,
	}, err
}

// newLink encodes a VLAN link. It is made and brought up in one.
func (o op) newLink(parent int) ([]byte, error) {
	var flags uint32
	if o.up {
		flags = unix.IFF_UP
	}
	return attributes(ifinfomsg(0, flags, flags), func(e *netlink.AttributeEncoder) {
		e.String(unix.IFLA_IFNAME, o.device)
		e.Uint32(unix.IFLA_LINK, uint32(parent))
		if o.mtu != 0 {
			e.Uint32(unix.IFLA_MTU, uint32(o.mtu))
		}
		e.Nested(unix.IFLA_LINKINFO, func(e *netlink.AttributeEncoder) error {
			e.String(unix.IFLA_INFO_KIND, "vlan")
			e.Nested(unix.IFLA_INFO_DATA, func(e *netlink.AttributeEncoder) error {
				e.Uint16(vlanID, uint16(o.vlan.id))
				e.Bytes(vlanProtocol, binary.BigEndian.AppendUint16(nil, o.vlan.protocol.etherType()))
				return nil
			})
			return nil
		})
	})
}

// device is a link of any kind, as a message says.
type device struct {
	index, lower, mtu int
	flags, group      uint32
	name, kind        string
	foreign           bool // its parent is in another namespace
	vlan              tag
}

func parseLink(message netlink.Message) (device, error) {
	if len(message.Data) < unix.SizeofIfInfomsg {
		return device{}, errors.New("a link message is too short")
	}
	d := device{
		index: int(int32(binary.NativeEndian.Uint32(message.Data[4:]))),
		flags: binary.NativeEndian.Uint32(message.Data[8:]),
	}
	decoder, err := netlink.NewAttributeDecoder(message.Data[unix.SizeofIfInfomsg:])
	if err != nil {
		return device{}, err
	}
	for decoder.Next() {
		switch decoder.Type() {
		case unix.IFLA_IFNAME:
			d.name = decoder.String()
		case unix.IFLA_MTU:
			d.mtu = int(decoder.Uint32())
		case unix.IFLA_LINK:
			d.lower = int(decoder.Uint32())
		case unix.IFLA_GROUP:
			d.group = decoder.Uint32()
		case unix.IFLA_LINK_NETNSID:
			d.foreign = true
		case unix.IFLA_LINKINFO:
			decoder.Nested(d.parseInfo)
		}
	}
	return d, decoder.Err()
}

func (d *device) parseInfo(decoder *netlink.AttributeDecoder) error {
	for decoder.Next() {
		switch decoder.Type() {
		case unix.IFLA_INFO_KIND:
			d.kind = strings.TrimRight(decoder.String(), "\x00")
		case unix.IFLA_INFO_DATA:
			if d.kind == "vlan" { // the kind comes first
				decoder.Nested(d.parseVLAN)
			}
		}
	}
	return nil
}

func (d *device) parseVLAN(decoder *netlink.AttributeDecoder) error {
	for decoder.Next() {
		switch decoder.Type() {
		case vlanID:
			d.vlan.id = ID(decoder.Uint16())
		case vlanProtocol:
			if b := decoder.Bytes(); len(b) == 2 && binary.BigEndian.Uint16(b) == unix.ETH_P_8021AD {
				d.vlan.protocol = Dot1AD
			}
		}
	}
	return nil
}

// heldAddress is an address of a link, as a message says.
type heldAddress struct {
	index  int
	flags  uint32
	prefix netip.Prefix
}

func parseAddress(message netlink.Message) (heldAddress, error) {
	if len(message.Data) < unix.SizeofIfAddrmsg {
		return heldAddress{}, errors.New("an address message is too short")
	}
	a := heldAddress{index: int(binary.NativeEndian.Uint32(message.Data[4:])), flags: uint32(message.Data[2])}
	bits := int(message.Data[1])
	decoder, err := netlink.NewAttributeDecoder(message.Data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return heldAddress{}, err
	}
	var local, address netip.Addr
	for decoder.Next() {
		switch decoder.Type() {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(decoder.Bytes())
		case unix.IFA_ADDRESS: // of the other end, if there is an IFA_LOCAL
			address, _ = netip.AddrFromSlice(decoder.Bytes())
		case unix.IFA_FLAGS:
			a.flags = decoder.Uint32()
		}
	}
	if !local.IsValid() {
		local = address
	}
	a.prefix = netip.PrefixFrom(local, bits)
	return a, decoder.Err()
}

// permanent reports whether somebody set the address, and not a protocol.
func (a heldAddress) permanent() bool {
	return a.prefix.IsValid() && a.flags&unix.IFA_F_PERMANENT != 0 && !a.prefix.Addr().IsLinkLocalUnicast()
}

// hop is the next hop of a default route.
type hop struct {
	index int
	via   netip.Addr
}

// parseDefault returns the next hop of a message about a default route; ok is
// false for any other route.
func parseDefault(message netlink.Message) (h hop, ok bool, err error) {
	if len(message.Data) < unix.SizeofRtMsg {
		return hop{}, false, errors.New("a route message is too short")
	}
	if message.Data[1] != 0 || message.Data[4] != unix.RT_TABLE_MAIN || message.Data[7] != unix.RTN_UNICAST {
		return hop{}, false, nil
	}
	decoder, err := netlink.NewAttributeDecoder(message.Data[unix.SizeofRtMsg:])
	if err != nil {
		return hop{}, false, err
	}
	for decoder.Next() {
		switch decoder.Type() {
		case unix.RTA_OIF:
			h.index = int(decoder.Uint32())
		case unix.RTA_GATEWAY:
			h.via, ok = netip.AddrFromSlice(decoder.Bytes())
		}
	}
	return h, ok, decoder.Err()
}

// until makes the conn's reads fail once ctx is done.
func (c conn) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
}
