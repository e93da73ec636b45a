package dns64_test

import (
	"context"
	"fmt"
	"net"

	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/dns64"
	"github.com/miekg/dns"
)

// onlyIPv4 is an upstream where every name has an A record and nothing else.
type onlyIPv4 struct{}

func (onlyIPv4) Exchange(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	answer := new(dns.Msg).SetReply(query)
	if q := query.Question[0]; q.Qtype == dns.TypeA {
		answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
	}
	return answer, nil
}

func ExampleHandler() {
	tcp, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		panic(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		panic(err)
	}
	handler := &dns64.Handler{Upstream: onlyIPv4{}, Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96"))}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- (&dns64.Server{Handler: handler}).Serve(ctx, udp, tcp) }()

	answer, err := dns.Exchange(new(dns.Msg).SetQuestion("www.example.", dns.TypeAAAA), udp.LocalAddr().String())
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.Answer[0].(*dns.AAAA).AAAA)
	cancel()
	fmt.Println(<-served)
	// Output:
	// 2001:db8:64::c000:201
	// <nil>
}
