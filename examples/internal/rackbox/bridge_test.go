package rackbox

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/vlan"
)

// The story's switch, of three Pis: each has a VLAN of its own with the
// fileserver, and all share VLAN 131 with the gateway.
const (
	pi1, pi2, pi3, server, uplink = 1, 2, 3, 24, 25
	public                        = vlan.ID(131)
)

func plan() vlan.Switch {
	s := vlan.Switch{Name: "sw1", Ports: []vlan.Port{
		{Number: server, Trunk: true, Tagged: []vlan.ID{10, 11, 12}},
		{Number: uplink, Trunk: true, Tagged: []vlan.ID{public}},
	}}
	for n := pi1; n <= pi3; n++ {
		own := vlan.ID(9 + n)
		s.Ports = append(s.Ports, vlan.Port{Number: n, PVID: own, Untagged: []vlan.ID{own}, Tagged: []vlan.ID{public}})
	}
	return s
}

func testBridge(t *testing.T) *bridge {
	t.Helper()
	b, err := newBridge(plan(), time.Now)
	require.NoError(t, err)
	return b
}

var broadcast = mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func host(n byte) mac { return mac{0x02, 0, 0, 0, 0, n} }

// ethernet makes a frame with the given tags, the outer first.
func ethernet(dst, src mac, tags ...uint16) []byte {
	raw := append(append([]byte(nil), dst[:]...), src[:]...)
	for _, tci := range tags {
		raw = binary.BigEndian.AppendUint16(raw, etherTypeVLAN)
		raw = binary.BigEndian.AppendUint16(raw, tci)
	}
	return append(raw, 0x08, 0x00, 'h', 'i')
}

// out returns what leaves the bridge when a frame comes in by a port.
func out(b *bridge, in int, raw []byte) map[int][]byte {
	leaving := map[int][]byte{}
	f, ok := b.classify(in, raw)
	if !ok {
		return leaving
	}
	for _, to := range b.forward(in, f) {
		leaving[to] = f.bytes(nil, !b.ports[to].untagged[f.vlan])
	}
	return leaving
}

func TestVLANs(t *testing.T) {
	type ports map[int][]byte
	for _, tt := range []struct {
		what string
		in   int
		tags []uint16
		out  ports
	}{
		{"untagged is of the PVID, and leaves a trunk tagged", pi1, nil, ports{server: ethernet(broadcast, host(9), 10)}},
		{"a trunk's tag is taken off at the Pi", server, []uint16{11}, ports{pi2: ethernet(broadcast, host(9))}},
		{"the public VLAN floods to all that have it", pi1, []uint16{131}, ports{
			pi2: ethernet(broadcast, host(9), 131), pi3: ethernet(broadcast, host(9), 131), uplink: ethernet(broadcast, host(9), 131)}},
		{"ingress filtering: another Pi's VLAN", pi1, []uint16{11}, ports{}},
		{"ingress filtering: no VLAN of the rack", pi1, []uint16{77}, ports{}},
		{"ingress filtering: the fileserver is not in the public VLAN", server, []uint16{131}, ports{}},
		{"a trunk has no VLAN for what has no tag", server, nil, ports{}},
		{"its own VLAN tagged is the same VLAN", pi1, []uint16{10}, ports{server: ethernet(broadcast, host(9), 10)}},
		{"a priority tag has no VLAN of its own, and the priority stays", pi1, []uint16{5 << 13}, ports{server: ethernet(broadcast, host(9), 5<<13|10)}},
		{"VLAN 4095 is none", pi1, []uint16{4095}, ports{}},
		{"two tags do not hop: the inner one stays inside", pi1, []uint16{10, 11}, ports{server: ethernet(broadcast, host(9), 10, 11)}},
		{"two tags, the outer of another's VLAN", pi1, []uint16{11, 10}, ports{}},
		{"two tags in the public VLAN", pi1, []uint16{131, 11}, ports{
			pi2: ethernet(broadcast, host(9), 131, 11), pi3: ethernet(broadcast, host(9), 131, 11), uplink: ethernet(broadcast, host(9), 131, 11)}},
		{"a port that the plan does not have", 7, nil, ports{}},
	} {
		require.Equal(t, map[int][]byte(tt.out), out(testBridge(t), tt.in, ethernet(broadcast, host(9), tt.tags...)), tt.what)
	}
}

