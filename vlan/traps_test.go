//go:build linux

package vlan_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// one returns what wants a single interface of the story, changed.
func one(change func(*vlan.Interface)) vlan.Wanted {
	want := wanted(rack(1))
	want.Owned.Slots = 100
	change(&want.Interfaces[0])
	return want
}

func same(*vlan.Interface) {}

func diffError(t *testing.T, want vlan.Wanted) error {
	t.Helper()
	have, err := vlan.Namespace{}.Current(t.Context(), want.Parents...)
	require.NoError(t, err)
	_, err = vlan.Diff(want, have)
	return err
}

// applyFails applies steps that were found before something else happened, and
// checks that nothing came of it.
func applyFails(t *testing.T, steps []vlan.Step, want string) {
	t.Helper()
	was := snapshot(t)
	err := vlan.Namespace{}.Apply(t.Context(), steps)
	require.ErrorContains(t, err, want)
	require.ErrorContains(t, err, "all is as before")
	require.Equal(t, was, snapshot(t))
}

func addr(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }

// TestTraps: each thing that a kernel is known to do to those who set up VLANs.
func TestTraps(t *testing.T) {
	if !guest(t) {
		return
	}
	for _, trap := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"id taken by another name", func(t *testing.T) {
			steps := diff(t, one(same)).Steps
			lab.Run(t, "sh", "-c", "ip link add link eth0 name mine type vlan id 10")
			applyFails(t, steps, "8021q: VLAN device already exists (file exists)")
			// It is on the plan's parent with an id of the plan's: it is owned.
			require.Equal(t, []string{"ip link delete dev mine", "ip link add link eth0 name eth0.10 up type vlan id 10",
				"ip address replace 10.46.189.1/30 dev eth0.10"}, commands(apply(t, one(same))))
		}},
		{"name taken by another kind", func(t *testing.T) {
			lab.Run(t, "sh", "-c", "ip link add eth0.10 type dummy")
			defer shell(t, "ip link delete eth0.10")
			applyFails(t, diff(t, one(same)).Steps, "ip link add link eth0 name eth0.10 up type vlan id 10: file exists")
		}},
		{"name taken by a VLAN that is not owned", func(t *testing.T) {
			lab.Run(t, "sh", "-c", "ip link add link eth0 name eth0.10 type vlan id 900")
			require.EqualError(t, diffError(t, one(same)), `vlan: eth0.10: the name is that of a link that is not owned: VLAN 900 on "eth0"`)
		}},
		{"id changed", func(t *testing.T) {
			name := func(i *vlan.Interface) { i.Name = "pi1" }
			apply(t, one(name))
			apply(t, one(func(i *vlan.Interface) { i.Name = "pi1"; i.ID = 12 }))
			requireIP(t, one(func(i *vlan.Interface) { i.Name = "pi1"; i.ID = 12 }).Interfaces)
		}},
		{"protocol changed", func(t *testing.T) {
			apply(t, one(same))
			want := one(func(i *vlan.Interface) { i.Protocol = vlan.Dot1AD })
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"parent changed", func(t *testing.T) {
			lab.Run(t, "sh", "-c", "ip link add eth1 type dummy && ip link set eth1 up")
			defer shell(t, "ip link delete eth1")
			want := one(func(i *vlan.Interface) { i.Name = "pi1"; i.Parent = "eth1" })
			want.Parents = []string{"eth0", "eth1"}
			apply(t, want)
			want.Interfaces[0].Parent = "eth0"
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"name changed", func(t *testing.T) {
			apply(t, one(same))
			want := one(func(i *vlan.Interface) { i.Name = "pi1" })
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"two ids swapped", func(t *testing.T) {
			want := wanted(rack(2))
			want.Interfaces[0].Name, want.Interfaces[1].Name = "a", "b"
			apply(t, want)
			want.Interfaces[0].Name, want.Interfaces[1].Name = "b", "a"
			require.Len(t, apply(t, want), 6)
			requireIP(t, want.Interfaces)
		}},
		{"MTU above the parent's", func(t *testing.T) {
			want := one(func(i *vlan.Interface) { i.MTU = 1500 })
			steps := diff(t, want).Steps
			lab.Run(t, "ip", "link", "set", "eth0", "mtu", "1400")
			require.ErrorIs(t, diffError(t, want), vlan.ErrParent)
			require.EqualError(t, diffError(t, want), "vlan: eth0.10: parent is not ready: MTU 1500 is above the 1400 of eth0")
			applyFails(t, steps, "ip link add link eth0 name eth0.10 mtu 1500 up type vlan id 10: ")
		}},
		{"MTU lowered with the parent's and not raised again", func(t *testing.T) {
			apply(t, one(same))
			lab.Run(t, "ip", "link", "set", "eth0", "mtu", "1400")
			lab.Run(t, "ip", "link", "set", "eth0", "mtu", "1500")
			require.Equal(t, []string{"ip link set dev eth0.10 mtu 1500"}, commands(apply(t, one(same))))
		}},
		{"parent down", func(t *testing.T) {
			steps := diff(t, one(same)).Steps
			lab.Run(t, "ip", "link", "set", "eth0", "down")
			require.ErrorIs(t, diffError(t, one(same)), vlan.ErrParent)
			require.EqualError(t, diffError(t, one(same)), "vlan: eth0.10: parent is not ready: eth0 is down: ip link set dev eth0 up")
			applyFails(t, steps, "network is down")
		}},
		{"no parent", func(t *testing.T) {
			apply(t, one(same))
			lab.Run(t, "ip", "link", "delete", "eth0") // and all on it
			require.EqualError(t, diffError(t, one(same)), "vlan: eth0.10: parent is not ready: there is no eth0")
		}},
		{"one address on two VLANs", func(t *testing.T) {
			want := wanted(rack(2))
			want.Interfaces[1].Addresses = addr("10.46.189.1/31")
			require.EqualError(t, diffError(t, want), "vlan: overlapping prefixes in two VLANs: 10.46.189.1/30 on this host's eth0.10 and 10.46.189.1/31 on this host's eth0.11")
		}},
		{"parent bounced", func(t *testing.T) {
			want := one(func(i *vlan.Interface) {
				i.Addresses = append(i.Addresses, addr("2001:db8::1/64")...)
				i.Gateways = []netip.Addr{netip.MustParseAddr("10.46.189.2"), netip.MustParseAddr("2001:db8::2")}
			})
			apply(t, want)
			requireIP(t, want.Interfaces)
			lab.Run(t, "ip", "link", "set", "eth0", "down")
			lab.Run(t, "ip", "link", "set", "eth0", "up")
			require.Contains(t, commands(diff(t, want).Steps), "ip address replace 2001:db8::1/64 dev eth0.10")
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"tentative", func(t *testing.T) {
			apply(t, one(func(i *vlan.Interface) { i.Addresses = addr("2001:db8::1/64") }))
			require.NotContains(t, shell(t, "ip -6 -o address show dev eth0.10 scope global"), "tentative", "Apply waits")
		}},
		{"duplicate address", func(t *testing.T) {
			lab.Run(t, "sh", "-c", "ip -n other link add link switch name switch.10 up type vlan id 10 && ip -n other address add 2001:db8::1/64 dev switch.10 nodad")
			want := one(func(i *vlan.Interface) { i.Addresses = addr("2001:db8::1/64") })
			applyFails(t, diff(t, want).Steps, "ip address replace 2001:db8::1/64 dev eth0.10: another host has the address 2001:db8::1")
		}},
		{"duplicate address found before", func(t *testing.T) {
			lab.Run(t, "sh", "-c", "ip -n other link add link switch name switch.10 up type vlan id 10 && ip -n other address add 2001:db8::1/64 dev switch.10 nodad")
			lab.Run(t, "sh", "-c", "ip link add link eth0 name eth0.10 up type vlan id 10 && ip address add 2001:db8::1/64 dev eth0.10")
			eventually(t, "dadfailed", func() bool { return strings.Contains(shell(t, "ip -6 address show dev eth0.10"), "dadfailed") })
			lab.Run(t, "ip", "-n", other, "link", "delete", "switch.10")
			want := one(func(i *vlan.Interface) { i.Addresses = addr("2001:db8::1/64") })
			require.Equal(t, "another host has it", diff(t, want).Steps[0].Why())
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"no carrier: nothing to wait for", func(t *testing.T) {
			lab.Run(t, "ip", "-n", other, "link", "set", "switch", "down")
			apply(t, one(func(i *vlan.Interface) { i.Addresses = addr("2001:db8::1/64") }))
		}},
		{"address changed inside its subnet", func(t *testing.T) {
			for _, promote := range []string{"0", "1"} {
				require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/promote_secondaries", []byte(promote), 0))
				gateway := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
				apply(t, one(func(i *vlan.Interface) {
					i.Gateways = gateway
					i.Addresses = append(addr("192.0.2.2/24"), append(addr("192.0.2.3/24"), addr("192.0.2.4/24")...)...)
				}))
				want := one(func(i *vlan.Interface) {
					i.Gateways = gateway
					i.Addresses = append(addr("192.0.2.3/24"), addr("192.0.2.5/24")...)
				})
				apply(t, want)
				requireIP(t, want.Interfaces)
				want.Interfaces[0].Addresses = addr("192.0.2.99/24")
				apply(t, want)
				requireIP(t, want.Interfaces)
			}
		}},
		{"somebody added an address, a gateway, and set it down", func(t *testing.T) {
			want := one(same)
			apply(t, want)
			lab.Run(t, "sh", "-c", "ip address add 203.0.113.1/24 dev eth0.10; ip route add default via 203.0.113.2; ip route add default via 10.46.189.2 metric 5; ip link set eth0.10 down; ip link set eth0.10 mtu 1400")
			apply(t, want)
			requireIP(t, want.Interfaces)
		}},
		{"what is not owned", func(t *testing.T) {
			lab.Run(t, "sh", "-c", `ip address add 192.0.2.1/24 dev eth0
				ip link add eth1 type dummy; ip link set eth1 up; ip link add link eth1 name eth1.10 up type vlan id 10
				ip link add link eth0 name eth0.900 up type vlan id 900; ip address add 198.51.100.1/24 dev eth0.900
				ip netns add away; ip link add link eth0 name away up netns away type vlan id 13
				ip -n other link add link switch name back netns 1 type vlan id 12`)
			defer shell(t, "ip link delete eth1; ip link delete back; ip netns delete away")
			strangers := func() string {
				return shell(t, "ip -o -d address show dev eth0; ip -o -d address show dev eth0.900; ip -o -d address show dev eth1.10; ip -n away -o -d link show away")
			}
			// Only once the kernel has done with its own changes are all others ours.
			eventually(t, "links up and addresses no longer tentative", func() bool {
				now := strangers()
				return strings.Count(now, "fe80::") == 3 && strings.Contains(now, " state UP ") && !strings.Contains(now, "tentative")
			})
			was := strangers()
			want := one(same)
			apply(t, want)
			want.Interfaces, want.Prune = nil, true
			require.Equal(t, []string{"ip link delete dev eth0.10"}, commands(apply(t, want)))
			require.Equal(t, was, strangers())
		}},
		{"owned and not planned", func(t *testing.T) {
			apply(t, wanted(rack(2)))
			want := one(same)
			require.Equal(t, []string{"eth0.11"}, diff(t, want).Unplanned)
			require.Empty(t, diff(t, want).Steps)
			want.Prune = true
			require.Equal(t, []string{"ip link delete dev eth0.11"}, commands(apply(t, want)))
			requireIP(t, want.Interfaces)
		}},
		{"something on a link that is to go", func(t *testing.T) {
			apply(t, one(same))
			lab.Run(t, "ip", "link", "add", "link", "eth0.10", "name", "on-it", "type", "macvlan")
			want := one(same)
			want.Interfaces, want.Prune = nil, true
			was := snapshot(t)
			err := vlan.Namespace{}.Apply(t.Context(), diff(t, want).Steps)
			require.EqualError(t, err, "vlan: nothing changed: on-it is on eth0.10, and would be deleted with it")
			require.Equal(t, was, snapshot(t))
		}},
		{"a link that is another one now", func(t *testing.T) {
			apply(t, one(same))
			want := one(same)
			want.Interfaces, want.Prune = nil, true
			steps := diff(t, want).Steps
			lab.Run(t, "sh", "-c", "ip link delete eth0.10; ip link add link eth0 name eth0.10 type vlan id 900")
			was := snapshot(t)
			require.EqualError(t, vlan.Namespace{}.Apply(t.Context(), steps), "vlan: nothing changed: eth0.10 is another link now")
			require.Equal(t, was, snapshot(t))
		}},
		{"id zero", func(t *testing.T) {
			require.ErrorContains(t, diffError(t, one(func(i *vlan.Interface) { i.ID = 0 })), "id 0 is not in 1..4094")
		}},
		{"another namespace", func(t *testing.T) {
			fd, err := unix.Open("/run/netns/"+other, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			require.NoError(t, err)
			defer unix.Close(fd)
			there := vlan.Namespace{FD: fd}
			want := one(func(i *vlan.Interface) { i.Parent = "switch" })
			want.Parents = []string{"switch"}
			have, err := there.Current(t.Context(), "switch")
			require.NoError(t, err)
			changes, err := vlan.Diff(want, have)
			require.NoError(t, err)
			require.NoError(t, there.Apply(t.Context(), changes.Steps))
			require.Contains(t, shell(t, "ip -n other -o address"), "switch.10    inet 10.46.189.1/30")
			requireIP(t, nil)
		}},
		{"cancelled", func(t *testing.T) {
			steps := diff(t, wanted(rack(8))).Steps
			was := snapshot(t)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, vlan.Namespace{}.Apply(ctx, steps), context.Canceled)
			require.Equal(t, was, snapshot(t))
		}},
	} {
		t.Run(trap.name, func(t *testing.T) {
			uplink(t)
			trap.run(t)
		})
	}
}

// applyEnv says to TestKilled's child how many interfaces it is to have.
const applyEnv = "BERRYRACK_VLAN_APPLY"

// TestKilled: an apply that is killed at any time is finished by the next one.
func TestKilled(t *testing.T) {
	if n, err := strconv.Atoi(os.Getenv(applyEnv)); err == nil {
		want := wanted(rack(n))
		want.Owned, want.Prune = rack(300).Private, true
		apply(t, want)
		return
	}
	if !guest(t) {
		return
	}
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
	killed := 0
	for _, delay := range []time.Duration{40, 80, 120, 160, 200, 300, 400, 600, 800} {
		for _, n := range []string{"300", "2"} { // up, and down again
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
			cmd.Env = append(os.Environ(), applyEnv+"="+n)
			require.NoError(t, cmd.Start())
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(delay * time.Millisecond):
				require.NoError(t, cmd.Process.Kill())
				if <-done != nil {
					killed++
				}
			}
		}
		want := wanted(rack(300))
		apply(t, want)
		requireIP(t, want.Interfaces)
		// What the killed one has left in the group of links to be deleted is
		// taken out of it before the next deletion.
		fewer := wanted(rack(299))
		fewer.Owned, fewer.Prune = rack(300).Private, true
		apply(t, fewer)
		requireIP(t, fewer.Interfaces)
		require.NotContains(t, shell(t, "ip -o link"), "group 1651")
	}
	require.Greater(t, killed, 3, "too few were killed in time")
}
