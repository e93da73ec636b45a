package frontend_test

import (
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/nat64/frontend"
)

func ExampleSite_HAProxy() {
	site := frontend.Site{
		Names:    []string{"www.example.org"},
		Backends: []netip.Addr{netip.MustParseAddr("2001:db8:84::2")},
		Proxy:    frontend.ProxyV2,
		Health:   frontend.Health{TCP: true},
	}
	fmt.Print(site.HAProxy())
	// Output:
	// backend www.example.org_tls
	//     mode tcp
	//     balance leastconn
	//     server s1 [2001:db8:84::2]:443 check inter 2000ms send-proxy-v2
	// backend www.example.org_http
	//     mode http
	//     balance leastconn
	//     server s1 [2001:db8:84::2]:80 check inter 2000ms send-proxy-v2
}

func ExampleNew() {
	_, err := frontend.New(frontend.Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("2001:db8:84::/64")},
		Sites: []frontend.Site{{Names: []string{"www.example.org"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8:99::2")}}},
	})
	fmt.Println(err)
	// Output:
	// frontend: sites[0].backends[0]: 2001:db8:99::2 is not in allow_backends
}
