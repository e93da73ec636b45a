package nat64_test

import (
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/nat64"
)

func ExamplePrefix() {
	prefix := nat64.MustParsePrefix("2001:db8:122:344::/64")
	ipv6, err := prefix.Synthesize(netip.MustParseAddr("192.0.2.33"))
	fmt.Println(ipv6, err)
	fmt.Println(prefix.Extract(ipv6))
	_, err = nat64.WellKnown().Synthesize(netip.MustParseAddr("192.0.2.33"))
	fmt.Println(err)
	// Output:
	// 2001:db8:122:344:c0:2:2100:0 <nil>
	// 192.0.2.33 true
	// nat64: the Well-Known Prefix carries global IPv4 addresses only; use a prefix of your own, or one in 64:ff9b:1::/48
}

func ExampleTable() {
	table, err := nat64.NewTable(
		nat64.Rule{IPv4: netip.MustParsePrefix("0.0.0.0/0"), Prefix: nat64.WellKnown()},
		nat64.Rule{IPv4: netip.MustParsePrefix("10.0.0.0/8"), Prefix: nat64.MustParsePrefix("2001:db8:10::/96")},
		nat64.Rule{IPv4: netip.MustParsePrefix("10.9.0.0/16")}, // never synthesized
	)
	if err != nil {
		panic(err)
	}
	for _, ipv4 := range []string{"8.8.8.8", "10.1.1.1", "10.9.1.1"} {
		fmt.Println(table.Synthesize(netip.MustParseAddr(ipv4)))
	}
	// Output:
	// 64:ff9b::808:808 <nil>
	// 2001:db8:10::a01:101 <nil>
	// invalid IP nat64: no prefix
}

func ExampleGuard() {
	guard := &nat64.Guard{Prefixes: []nat64.Prefix{nat64.MustParsePrefix("2001:db8:64::/96")}}
	for _, addr := range []string{"2606:4700::1", "64:ff9b::8.8.8.8", "64:ff9b::169.254.169.254", "2001:db8:64::10.0.0.1", "::ffff:127.0.0.1"} {
		fmt.Println(guard.Check(netip.MustParseAddr(addr)))
	}
	// Output:
	// <nil>
	// <nil>
	// nat64: 64:ff9b::a9fe:a9fe leads to 169.254.169.254 (RFC 6052), which is not a public address
	// nat64: 2001:db8:64::a00:1 leads to 10.0.0.1 (RFC 6052), which is not a public address
	// nat64: ::ffff:127.0.0.1 leads to 127.0.0.1 (IPv4-mapped), which is not a public address
}