func TestFramesThatAreNone(t *testing.T) {
	b := testBridge(t)
	whole := ethernet(broadcast, host(9))
	for size := range macBytes + 2 {
		require.Empty(t, out(b, pi1, whole[:size]), size)
	}
	tagged := ethernet(broadcast, host(9), 10)
	for size := macBytes + 2; size < macBytes+tagBytes+2; size++ {
		require.Empty(t, out(b, pi1, tagged[:size]), size)
	}
	require.NotEmpty(t, out(b, pi1, append(whole, make([]byte, maxFrame-len(whole))...)))
	require.Empty(t, out(b, pi1, append(whole, make([]byte, maxFrame-len(whole)+1)...)))
	require.Empty(t, out(b, pi1, ethernet(broadcast, broadcast)), "a group sends nothing")
	require.Empty(t, out(b, pi1, ethernet(mac{0x01, 0x80, 0xc2, 0, 0, 0x0e}, host(9))), "LLDP ends at the next bridge")
}

// What is known of an address in one VLAN says nothing of it in another.
func TestLearning(t *testing.T) {
	b := testBridge(t)
	out(b, pi1, ethernet(broadcast, host(1), 131))
	require.Equal(t, map[int][]byte{pi1: ethernet(host(1), host(2), 131)}, out(b, pi2, ethernet(host(1), host(2), 131)))
	require.Empty(t, out(b, pi1, ethernet(host(1), host(3), 131)), "it is behind the port that the frame came from")
	require.Contains(t, out(b, pi2, ethernet(host(1), host(2))), server, "unknown in VLAN 11")

	out(b, pi3, ethernet(broadcast, host(1), 131)) // it has moved
	require.Contains(t, out(b, pi2, ethernet(host(1), host(2), 131)), pi3)
	b.forget(pi3)
	require.Len(t, out(b, pi2, ethernet(host(1), host(2), 131)), 3, "unknown again: to all of the VLAN")
}

func TestAgeing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBridge(t)
		out(b, pi1, ethernet(broadcast, host(1), 131))
		time.Sleep(ageing - time.Second)
		require.Len(t, out(b, pi2, ethernet(host(1), host(2), 131)), 1)
		time.Sleep(time.Second)
		require.Len(t, out(b, pi2, ethernet(host(1), host(2), 131)), 3)
	})
}

// A port that makes up addresses fills its own part of the table, and no more.
func TestLearningLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBridge(t)
		made := func(n int) mac { return mac{0x06, 0, 0, 0, byte(n >> 8), byte(n)} }
		for n := range 3 * addressesPerPort {
			out(b, pi1, ethernet(broadcast, made(n), 131))
		}
		require.Len(t, b.learned, addressesPerPort)
		out(b, pi2, ethernet(broadcast, host(2), 131))
		require.Len(t, out(b, pi3, ethernet(host(2), host(3), 131)), 1, "others' addresses are learned all the same")
		require.Len(t, out(b, pi3, ethernet(made(addressesPerPort), host(3), 131)), 3, "beyond the limit: as unknown")

		time.Sleep(ageing)
		out(b, pi1, ethernet(broadcast, host(1), 131))
		require.Len(t, out(b, pi3, ethernet(host(1), host(3), 131)), 1, "old ones make room")
		require.Equal(t, 1, b.count[pi1])
	})
}

func TestPortTwice(t *testing.T) {
	_, err := newBridge(vlan.Switch{Name: "sw1", Ports: []vlan.Port{{Number: 1}, {Number: 1}}}, time.Now)
	require.ErrorContains(t, err, "port 1 twice")
}
