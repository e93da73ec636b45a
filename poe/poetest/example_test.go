package poetest_test

import (
	"context"
	"fmt"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

func ExampleConform() {
	sw := poetest.New(poetest.Config{Ports: 8})
	err := poetest.Conform(context.Background(), poetest.Subject{
		PSE: sw, Port: poe.PortID{Group: 1, Port: 1}, Other: poe.PortID{Group: 1, Port: 2},
	})
	fmt.Println(err)
	// Output: <nil>
}
