package main

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARP(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	who, source := netip.MustParseAddr("10.46.189.1"), netip.MustParseAddr("10.46.189.2")
	for _, tags := range [][]uint16{nil, {10}, {131, 10}} {
		frame := arpRequest(mac, source, who, tags)
		require.GreaterOrEqual(t, len(frame), 60)
		_, ok := arpAnswer(frame)
		require.False(t, ok, "a question is no answer")
		answer := bytes.Replace(frame, []byte{6, 4, 0, 1}, []byte{6, 4, 0, 2}, 1)
		got, ok := arpAnswer(answer)
		require.True(t, ok)
		require.Equal(t, source, got)
		for size := range 14 + 4*len(tags) + 28 {
			_, ok := arpAnswer(answer[:size])
			require.False(t, ok, size)
		}
	}
}

func TestGuesses(t *testing.T) {
	own := append([]byte{1, 0, 6, 0}, make([]byte, 16)...)
	seen := map[string]bool{}
	for _, handle := range guesses(own) {
		require.LessOrEqual(t, len(handle), 64, "RFC 1813, section 2.3.3")
		require.NotEqual(t, own, handle)
		seen[string(handle)] = true
	}
	require.Greater(t, len(seen), maxInode)
}
