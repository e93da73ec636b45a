package tour

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/examples/internal/certd"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/dns64"
)

// network64 is the prefix of the tour's NAT64.
const network64 = "2001:db8:64::/96"

// reachIPv4 reaches a server that has only IPv4, by a name that a DNS64
// translates and a prefix that is found by asking it.
func reachIPv4(ctx context.Context, _ *Tour) (result, error) {
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, says %s, which has no IPv6", r.Host)
	}))
	defer old.Close()
	resolver, end, err := startDNS64(ctx)
	if err != nil {
		return result{}, err
	}
	defer end()
	port := netip.MustParseAddrPort(old.Listener.Addr().String()).Port()
	host := net.JoinHostPort("old.example.org", fmt.Sprint(port))

	// shown:
	discoverer := nat64.Discoverer{Servers: []string{resolver}}
	found, err := discoverer.Ask(ctx) // RFC 7050
	if err != nil {
		return result{}, err
	}
	client := http.Client{Transport: &http.Transport{DialContext: translator{resolver, found[0].Prefix}.DialContext}}
	response, err := client.Get("http://" + host + "/")
	// until here
	if err != nil {
		return result{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return result{}, err
	}
	ipv6, err := found[0].Prefix.Synthesize(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		return result{}, err
	}
	return result{facts: []string{
		fmt.Sprintf("the prefix %s was found by asking the network's DNS64 for ipv4only.arpa", found[0].Prefix),
		fmt.Sprintf("old.example.org has one AAAA record, made by the DNS64: %s", ipv6),
		fmt.Sprintf("the answer: %q", body),
		"the translator is a stand-in inside this program: a real one, such as TAYGA or Jool, translates packets",
	}}, nil
}

// startDNS64 serves our DNS64 on loopback, above a resolver that knows one name,
// whose only address is an IPv4 one.
func startDNS64(ctx context.Context) (address string, end func() error, err error) {
	udp, tcp, err := certd.ListenLoopback(ctx)
	if err != nil {
		return "", nil, err
	}
	handler := &dns64.Handler{Table: nat64.TableOf(nat64.MustParsePrefix(network64)), Upstream: oldNames{}}
	server := &dns64.Server{Handler: handler}
	return tcp.Addr().String(), background(ctx, func(ctx context.Context) error { return server.Serve(ctx, udp, tcp) }), nil
}

// oldNames is a resolver for which all names have one IPv4 address.
type oldNames struct{}

func (oldNames) Exchange(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	answer := new(dns.Msg).SetReply(query)
	if q := query.Question[0]; q.Qtype == dns.TypeA {
		header := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}
		answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)}}
	}
	return answer, nil
}

// translator stands in for the network's NAT64. It connects by IPv6 addresses
// in the prefix only, to the IPv4 addresses that they carry.
type translator struct {
	resolver string
	prefix   nat64.Prefix
}

func (t translator) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	answer, err := dns.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeAAAA), t.resolver)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	for _, rr := range answer.Answer {
		aaaa, ok := rr.(*dns.AAAA)
		if !ok {
			continue
		}
		ipv6, _ := netip.AddrFromSlice(aaaa.AAAA)
		if ipv4, ok := t.prefix.Extract(ipv6); ok {
			return dialer.DialContext(ctx, "tcp4", net.JoinHostPort(ipv4.String(), port))
		}
	}
	return nil, fmt.Errorf("%s has no address in %s", name, t.prefix)
}
