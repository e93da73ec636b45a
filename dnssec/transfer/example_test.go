package transfer_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

func ExampleClient_Fetch() {
	origin, _ := wire.ParseName("example.org")
	z, _, _ := zone.Parse([]byte("$TTL 300\n@ SOA ns host 7 7200 3600 1209600 300\n@ NS ns.example.net.\n"), "example", origin)
	primary := server.Server{
		TSIG: map[string]string{"xfr.": "c2VjcmV0"}, TransferKeys: []string{"xfr."}, TransferFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	primary.Set(z)
	tcp, _ := net.Listen("tcp", "127.0.0.1:0")
	udp, _ := net.ListenPacket("udp", "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- primary.Serve(ctx, udp, tcp) }()

	client := transfer.Client{Server: tcp.Addr().String(), Key: transfer.Key{Name: "xfr.", Secret: "c2VjcmV0"}}
	fmt.Println(client.Fetch(ctx, origin, nil))
	cancel()
	fmt.Println(<-done)
	// Output:
	// example.org. serial 7 <nil>
	// <nil>
}
