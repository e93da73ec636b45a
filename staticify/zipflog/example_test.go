package zipflog_test

import (
	"fmt"

	"github.com/berryrack/berryrack/staticify/zipflog"
)

func ExampleGenerator() {
	g := zipflog.New(1)
	first := 0
	for range 10_000 {
		if g.Next().Rank == 0 {
			first++
		}
	}
	fmt.Println("the first page takes more than a tenth of the requests:", first > 1000)
	fmt.Println("the first hundred pages take more than two thirds:", g.Share(100) > 0.66)
	// Output:
	// the first page takes more than a tenth of the requests: true
	// the first hundred pages take more than two thirds: true
}
