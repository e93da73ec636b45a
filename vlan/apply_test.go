//go:build linux

package vlan_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

// guest runs the rest of a test in a guest that has eth0.
func guest(t *testing.T) bool {
	t.Helper()
	lab.Need(t, "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6", "dummy", "macvlan") {
		return false
	}
	uplink(t)
	return true
}

// uplink makes eth0 anew, with nothing on it. Its other end is in a namespace
// of its own, which other is the name of.
func uplink(t *testing.T) {
	t.Helper()
	shell(t, "ip netns add "+other)
	shell(t, "ip link delete eth0")
	lab.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch", "netns", other)
	lab.Run(t, "ip", "-n", other, "link", "set", "switch", "up")
	lab.Run(t, "ip", "link", "set", "eth0", "up")
}

const other = "other"

// diff compares what is wanted with what there is.
func diff(t *testing.T, want vlan.Wanted) vlan.Changes {
	t.Helper()
	have, err := vlan.Namespace{}.Current(t.Context(), want.Parents...)
	require.NoError(t, err)
	changes, err := vlan.Diff(want, have)
	require.NoError(t, err)
	return changes
}

// apply brings the kernel to what is wanted, and checks that this is the end.
func apply(t *testing.T, want vlan.Wanted) []vlan.Step {
	t.Helper()
	changes := diff(t, want)
	require.NoError(t, vlan.Namespace{}.Apply(t.Context(), changes.Steps))
	require.Empty(t, commands(diff(t, want).Steps))
	return changes.Steps
}

// ipLink is a link as `ip -j` says.
type ipLink struct {
	Name     string   `json:"ifname"`
	Lower    string   `json:"link"`
	Flags    []string `json:"flags"`
	MTU      int      `json:"mtu"`
	LinkInfo struct {
		Kind string `json:"info_kind"`
		Data struct {
			Protocol string   `json:"protocol"`
			ID       int      `json:"id"`
			Flags    []string `json:"flags"`
		} `json:"info_data"`
	} `json:"linkinfo"`
	Addresses []struct {
		Local  string `json:"local"`
		Length int    `json:"prefixlen"`
		Scope  string `json:"scope"`
	} `json:"addr_info"`
}

func ipJSON[T any](t *testing.T, args ...string) (answer T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(lab.Run(t, "ip", append([]string{"-j"}, args...)...)), &answer))
	return answer
}

// requireIP checks with ip that the namespace has the interfaces, and no other
// VLAN, address or route on one.
func requireIP(t *testing.T, interfaces []vlan.Interface) {
	t.Helper()
	links := map[string]ipLink{}
	for _, link := range ipJSON[[]ipLink](t, "-d", "address") {
		links[link.Name] = link
	}
	vlans := 0
	for _, link := range links {
		if link.LinkInfo.Kind == "vlan" {
			vlans++
		}
	}
	require.Equal(t, len(interfaces), vlans)
	routes := map[string][]string{}
	for _, version := range []string{"-4", "-6"} {
		for _, route := range ipJSON[[]struct{ Dst, Gateway, Dev string }](t, version, "route", "show", "default") {
			routes[route.Dev] = append(routes[route.Dev], route.Gateway)
		}
	}
	for _, i := range interfaces {
		link := links[i.IfName()]
		require.Equal(t, i.Parent, link.Lower)
		require.Equal(t, int(i.ID), link.LinkInfo.Data.ID)
		require.Equal(t, i.Protocol.String(), link.LinkInfo.Data.Protocol)
		require.Equal(t, []string{"REORDER_HDR"}, link.LinkInfo.Data.Flags)
		require.Contains(t, link.Flags, "UP")
		if i.MTU != 0 {
			require.Equal(t, i.MTU, link.MTU)
		}
		var have, want, gateways []string
		for _, address := range link.Addresses {
			if address.Scope == "global" {
				have = append(have, fmt.Sprintf("%s/%d", address.Local, address.Length))
			}
		}
		for _, prefix := range i.Addresses {
			want = append(want, prefix.String())
		}
		for _, gateway := range i.Gateways {
			gateways = append(gateways, gateway.String())
		}
		require.ElementsMatch(t, want, have, i.IfName())
		require.ElementsMatch(t, gateways, routes[i.IfName()], i.IfName())
	}
}

// TestApplyStory: ip shows exactly the plan, and a second apply is not heard of.
func TestApplyStory(t *testing.T) {
	if !guest(t) {
		return
	}
	want := wanted(rack(8))
	steps := apply(t, want)
	require.Equal(t, "ip link add link eth0 name eth0.10 up type vlan id 10", steps[0].String())
	require.Equal(t, []string{"ip link delete dev eth0.10"}, steps[0].Undo())
	requireIP(t, want.Interfaces)
	silent(t, want)
}

