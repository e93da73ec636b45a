package vlan_test

import (
	"net/netip"
	"testing"

	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

// as returns a state in which the interfaces are as they are wanted.
func as(interfaces []vlan.Interface) vlan.State {
	state := vlan.State{Parents: []vlan.Parent{{Name: "eth0", MTU: 1500, Up: true}}}
	for _, i := range interfaces {
		i.Name = i.IfName()
		if i.MTU == 0 {
			i.MTU = 1500
		}
		state.Links = append(state.Links, vlan.Link{Interface: i, Up: true})
	}
	return state
}

func TestDiff(t *testing.T) {
	two := func() []vlan.Interface { return rack(2).Server.Interfaces }
	for name, test := range map[string]struct {
		want  []vlan.Interface
		have  vlan.State
		steps []string
	}{
		"nothing":  {two(), as(two()), nil},
		"all":      {two()[:1], as(nil), []string{"ip link add link eth0 name eth0.10 up type vlan id 10", "ip address replace 10.46.189.1/30 dev eth0.10"}},
		"one more": {two(), as(two()[:1]), []string{"ip link add link eth0 name eth0.11 up type vlan id 11", "ip address replace 10.46.189.5/30 dev eth0.11"}},
		"down": {two(), func() vlan.State {
			state := as(two())
			state.Links[1].Up = false
			return state
		}(), []string{"ip link set dev eth0.11 up"}},
		"another address": {two(), func() vlan.State {
			state := as(two())
			state.Links[0].Addresses = []netip.Prefix{netip.MustParsePrefix("10.46.189.2/30")}
			state.Links[0].Gateways = []netip.Addr{netip.MustParseAddr("10.46.189.1")}
			return state
		}(), []string{
			"ip route delete default via 10.46.189.1 dev eth0.10",
			"ip address delete 10.46.189.2/30 dev eth0.10",
			"ip address replace 10.46.189.1/30 dev eth0.10"}},
		"one less": {two()[:1], as(two()), nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := wanted(rack(2))
			want.Interfaces = test.want
			changes, err := vlan.Diff(want, test.have)
			require.NoError(t, err)
			require.Equal(t, test.steps, commands(changes.Steps))
		})
	}
}

// A VLAN link that stays may not have a subnet that is wanted: the kernel takes
// both, and answers over the older one.
func TestDiffInTheWay(t *testing.T) {
	want := wanted(rack(2))
	moved := rack(2).Server.Interfaces
	for n := range moved {
		moved[n].ID += 2000 // no slot's
	}
	_, err := vlan.Diff(want, as(moved))
	require.EqualError(t, err, "vlan: eth0.10: 10.46.189.1/30 overlaps 10.46.189.1/30 on eth0.2010, which is not planned: ip link delete dev eth0.2010\n"+
		"vlan: eth0.11: 10.46.189.5/30 overlaps 10.46.189.5/30 on eth0.2011, which is not planned: ip link delete dev eth0.2011")

	// Owned, it is in the way unless it is pruned.
	have := as(rack(3).Server.Interfaces)
	have.Links[2].Addresses = have.Links[0].Addresses
	have.Links[0].Addresses = nil
	want.Owned.Slots = 3
	_, err = vlan.Diff(want, have)
	require.ErrorContains(t, err, "on eth0.12, which is not planned")
	want.Prune = true
	_, err = vlan.Diff(want, have)
	require.NoError(t, err)
}

func TestDiffUnplanned(t *testing.T) {
	want := wanted(rack(3))
	want.Interfaces = want.Interfaces[:1]
	have := as(rack(3).Server.Interfaces)
	changes, err := vlan.Diff(want, have)
	require.NoError(t, err)
	require.Empty(t, changes.Steps)
	require.Equal(t, []string{"eth0.11", "eth0.12"}, changes.Unplanned)
	want.Prune = true
	changes, err = vlan.Diff(want, have)
	require.NoError(t, err)
	require.Equal(t, []string{"ip link delete dev eth0.11", "ip link delete dev eth0.12"}, commands(changes.Steps))
	require.Equal(t, []string{"ip link add link eth0 name eth0.11 mtu 1500 up type vlan id 11", "ip address replace 10.46.189.5/30 dev eth0.11"}, changes.Steps[0].Undo())
	require.Equal(t, "not planned", changes.Steps[0].Why())
}

func BenchmarkDiff(b *testing.B) {
	want := wanted(rack(1000))
	have := as(want.Interfaces)
	for b.Loop() {
		if changes, err := vlan.Diff(want, have); err != nil || len(changes.Steps) > 0 {
			b.Fatal(changes, err)
		}
	}
}
