package zipflog_test

import (
	"fmt"

	"github.com/berryrack/berryrack/staticify/zipflog"
)

func Example() {
	g := zipflog.New(1)
	fmt.Printf("the busiest 100 pages have %.0f %% of the requests\n", 100*g.Share(100))
	first, second := g.Next(), g.Next()
	fmt.Println("a request each", second.Time.Sub(first.Time))
	// Output:
	// the busiest 100 pages have 69 % of the requests
	// a request each 1ms
}
