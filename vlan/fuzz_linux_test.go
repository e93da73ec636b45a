package vlan

import (
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// FuzzMessages: no message about a link, an address or a route makes us panic.
func FuzzMessages(f *testing.F) {
	create := op{verb: addLink, device: "eth0.10", parent: "eth0", vlan: tag{Dot1AD, 10}, mtu: 1400, up: true}
	message, err := create.message(map[string]int{"eth0": 7})
	require.NoError(f, err)
	f.Add(uint16(unix.RTM_NEWLINK), message.Data)
	f.Add(uint16(unix.RTM_NEWADDR), []byte{2, 30, 0x80, 0, 1, 0, 0, 0, 8, 0, 2, 0, 10, 46, 189, 1})
	f.Add(uint16(unix.RTM_NEWROUTE), append(rtmsg(unix.AF_INET, unix.RTPROT_STATIC), 8, 0, 5, 0, 10, 46, 189, 2))
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		e, ok := parseEvent(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(kind)}, Data: data})
		if ok {
			_ = watch{}.why(e, State{})
		}
	})
}

// TestMessageReadsBack: what is asked of the kernel is what would be read of it.
func TestMessageReadsBack(t *testing.T) {
	for _, protocol := range []Protocol{Dot1Q, Dot1AD} {
		want := op{verb: addLink, device: "eth0.10", parent: "eth0", vlan: tag{protocol, 4094}, mtu: 1400, up: true}
		message, err := want.message(map[string]int{"eth0": 7})
		require.NoError(t, err)
		got, err := parseLink(message)
		require.NoError(t, err)
		require.Equal(t, device{lower: 7, mtu: 1400, flags: unix.IFF_UP, name: "eth0.10", kind: "vlan", vlan: want.vlan}, got)
	}
}
