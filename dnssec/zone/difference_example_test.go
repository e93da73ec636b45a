package zone_test

import (
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

func ExampleDiff() {
	origin, _ := wire.ParseName("example.org")
	parse := func(text string) *zone.Zone {
		z, _, _ := zone.Parse([]byte("$TTL 300\n@ NS ns.example.net.\n"+text), "example", origin)
		return z
	}
	old := parse("@ SOA ns host 1 7200 3600 1209600 300\nwww A 192.0.2.1\n")
	d := zone.Diff(old, parse("@ SOA ns host 2 7200 3600 1209600 300\nwww A 192.0.2.2\n"))
	for rr := range d.Records(origin) {
		fmt.Println(rr)
	}
	again, err := old.Apply(d)
	fmt.Println(again, err)
	// Output:
	// example.org.	300	IN	SOA	ns.example.org. host.example.org. 1 7200 3600 1209600 300
	// www.example.org.	300	IN	A	192.0.2.1
	// example.org.	300	IN	SOA	ns.example.org. host.example.org. 2 7200 3600 1209600 300
	// www.example.org.	300	IN	A	192.0.2.2
	// example.org. serial 2 <nil>
}
