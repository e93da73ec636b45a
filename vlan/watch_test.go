//go:build linux

package vlan_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

// TestWatch: what others change is put right, and the log says why, not more
// often than it may.
func TestWatch(t *testing.T) {
	if !guest(t) {
		return
	}
	want := wanted(rack(8))
	want.Interfaces[0].Addresses = append(want.Interfaces[0].Addresses, netip.MustParsePrefix("2001:db8::1/64"))
	want.Interfaces[0].Gateways = []netip.Addr{netip.MustParseAddr("2001:db8::2")}
	var log events
	over := errors.New("the test is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	t.Cleanup(func() { t.Log(log.String()) })
	const interval = 300 * time.Millisecond
	began := time.Now()
	go func() {
		done <- vlan.Watcher{Interval: interval, Log: slog.New(slog.NewTextHandler(&log, nil))}.Watch(ctx, want)
	}()
	applied := func(n int, why string) {
		t.Helper()
		eventually(t, why, func() bool {
			return strings.Count(log.String(), "msg=applied") >= n && strings.Contains(log.String(), why)
		})
		requireIP(t, want.Interfaces)
	}
	applied(1, "why=[start]")
	lab.Run(t, "ip", "link", "delete", "eth0.12")
	applied(2, "eth0.12 was deleted")
	lab.Run(t, "ip", "address", "delete", "10.46.189.13/30", "dev", "eth0.13")
	applied(3, "eth0.13: 10.46.189.13/30 was removed")
	lab.Run(t, "ip", "link", "set", "eth0", "down")
	eventually(t, "parent is down", func() bool { return strings.Contains(log.String(), "eth0 is down: ip link set dev eth0 up") })
	lab.Run(t, "ip", "link", "set", "eth0", "up")
	applied(4, "eth0 is up")
	lab.Run(t, "ip", "link", "set", "eth0.14", "down")
	applied(5, "eth0.14 is down")
	lab.Run(t, "ip", "-6", "route", "delete", "default", "dev", "eth0.10")
	applied(6, "eth0.10: default via 2001:db8::2 was removed")

	// What is not the plan's is no reason.
	before := strings.Count(log.String(), "\n")
	lab.Run(t, "sh", "-c", "ip link add eth9 type dummy; ip link set eth9 up; ip address add 192.0.2.1/24 dev eth9; ip link delete eth9")
	// A storm is put right at once, and by few applies.
	for range 20 {
		shell(t, "ip link delete eth0.15")
	}
	eventually(t, "eth0.15", func() bool { return strings.Contains(log.String(), "eth0.15 was deleted") })
	require.NotContains(t, log.String(), "eth9")
	eventually(t, "all is well", func() bool { return len(diff(t, want).Steps) == 0 })
	lines := strings.Count(log.String(), "msg=applied")
	require.LessOrEqual(t, lines, int(time.Since(began)/interval)+1)
	require.Greater(t, strings.Count(log.String(), "\n"), before)

	cancel(over)
	require.ErrorIs(t, <-done, over)
}

func TestWatchRefusesABadPlan(t *testing.T) {
	if !guest(t) {
		return
	}
	want := wanted(rack(2))
	want.Interfaces[0].ID = 1
	require.ErrorContains(t, vlan.Watcher{}.Watch(t.Context(), want), "id 1 is every switch's default VLAN")
}
