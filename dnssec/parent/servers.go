package parent

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	dnsTimeout = 3 * time.Second
	dnsTries   = 3
	// maxServers is how many addresses of a parent's servers are asked.
	maxServers = 64
	resolvConf = "/etc/resolv.conf"
)

// Servers sees DS records in the DNS: at all addresses of all servers of the parent
// zone. Its zero value looks these up.
type Servers struct {
	// Addresses is the parent's servers as host:port. None: they are looked up.
	Addresses []string
	// Resolvers is who is asked for the parent's servers, as host:port; those of
	// /etc/resolv.conf when there are none.
	Resolvers []string
	// Timeout of one query, 3 seconds when zero.
	Timeout time.Duration
}

// DS returns the DS set of a zone at each server of the parent, those that do not
// answer too, or an error when it cannot be told which servers these are.
func (p *Servers) DS(ctx context.Context, origin wire.Name) ([]rollover.DSAnswer, error) {
	servers := p.Addresses
	if len(servers) == 0 {
		var err error
		if servers, err = p.find(ctx, origin); err != nil {
			return nil, err
		}
	}
	answers := make([]rollover.DSAnswer, len(servers))
	var group sync.WaitGroup
	for i, address := range servers {
		group.Go(func() { answers[i] = p.ask(ctx, origin, address) })
	}
	group.Wait()
	return answers, ctx.Err()
}

// ask asks one server for the DS set. Only authoritative answers count.
func (p *Servers) ask(ctx context.Context, origin wire.Name, address string) rollover.DSAnswer {
	answer := rollover.DSAnswer{Server: address, Failed: true}
	reply, err := p.exchange(ctx, origin.String(), dns.TypeDS, false, address)
	if err != nil || !reply.Authoritative || reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return answer
	}
	answer.Failed = false
	for _, rr := range reply.Answer {
		name, err := wire.ParseName(rr.Header().Name)
		if err != nil || name != origin || rr.Header().Rrtype != dns.TypeDS {
			continue
		}
		if _, rdata, err := wire.Pack(rr); err == nil {
			answer.Records = append(answer.Records, rdata)
			answer.TTL = time.Duration(rr.Header().Ttl) * time.Second
		}
	}
	return answer
}

// exchange asks, again when there is no answer, and over TCP when it does not fit.
func (p *Servers) exchange(ctx context.Context, name string, qtype uint16, recursion bool, address string) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired = recursion
	m.SetEdns0(1232, false)
	var err error
	for range dnsTries {
		client := dns.Client{Timeout: cmp.Or(p.Timeout, dnsTimeout)}
		var reply *dns.Msg
		reply, _, err = client.ExchangeContext(ctx, m, address)
		if err == nil && reply.Truncated {
			client.Net = "tcp"
			reply, _, err = client.ExchangeContext(ctx, m, address)
		}
		if err == nil {
			return reply, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// find looks for the parent zone, the closest name above that has name servers,
// and the addresses of these.
func (p *Servers) find(ctx context.Context, origin wire.Name) ([]string, error) {
	if origin == wire.Root {
		return nil, errors.New("parent: the root zone has no parent")
	}
	resolvers := p.Resolvers
	if len(resolvers) == 0 {
		var err error
		if resolvers, err = systemResolvers(resolvConf); err != nil {
			return nil, err
		}
	}
	for at := origin.Parent(); at != ""; at = at.Parent() {
		reply, err := p.resolve(ctx, at.String(), dns.TypeNS, resolvers)
		if err != nil {
			return nil, fmt.Errorf("parent: name servers of %s: %w", at, err)
		}
		var names []string
		for _, rr := range reply.Answer {
			if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, at.String()) {
				names = append(names, ns.Ns)
			}
		}
		if len(names) > 0 {
			return p.addresses(ctx, names, resolvers)
		}
	}
	return nil, fmt.Errorf("parent: no name server above %s was found", origin)
}

// addresses returns all addresses of servers.
func (p *Servers) addresses(ctx context.Context, names, resolvers []string) (list []string, err error) {
	for _, name := range names {
		found := false
		for _, qtype := range []uint16{dns.TypeAAAA, dns.TypeA} {
			reply, lookupErr := p.resolve(ctx, name, qtype, resolvers)
			if lookupErr != nil {
				return nil, fmt.Errorf("parent: addresses of %s: %w", name, lookupErr)
			}
			for _, rr := range reply.Answer {
				switch rr := rr.(type) {
				case *dns.A:
					list, found = append(list, net.JoinHostPort(rr.A.String(), "53")), true
				case *dns.AAAA:
					list, found = append(list, net.JoinHostPort(rr.AAAA.String(), "53")), true
				}
			}
		}
		if !found {
			return nil, fmt.Errorf("parent: the name server %s has no address", name)
		}
	}
	slices.Sort(list)
	if list = slices.Compact(list); len(list) > maxServers {
		return nil, fmt.Errorf("parent: there are %d addresses of servers: no more than %d are asked", len(list), maxServers)
	}
	return list, nil
}

// resolve asks the resolvers in turn.
func (p *Servers) resolve(ctx context.Context, name string, qtype uint16, resolvers []string) (*dns.Msg, error) {
	var errs []error
	for _, address := range resolvers {
		reply, err := p.exchange(ctx, name, qtype, true, address)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("resolver %s: %w", address, err))
		case reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError:
			errs = append(errs, fmt.Errorf("resolver %s: %s", address, dns.RcodeToString[reply.Rcode]))
		default:
			return reply, nil
		}
	}
	return nil, errors.Join(errs...)
}

// systemResolvers reads the resolvers of resolv.conf(5).
func systemResolvers(path string) (list []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, netip.AddrPortFrom(addr, 53).String())
		}
	}
	if len(list) == 0 && lines.Err() == nil {
		return nil, fmt.Errorf("parent: %s names no resolver", path)
	}
	return list, lines.Err()
}
