package topk_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/berryrack/berryrack/staticify/topk"
)

func Example() {
	s := topk.New(3)
	for i, path := range strings.Fields("/ /a / /b / /c / /a /d /") {
		s.Add([]byte(path), topk.Client(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})))
	}
	for _, item := range s.Top(2) {
		fmt.Printf("%s: %.0f to %.0f times, by about %d clients\n", item.Key, item.Count-item.Error, item.Count, item.Clients)
	}
	fmt.Printf("any other: %.0f times at most\n", s.Unlisted())
	// Output:
	// /: 5 to 5 times, by about 5 clients
	// /d: 1 to 3 times, by about 1 clients
	// any other: 2 times at most
}