// silent checks that ip monitor hears nothing of another apply.
func silent(t *testing.T, want vlan.Wanted) {
	t.Helper()
	eventually(t, "what the kernel does afterwards is over", func() bool {
		return shell(t, "ip -6 address show tentative") == "" && !strings.Contains(of(`eth0.\S+`, shell(t, "ip -o link")), "state UNKNOWN")
	})
	seen := monitor(t, "all")
	apply(t, want)
	require.Empty(t, seen())
}

// TestApplyLarge: a rack of 1,000, and then of as many as there are ids.
func TestApplyLarge(t *testing.T) {
	if !guest(t) {
		return
	}
	// As the plan's sysctl file has it.
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
	for _, n := range []int{1000, 4000} {
		want := wanted(rack(n))
		apply(t, want)
		requireIP(t, want.Interfaces)
		if n == 1000 { // the kernel tells the state of only a hundred links a second
			silent(t, want)
		}
	}
	want := wanted(rack(4000))
	want.Interfaces, want.Prune = nil, true
	require.Len(t, diff(t, want).Unplanned, 4000)
	apply(t, want)
	requireIP(t, nil)
}

// odds are interfaces with all that one can have.
func odds() []vlan.Interface {
	return []vlan.Interface{
		{Parent: "eth0", ID: 200, Name: "storage", MTU: 1400, Gateways: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1")},
			Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("198.51.100.2/24"), netip.MustParsePrefix("2001:db8:1::1/64"), netip.MustParsePrefix("2001:db8:2::1/64")}},
		{Parent: "eth0", ID: 201, Protocol: vlan.Dot1AD, MTU: 1300},
		{Parent: "eth0.201", ID: 10, Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.1/24")}},
	}
}

func oddWanted() vlan.Wanted {
	return vlan.Wanted{Parents: []string{"eth0", "eth0.201"}, Owned: vlan.Numbering{First: 10}, Interfaces: odds()}
}

// TestStepsAreCommands: what the steps print does what Apply does, and what
// their undo prints takes it back.
func TestStepsAreCommands(t *testing.T) {
	if !guest(t) {
		return
	}
	want := oddWanted()
	steps := diff(t, want).Steps
	for _, step := range steps {
		lab.Run(t, "sh", "-c", step.String())
	}
	require.Empty(t, commands(diff(t, want).Steps))
	requireIP(t, want.Interfaces)
	for _, step := range slices.Backward(steps) {
		for _, command := range step.Undo() {
			lab.Run(t, "sh", "-c", command)
		}
	}
	requireIP(t, nil)
	apply(t, want)
	requireIP(t, want.Interfaces)
}

// snapshot is all that ip says of links, addresses and routes, without what
// counts or goes by time.
func snapshot(t *testing.T) string {
	t.Helper()
	text := shell(t, "ip -o -d link; ip -o address; ip route show table all; ip -6 route show table all")
	for _, changes := range []string{`(?m)^.*fe80::[0-9a-f:]{3,}.*$`, `(?m)^\d+: `, `link/ether [0-9a-f:]+`, `tentative`, `gso_\S+ \d+`, `if\d+`, `(?m)^multicast .*$`, `state \S+`} {
		text = regexp.MustCompile(changes).ReplaceAllString(text, "")
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

// TestApplyUndoes: with a step that the kernel refuses in any place, all is
// as it was before.
func TestApplyUndoes(t *testing.T) {
	if !guest(t) {
		return
	}
	before := wanted(rack(4))
	apply(t, before)
	after := oddWanted()
	after.Prune = true
	after.Interfaces = append(after.Interfaces, rack(2).Server.Interfaces...)
	after.Interfaces[3].MTU = 1450
	after.Interfaces[4].Addresses = []netip.Prefix{netip.MustParsePrefix("10.46.189.6/30")}
	steps := diff(t, after).Steps
	was := snapshot(t)
	require.Greater(t, len(steps), 12)
	for k := range len(steps) + 1 {
		err := vlan.Namespace{}.Apply(t.Context(), slices.Insert(slices.Clone(steps), k, vlan.Refused("eth0")))
		var failed *vlan.ApplyError
		require.ErrorAs(t, err, &failed, "step %d", k)
		require.ErrorContains(t, err, "ip link add link eth0 name refused type vlan id 4095: 8021q: Invalid VLAN id (numerical result out of range); all is as before")
		require.Empty(t, failed.NotUndone)
		require.Equal(t, was, snapshot(t), "step %d of %q", k, commands(steps))
	}
	require.NoError(t, vlan.Namespace{}.Apply(t.Context(), steps))
	requireIP(t, after.Interfaces)
}
