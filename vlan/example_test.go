package vlan_test

import (
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/vlan"
)

func Example() {
	private := vlan.Numbering{First: 10, Skip: []vlan.ID{131}, Slots: 8}
	server := vlan.Host{Name: "fs"}
	for slot, address := range []string{"10.46.189.1/30", "10.46.189.5/30"} {
		id, err := private.ID(slot)
		if err != nil {
			fmt.Println(err)
			return
		}
		server.Interfaces = append(server.Interfaces, vlan.Interface{
			Parent: "eth0", ID: id, Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
		})
	}
	fmt.Print(server.Ifupdown())
	// Output:
	// auto eth0.10
	// iface eth0.10 inet static
	// 	address 10.46.189.1
	// 	netmask 255.255.255.252
	//
	// auto eth0.11
	// iface eth0.11 inet static
	// 	address 10.46.189.5
	// 	netmask 255.255.255.252
}

func ExamplePlan_Check() {
	plan := vlan.Plan{
		Private: vlan.Numbering{First: 10, Slots: 200},
		Public:  131,
		Switches: []vlan.Switch{{Name: "sw1", Ports: []vlan.Port{
			{Number: 1, PVID: 10, Untagged: []vlan.ID{10}},
			{Number: 2, PVID: 10, Untagged: []vlan.ID{10}},
			{Number: 24, Trunk: true, Tagged: []vlan.ID{10}},
		}}},
	}
	fmt.Println(plan.Check())
	// Output:
	// vlan: public VLAN 131 is inside the private range: it is that of slot 121: skip it
	// vlan: switch sw1 port 2: private VLAN 10 is that of switch sw1 port 1 too
}

func ExampleNumbering() {
	private := vlan.Numbering{First: 10, Skip: []vlan.ID{131}}
	before, _ := private.ID(120)
	after, _ := private.ID(121)
	fmt.Println(before, after)
	// Output: 130 132
}
