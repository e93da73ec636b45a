package manager_test

import (
	"fmt"

	"github.com/berryrack/berryrack/acme/manager"
)

func ExampleCertificate_ID() {
	c := manager.Certificate{Names: []string{"*.Bücher.example", "bücher.example"}}
	fmt.Println(c.ID(), c.Check())
	// Output: _.xn--bcher-kva.example <nil>
}

func ExampleCertificate_Check() {
	fmt.Println(manager.Certificate{Names: []string{"localhost", "*.example.org"}, HTTP01: &manager.HTTP01{}}.Check())
	// Output:
	// manager: "localhost" is no name that a certificate can be for
	// manager: *.example.org: wildcards need dns-01 (RFC 8555 section 7.1.3)
}
