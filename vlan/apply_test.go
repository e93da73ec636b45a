package vlan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

// wanted is what the fileserver of a plan is to have.
func wanted(plan vlan.Plan) vlan.Wanted {
	return vlan.Wanted{Parents: []string{"eth0"}, Owned: plan.Private, Interfaces: plan.Server.Interfaces}
}

// guest runs the rest of a test in a guest that has eth0.
func guest(t *testing.T) bool {
	t.Helper()
	lab.Need(t, "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return false
	}
	lab.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "switch")
	lab.Run(t, "ip", "link", "set", "switch", "up")
	lab.Run(t, "ip", "link", "set", "eth0", "up")
	return true
}

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

func commands(steps []vlan.Step) []string {
	var all []string
	for _, step := range steps {
		all = append(all, step.String())
	}
	return all
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
	events := monitor(t, "all")
	apply(t, want)
	lab.Run(t, "ip", "link", "set", "eth0", "alias", "the end")
	eventually(t, "the end", func() bool { return true })
	require.NotContains(t, events(), "eth0.")
	_ = os.Args
}
