package nat64

import "net/netip"

// wellKnownCarries reports whether the Well-Known Prefix may carry v4: global
// addresses (RFC 6052, section 3.1), and the two that RFC 7050 discovers
// prefixes with, which the registry calls not global.
func wellKnownCarries(v4 [4]byte) bool {
	return isGlobal4(v4) || v4 == ipv4Only170 || v4 == ipv4Only171
}

// isGlobal4 reports whether v4 is a unicast address that the IANA IPv4
// Special-Purpose Address Registry leaves globally reachable (RFC 6890).
func isGlobal4(v4 [4]byte) bool {
	switch v4[0] {
	case 0, 10, 127: // "this network", private, loopback
		return false
	case 100: // shared, RFC 6598
		return v4[1]&0xc0 != 64
	case 169: // link-local
		return v4[1] != 254
	case 172: // private
		return v4[1]&0xf0 != 16
	case 192:
		return isGlobal192(v4)
	case 198: // benchmarking, documentation
		return v4[1]&0xfe != 18 && !(v4[1] == 51 && v4[2] == 100)
	case 203: // documentation
		return !(v4[1] == 0 && v4[2] == 113)
	}
	return v4[0] < 224 // multicast, reserved, broadcast
}

func isGlobal192(v4 [4]byte) bool {
	switch {
	case v4[1] == 168: // private
		return false
	case v4[1] == 88 && v4[2] == 99: // 6to4 relays, deprecated by RFC 7526
		return false
	case v4[1] == 0 && v4[2] == 0: // protocol assignments; .9 is PCP, .10 is TURN
		return v4[3] == 9 || v4[3] == 10
	case v4[1] == 0 && v4[2] == 2: // documentation
		return false
	}
	return true
}

// neverSynthesized reports whether v4 cannot be the address of another host,
// so that no prefix should carry it when a name or a literal is dialed.
func neverSynthesized(v4 netip.Addr) bool {
	b := v4.As4()
	return b[0] == 0 || v4.IsLoopback() || v4.IsLinkLocalUnicast() || b == [4]byte{255, 255, 255, 255}
}

// isGlobal6 reports whether b is a unicast address that IANA has allocated
// (2000::/3) and that its IPv6 Special-Purpose Address Registry leaves globally
// reachable. 6to4 (2002::/16) and Teredo (2001::/32) are as global as the IPv4
// addresses in them, which is not judged here.
func isGlobal6(b [16]byte) bool {
	switch {
	case b[0]&0xe0 != 0x20:
		return false
	case b[0] == 0x3f && b[1] == 0xff && b[2]&0xf0 == 0: // documentation, RFC 9637
		return false
	case b[0] != 0x20 || b[1] != 0x01:
		return true
	case b[2] == 0x0d && b[3] == 0xb8: // documentation
		return false
	case b[2] >= 0x02: // behind 2001::/23, the IETF protocol assignments
		return true
	}
	return isGlobalAssignment(b)
}

// isGlobalAssignment judges addresses of 2001::/23, most of which are not global.
func isGlobalAssignment(b [16]byte) bool {
	switch group := uint16(b[2])<<8 | uint16(b[3]); group {
	case 0x0000: // Teredo
		return true
	case 0x0001: // anycast of PCP, TURN and DNS-SD's service registration
		for _, octet := range b[4:15] {
			if octet != 0 {
				return false
			}
		}
		return b[15] >= 1 && b[15] <= 3
	case 0x0003: // AMT
		return true
	case 0x0004: // AS112-v6
		return b[4] == 0x01 && b[5] == 0x12
	default: // ORCHIDv2 and drone remote identification
		return group >= 0x0020 && group <= 0x003f
	}
}
