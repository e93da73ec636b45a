package failover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	exchangeTimeout = 3 * time.Second // one question to one server
	maxServers      = 64              // addresses of a zone's servers
)

// dialFunc makes connections, as [net.Dialer.DialContext] does.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// nameserver is one address of a server.
type nameserver struct {
	name string // "ns1.example.net.", "" when only the address is known
	addr netip.AddrPort
}

func (n nameserver) String() string {
	if n.name == "" {
		return n.addr.String()
	}
	return n.name + " (" + n.addr.Addr().String() + ")"
}

// rrset are the addresses of one name and type, with the TTL that caches may
// keep them for. When there are none it is how long caches may keep that.
type rrset struct {
	addrs []netip.Addr  // sorted
	ttl   time.Duration // 0 without addresses
}

// records are a name's addresses: under dns.TypeA and dns.TypeAAAA.
type records map[uint16]rrset

// addresses returns those of both types.
func (r records) addresses() []netip.Addr {
	return slices.Concat(r[dns.TypeA].addrs, r[dns.TypeAAAA].addrs)
}

// has reports whether the addresses are exactly these, in any order.
func (r records) has(addrs []netip.Addr) bool { return slices.Equal(r.addresses(), sortAddrs(addrs)) }

// ttl is the longest that a cache may keep any address.
func (r records) ttl() time.Duration {
	return max(r[dns.TypeA].ttl, r[dns.TypeAAAA].ttl)
}

// sortAddrs returns addresses in order, those of IPv4 first, each once.
func sortAddrs(addrs []netip.Addr) []netip.Addr {
	sorted := slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare)
	return slices.Compact(sorted)
}

// exchange asks one server one question, over UDP and, when the answer does not
// fit, over TCP.
func exchange(ctx context.Context, dial dialFunc, addr netip.AddrPort, name string, qtype uint16, recursive bool) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, qtype)
	question.RecursionDesired = recursive
	question.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		answer, err := once(ctx, dial, network, addr, question)
		if err != nil {
			return nil, err
		}
		if !answer.Truncated {
			return answer, nil
		}
	}
	return nil, errors.New("truncated over TCP")
}

func once(ctx context.Context, dial dialFunc, network string, addr netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := dial(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := &dns.Client{Net: network, Timeout: exchangeTimeout}
	answer, _, err := client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn, UDPSize: 1232})
	if err != nil {
		return nil, err
	}
	want := question.Question[0]
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, want.Name) || answer.Question[0].Qtype != want.Qtype {
		return nil, errors.New("the answer is to another question")
	}
	return answer, nil
}

// lookup asks a server for the addresses of a name. An authoritative server must
// answer with authority, a resolver is asked to recurse.
func lookup(ctx context.Context, dial dialFunc, server nameserver, name string, recursive bool) (records, error) {
	found := records{}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		answer, err := exchange(ctx, dial, server.addr, name, qtype, recursive)
		if err == nil {
			found[qtype], err = readSet(answer, name, qtype, recursive)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s %s: %w", server, name, dns.TypeToString[qtype], err)
		}
	}
	return found, nil
}

func readSet(answer *dns.Msg, name string, qtype uint16, recursive bool) (rrset, error) {
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return rrset{}, errors.New(dns.RcodeToString[answer.Rcode])
	}
	if !recursive && !answer.Authoritative {
		return rrset{}, errors.New("the answer has no authority: is this a server of the zone?")
	}
	set := rrset{}
	for _, rr := range answer.Answer {
		header := rr.Header()
		if header.Rrtype == dns.TypeCNAME {
			return rrset{}, fmt.Errorf("it is an alias (CNAME) of %s: name that instead", rr.(*dns.CNAME).Target)
		}
		if header.Rrtype == qtype && strings.EqualFold(header.Name, name) {
			set.addrs = append(set.addrs, addressOf(rr))
			// They must be equal (RFC 2181 section 5.2): of those that are not the longest counts.
			set.ttl = max(set.ttl, time.Duration(header.Ttl)*time.Second)
		}
	}
	set.addrs = sortAddrs(set.addrs)
	return set, nil
}

func addressOf(rr dns.RR) netip.Addr {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap()
}

// authoritative returns every address of every server of a zone: those that are
// configured, or those that a resolver finds.
func (s *Site) authoritative(ctx context.Context) ([]nameserver, error) {
	if len(s.nameservers) > 0 {
		return s.nameservers, nil
	}
	answer, err := s.recurse(ctx, s.zone, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	var servers []nameserver
	for _, rr := range answer.Answer {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			answer, err := s.recurse(ctx, ns.Ns, qtype)
			if err != nil {
				return nil, err
			}
			for _, rr := range answer.Answer {
				if rr.Header().Rrtype == qtype {
					servers = append(servers, nameserver{strings.ToLower(ns.Ns), netip.AddrPortFrom(addressOf(rr), 53)})
				}
			}
		}
	}
	switch {
	case len(servers) == 0:
		return nil, fmt.Errorf("zone %s: the resolvers know no server of it", s.zone)
	case len(servers) > maxServers:
		return nil, fmt.Errorf("zone %s: servers with %d addresses, more than %d", s.zone, len(servers), maxServers)
	}
	return servers, nil
}

// recurse asks the resolvers, one after the other until one answers.
func (s *Site) recurse(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	var errs []error
	for _, r := range s.resolvers {
		answer, err := exchange(ctx, s.dial, r.addr, name, qtype, true)
		if err == nil && answer.Rcode == dns.RcodeSuccess {
			return answer, nil
		}
		if err == nil {
			err = errors.New(dns.RcodeToString[answer.Rcode])
		}
		errs = append(errs, fmt.Errorf("resolver %s: %w", r, err))
	}
	return nil, fmt.Errorf("%s %s: %w", name, dns.TypeToString[qtype], errors.Join(errs...))
}
