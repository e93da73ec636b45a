// Apply brings eth0 to COUNT VLAN interfaces, each with a /30, as the argument
// says: what the comparison with ip -batch runs.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"strconv"

	"github.com/berryrack/berryrack/vlan"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	want := vlan.Wanted{Parents: []string{"eth0"}, Owned: vlan.Numbering{First: 10, Skip: []vlan.ID{131}}}
	for slot := range n {
		id, err := want.Owned.ID(slot)
		if err != nil {
			log.Fatal(err)
		}
		want.Interfaces = append(want.Interfaces, vlan.Interface{
			Parent: "eth0", ID: id,
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 46, byte(slot >> 6), byte(slot<<2 + 1)}), 30)},
		})
	}
	ctx := context.Background()
	have, err := vlan.Namespace{}.Current(ctx, "eth0")
	if err != nil {
		log.Fatal(err)
	}
	changes, err := vlan.Diff(want, have)
	if err != nil {
		log.Fatal(err)
	}
	if err := (vlan.Namespace{}).Apply(ctx, changes.Steps); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(changes.Steps), "steps")
}
