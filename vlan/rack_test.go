package vlan_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the tests with -update")
	require.Equal(t, string(want), text, path)
}

// rack returns the plan of a rack with n computers: in the story's VLANs, with
// the story's addresses, on one switch.
func rack(n int) vlan.Plan {
	plan := vlan.Plan{
		Private: vlan.Numbering{First: 10, Skip: []vlan.ID{131}, Slots: n},
		Public:  131,
		Server:  vlan.Host{Name: "fs"},
	}
	trunk := vlan.Port{Number: n + 1, Name: fmt.Sprintf("swp%d", n+1), Description: "fs", Trunk: true, Tagged: []vlan.ID{131}}
	sw := vlan.Switch{Name: "sw1"}
	for slot := range n {
		id, err := plan.Private.ID(slot)
		if err != nil {
			panic(err)
		}
		trunk.Tagged = append(trunk.Tagged, id)
		plan.Server.Interfaces = append(plan.Server.Interfaces, vlan.Interface{
			Parent: "eth0", ID: id, Addresses: []netip.Prefix{netip.PrefixFrom(private(slot, 1), 30)},
		})
		plan.Hosts = append(plan.Hosts, computer(slot))
		sw.Ports = append(sw.Ports, vlan.Port{
			Number: slot + 1, Name: fmt.Sprintf("swp%d", slot+1), Description: plan.Hosts[slot].Name,
			PVID: id, Untagged: []vlan.ID{id}, Tagged: []vlan.ID{131},
		})
	}
	sw.Ports = append(sw.Ports, trunk)
	plan.Switches = []vlan.Switch{sw}
	return plan
}

// computer returns the computer of a slot, with its public interface.
func computer(slot int) vlan.Host {
	return vlan.Host{
		Name:       fmt.Sprintf("pi%d", slot+1),
		RootDevice: "eth0",
		Interfaces: []vlan.Interface{{
			Parent: "eth0", ID: 131,
			Addresses: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("2a00:1098:0:84:1000:%x::2/64", slot+1))},
			Gateways:  []netip.Addr{netip.MustParseAddr("2a00:1098:0:84::1")},
		}},
	}
}

// private returns an address of a slot's /30: 1 is the server's, 2 the computer's.
func private(slot, host int) netip.Addr {
	n := 46<<16 + 189<<8 + 4*slot + host
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

// peers returns who may talk on the server's private interfaces.
func peers(plan vlan.Plan) []vlan.Peer {
	var all []vlan.Peer
	for slot, i := range plan.Server.Interfaces {
		all = append(all, vlan.Peer{Interface: i.IfName(), Address: private(slot, 2), Server: private(slot, 1)})
	}
	return all
}

// wanted is what the fileserver of a plan is to have.
func wanted(plan vlan.Plan) vlan.Wanted {
	return vlan.Wanted{Parents: []string{"eth0"}, Owned: plan.Private, Interfaces: plan.Server.Interfaces}
}

// commands returns what the steps print.
func commands(steps []vlan.Step) []string {
	var all []string
	for _, step := range steps {
		all = append(all, step.String())
	}
	return all
}
