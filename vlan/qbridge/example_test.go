package qbridge_test

import (
	"fmt"

	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/qbridge"
)

func ExampleDiff() {
	want := vlan.Switch{Name: "sw1", Ports: []vlan.Port{
		{Number: 1, Name: "ge-0/0/1", PVID: 10, Untagged: []vlan.ID{10}, Tagged: []vlan.ID{131}},
	}}
	have := qbridge.Switch{
		VLANs: map[vlan.ID]string{1: "default", 10: "pi1", 131: "public"},
		Ports: map[int]qbridge.Port{1: {Name: "ge-0/0/1", PVID: 1, Untagged: []vlan.ID{1}, Tagged: []vlan.ID{131}}},
	}
	for _, difference := range qbridge.Diff(want, have) {
		fmt.Println(difference)
	}
	// Output:
	// port 1 (ge-0/0/1): PVID is 1, planned 10
	// port 1 (ge-0/0/1): VLAN 10 is not untagged
	// port 1 (ge-0/0/1): VLAN 1 is untagged, but not planned so
}
