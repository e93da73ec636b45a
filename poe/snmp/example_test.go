package snmp_test

import (
	"context"
	"fmt"
	"net"

	"github.com/berryrack/berryrack/poe/poetest"
	"github.com/berryrack/berryrack/poe/snmp"
)

func ExampleDial() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go poetest.New(poetest.Config{Ports: 2, Vendor: poetest.Netgear}).Serve(ctx, conn, "secret")

	sw, err := snmp.Dial(ctx, snmp.Config{Address: conn.LocalAddr().String(), Version: snmp.V2c, Community: "secret"})
	if err != nil {
		panic(err)
	}
	defer sw.Close()
	fmt.Println(sw.Vendor())
	ports, err := sw.Status(ctx)
	if err != nil {
		panic(err)
	}
	for _, port := range ports {
		fmt.Println(port)
	}
	// Output:
	// Netgear
	// 1.1 enabled, deliveringPower, class 2, 3.2 W
	// 1.2 enabled, deliveringPower, class 2, 3.2 W
}
