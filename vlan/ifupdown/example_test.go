package ifupdown_test

import (
	"fmt"

	"github.com/berryrack/berryrack/vlan/ifupdown"
)

func Example() {
	file, err := ifupdown.Parse("# the public VLAN\nauto eth0.131\niface eth0.131 inet6 static\n    address 2001:db8::2/64\n    mtu  1500\n")
	if err != nil {
		fmt.Println(err)
		return
	}
	file.Stanzas[1].Set("mtu", "1400")
	text, err := file.Format()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(text)
	// Output:
	// # the public VLAN
	// auto eth0.131
	// iface eth0.131 inet6 static
	//     address 2001:db8::2/64
	// 	mtu 1400
}
