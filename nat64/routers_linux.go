package nat64

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	userOptionHeader    = 16 // struct nduseroptmsg of linux/rtnetlink.h
	userOptionSource    = 1  // NDUSEROPT_SRCADDR
	routerAdvertisement = 134
)

// listenToRouters hands on the PREF64 options that the kernel receives, until
// ctx ends.
func listenToRouters(ctx context.Context, events chan<- advertised) error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("nat64: %w", err)
	}
	defer conn.Close()
	if err := conn.JoinGroup(unix.RTNLGRP_ND_USEROPT); err != nil {
		return fmt.Errorf("nat64: neighbour discovery options: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		messages, err := conn.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			continue // some were lost; routers say it again
		case err != nil:
			return fmt.Errorf("nat64: %w", err)
		}
		for _, m := range messages {
			if m.Header.Type != unix.RTM_NEWNDUSEROPT {
				continue
			}
			for _, a := range readUserOptions(m.Data) {
				select {
				case events <- a:
				case <-ctx.Done():
					return nil
				}
			}
		}
	}
}

// readUserOptions returns the PREF64 options in the body of an
// RTM_NEWNDUSEROPT message.
func readUserOptions(data []byte) (found []advertised) {
	if len(data) < userOptionHeader {
		return nil
	}
	length := int(binary.NativeEndian.Uint16(data[2:]))
	index := int(int32(binary.NativeEndian.Uint32(data[4:])))
	if data[0] != unix.AF_INET6 || data[8] != routerAdvertisement || length > len(data)-userOptionHeader {
		return nil
	}
	options, attributes := data[userOptionHeader:userOptionHeader+length], data[userOptionHeader+length:]
	from := sourceOf(attributes, index)
	for len(options) >= 8 {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) {
			break // RFC 4861, section 4.6: the rest cannot be trusted
		}
		if options[0] == optionPREF64 {
			if p, lifetime, err := ParsePREF64(options[:size]); err == nil {
				found = append(found, advertised{p, lifetime, from})
			}
		}
		options = options[size:]
	}
	return found
}

// sourceOf names the router and the interface.
func sourceOf(attributes []byte, index int) string {
	zone := fmt.Sprint(index)
	if i, err := net.InterfaceByIndex(index); err == nil {
		zone = i.Name
	}
	decoder, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return "%" + zone
	}
	for decoder.Next() {
		if decoder.Type() == userOptionSource {
			if addr, ok := netip.AddrFromSlice(decoder.Bytes()); ok {
				return addr.WithZone(zone).String()
			}
		}
	}
	return "%" + zone
}
