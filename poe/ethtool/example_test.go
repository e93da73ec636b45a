package ethtool_test

import (
	"fmt"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/ethtool"
)

func ExampleDial() {
	lan1 := poe.PortID{Group: 1, Port: 1}
	_, err := ethtool.Dial(map[poe.PortID]string{lan1: "first port of the left one"})
	fmt.Println(err)
	// Output: poe/ethtool: port 1.1: interface "first port of the left one": want a group.port and a name of up to 15 bytes
}
