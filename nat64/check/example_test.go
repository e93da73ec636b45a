package check_test

import (
	"fmt"
	"time"

	"github.com/berryrack/berryrack/nat64/check"
)

// What a checker finds on a path that carries connections, but no full packets.
func ExampleReport() {
	report := check.Report{
		{Name: "ipv6", OK: true, Detail: "a default route", Took: time.Millisecond},
		{Name: "prefix", OK: true, Detail: "64:ff9b::/96, from the resolver", Took: 12 * time.Millisecond},
		{Name: "path", OK: true, Detail: "192.0.2.80 through 64:ff9b::c000:250", Took: 31 * time.Millisecond},
		{Name: "transfer", Detail: "nothing more after 1180 octets", Took: 10 * time.Second},
	}
	fmt.Print(report)
	fmt.Println("works:", report.OK())
	// Output:
	// ipv6     ok     a default route (1ms)
	// prefix   ok     64:ff9b::/96, from the resolver (12ms)
	// path     ok     192.0.2.80 through 64:ff9b::c000:250 (31ms)
	// transfer FAILED nothing more after 1180 octets (10s)
	// works: false
}
