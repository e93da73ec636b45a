package acme

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

const (
	maxCNAMEs       = 8               // more in a row count as a loop
	maxCuts         = 8               // referrals from one zone to the next
	maxServers      = 64              // addresses of one zone's servers
	exchangeTimeout = 3 * time.Second // one question to one server
)

// site is where a record belongs and who serves it.
type site struct {
	zone, name string
	servers    []server
}

// server is one address of an authoritative server.
type server struct {
	name string // of the server: "ns1.example.net."
	addr netip.AddrPort
}

func (s server) String() string { return s.name + " (" + s.addr.Addr().String() + ")" }

// survey finds the sites of a batch of names.
type survey struct {
	*Checker
	mu      sync.Mutex
	servers map[string]func() ([]server, error) // of each zone
}

func (c *Checker) survey() *survey {
	return &survey{Checker: c, servers: map[string]func() ([]server, error){}}
}

// exchange asks one server one question, over UDP and, when the answer does
// not fit, over TCP.
func (c *Checker) exchange(ctx context.Context, addr netip.AddrPort, name string, qtype uint16, recursive bool) (*dns.Msg, error) {
	question := new(dns.Msg)
	question.SetQuestion(name, qtype)
	question.RecursionDesired = recursive
	question.SetEdns0(1232, false)
	for _, network := range []string{"udp", "tcp"} {
		answer, err := c.once(ctx, network, addr, question)
		if err != nil {
			return nil, err
		}
		if !answer.Truncated {
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s: truncated over TCP", addr)
}

func (c *Checker) once(ctx context.Context, network string, addr netip.AddrPort, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	conn, err := c.dial(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	client := &dns.Client{Net: network, Timeout: exchangeTimeout}
	answer, _, err := client.ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn, UDPSize: 1232})
	if err != nil {
		return nil, err
	}
	if len(answer.Question) != 1 || !strings.EqualFold(answer.Question[0].Name, question.Question[0].Name) || answer.Question[0].Qtype != question.Question[0].Qtype {
		return nil, fmt.Errorf("%s: the answer is to another question", addr)
	}
	return answer, nil
}

func (c *Checker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx, network, address)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// unreachable reports whether this host has no way to an address at all, as
// opposed to a server that does not answer.
func unreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// recurse asks the recursive resolvers, one after the other until one answers.
func (c *Checker) recurse(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	resolvers, err := c.resolvers()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, r := range resolvers {
		answer, err := c.exchange(ctx, r, name, qtype, true)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("resolver %s: %w", r, err))
		case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
			errs = append(errs, fmt.Errorf("resolver %s: %s", r, dns.RcodeToString[answer.Rcode]))
		default:
			return answer, nil
		}
	}
	return nil, fmt.Errorf("%s %s: %w", name, dns.TypeToString[qtype], errors.Join(errs...))
}

func (c *Checker) resolvers() ([]netip.AddrPort, error) {
	texts := c.Resolvers
	if len(texts) == 0 {
		config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			texts = config.Servers
		}
	}
	var addrs []netip.AddrPort
	for _, text := range texts {
		addr, err := addrPort(text)
		if err != nil {
			return nil, fmt.Errorf("resolver %q: want an IP address, or [address]:port", text)
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) == 0 {
		return nil, errors.New("no resolver: /etc/resolv.conf names none; configure one")
	}
	return addrs, nil
}

// addrPort reads an address with or without port.
func addrPort(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	return netip.ParseAddrPort(text)
}

// locate finds where the record of a challenge name belongs: it follows CNAME
// records and zone cuts, by what the authoritative servers say. Recursive
// resolvers are not asked for the name itself, or they would remember that it
// has no TXT record (RFC 2308 section 5).
func (s *survey) locate(ctx context.Context, name string) (site, error) {
	seen := map[string]bool{}
	for range maxCNAMEs + 1 {
		if seen[name] {
			return site{}, fmt.Errorf("%w: %s comes again", ErrCNAMELoop, name)
		}
		seen[name] = true
		at, target, err := s.descend(ctx, name)
		if err != nil || target == "" {
			return at, err
		}
		name = target
	}
	return site{}, fmt.Errorf("%w: more than %d CNAME records in a row, the last to %s", ErrCNAMELoop, maxCNAMEs, name)
}

// descend finds the zone of a name and its servers, or the name that its CNAME
// record points to.
func (s *survey) descend(ctx context.Context, name string) (at site, target string, err error) {
	zone, err := s.enclosingZone(ctx, parent(name))
	if err != nil {
		return site{}, "", err
	}
	servers, err := s.serversOf(ctx, zone)
	if err != nil {
		return site{}, "", err
	}
	for range maxCuts {
		answer, from, err := s.askAny(ctx, servers, name, dns.TypeTXT)
		if err != nil {
			return site{}, "", err
		}
		if cut := referral(answer, zone, name); cut != "" {
			zone = cut
			if servers, err = s.referred(ctx, answer, cut); err != nil {
				return site{}, "", err
			}
			continue
		}
		if target := cnameOf(answer, name); target != "" {
			synthetic, err := s.fromWildcard(ctx, from, name, target)
			if err != nil || !synthetic {
				return site{}, target, err
			}
		}
		return s.apex(ctx, name, zone, servers, from)
	}
	return site{}, "", fmt.Errorf("%s: more than %d zone cuts", name, maxCuts)
}

// apex asks a server of zone whether it also serves a zone further down that
// holds the name, as it then answers without referring to that.
func (s *survey) apex(ctx context.Context, name, zone string, servers []server, from server) (site, string, error) {
	answer, err := s.exchange(ctx, from.addr, name, dns.TypeSOA, false)
	if err != nil {
		return site{}, "", fmt.Errorf("%s: %w", from, err)
	}
	deeper := soaOwner(answer, name)
	if deeper == "" || len(deeper) <= len(zone) || !InZone(name, deeper) {
		return site{zone, name, servers}, "", nil
	}
	servers, err = s.serversOf(ctx, deeper)
	return site{deeper, name, servers}, "", err
}

// enclosingZone asks recursive resolvers for the zone of an existing name.
func (s *survey) enclosingZone(ctx context.Context, name string) (string, error) {
	for n := name; ; n = parent(n) {
		answer, err := s.recurse(ctx, n, dns.TypeSOA)
		if err != nil {
			return "", fmt.Errorf("zone of %s: %w", name, err)
		}
		// What is below an alias is in the zone of the alias, not of its target.
		if cnameOf(answer, n) == "" {
			if zone := soaOwner(answer, n); zone != "" && zone != "." && InZone(n, zone) {
				return zone, publicSuffix(answer, name, zone)
			}
		}
		if n == "." {
			return "", fmt.Errorf("%w for %s: the DNS has none; is the name spelt right and delegated?", ErrNoZone, name)
		}
	}
}

// publicSuffix refuses a top-level zone for a name that does not exist: nobody
// with a certificate to order runs that zone.
func publicSuffix(answer *dns.Msg, name, zone string) error {
	if answer.Rcode == dns.RcodeNameError && dns.CountLabel(zone) < 2 && dns.CountLabel(name) > 1 {
		return fmt.Errorf("%w for %s: NXDOMAIN from %s; is the name spelt right and delegated?", ErrNoZone, name, zone)
	}
	return nil
}

// serversOf returns every address of every authoritative server of a zone. The
// questions for it are asked once, however many names there are.
func (s *survey) serversOf(ctx context.Context, zone string) ([]server, error) {
	s.mu.Lock()
	find := s.servers[zone]
	if find == nil {
		find = sync.OnceValues(func() ([]server, error) { return s.findServers(ctx, zone) })
		s.servers[zone] = find
	}
	s.mu.Unlock()
	return find()
}

func (s *survey) findServers(ctx context.Context, zone string) ([]server, error) {
	answer, err := s.recurse(ctx, zone, dns.TypeNS)
	if err != nil {
		return nil, err
	}
	return s.addresses(ctx, zone, nsNames(answer.Answer, zone), nil)
}

// referred returns the servers that a referral names, with its glue where the
// resolver knows no address.
func (s *survey) referred(ctx context.Context, answer *dns.Msg, cut string) ([]server, error) {
	return s.addresses(ctx, cut, nsNames(answer.Ns, cut), answer.Extra)
}

func (s *survey) addresses(ctx context.Context, zone string, names []string, glue []dns.RR) ([]server, error) {
	if len(names) > maxServers {
		return nil, fmt.Errorf("zone %s has more than %d servers", zone, maxServers)
	}
	var servers []server
	var errs []error
	for _, name := range names {
		addrs, err := s.hostAddresses(ctx, name)
		if len(addrs) == 0 {
			addrs = addressesIn(glue, name)
		}
		if len(addrs) == 0 {
			err = cmp.Or(err, fmt.Errorf("server %s has no address", name))
			logger(s.Logger).Warn("a server cannot be asked", "zone", zone, "server", name, "error", err)
			errs = append(errs, err)
		}
		for _, addr := range addrs {
			servers = append(servers, server{name, netip.AddrPortFrom(addr, 53)})
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("zone %s has no servers to ask: %w", zone, errors.Join(append(errs, ErrNoZone)...))
	}
	if len(servers) > maxServers {
		return nil, fmt.Errorf("zone %s has more than %d server addresses", zone, maxServers)
	}
	slices.SortFunc(servers, func(a, b server) int { return a.addr.Compare(b.addr) })
	return slices.CompactFunc(servers, func(a, b server) bool { return a.addr == b.addr }), nil
}

func (s *survey) hostAddresses(ctx context.Context, name string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	var errs []error
	for _, qtype := range []uint16{dns.TypeAAAA, dns.TypeA} {
		answer, err := s.recurse(ctx, name, qtype)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		addrs = append(addrs, addressesIn(answer.Answer, "")...)
	}
	return addrs, errors.Join(errs...)
}

// askAny asks servers in turn until one gives an answer that is one.
func (c *Checker) askAny(ctx context.Context, servers []server, name string, qtype uint16) (*dns.Msg, server, error) {
	var errs []error
	for _, s := range servers {
		answer, err := c.exchange(ctx, s.addr, name, qtype, false)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", s, err))
		case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
			errs = append(errs, fmt.Errorf("%s: %s", s, dns.RcodeToString[answer.Rcode]))
		default:
			return answer, s, nil
		}
	}
	return nil, server{}, fmt.Errorf("%s: no authoritative server answers: %w", name, errors.Join(errs...))
}

// fromWildcard reports whether a CNAME record is made of a wildcard's
// (RFC 4592 section 3.3.1): then a name that nobody has made shows the same.
// Such a record was not meant for challenges, and a TXT record replaces it.
func (s *survey) fromWildcard(ctx context.Context, from server, name, target string) (bool, error) {
	sibling := make([]byte, 16)
	rand.Read(sibling)
	invented := hex.EncodeToString(sibling) + "." + parent(name)
	answer, err := s.exchange(ctx, from.addr, invented, dns.TypeTXT, false)
	if err != nil {
		return false, fmt.Errorf("%s: %w", from, err)
	}
	if answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		return false, fmt.Errorf("%s: %s: %s", from, invented, dns.RcodeToString[answer.Rcode])
	}
	return cnameOf(answer, invented) == target, nil
}

func parent(name string) string {
	if _, rest, ok := strings.Cut(name, "."); ok && rest != "" {
		return rest
	}
	return "."
}

// referral returns the zone that an answer refers to on the way from zone to
// name, "" when it is no referral.
func referral(answer *dns.Msg, zone, name string) string {
	if answer.Authoritative || len(answer.Answer) > 0 {
		return ""
	}
	for _, rr := range answer.Ns {
		cut := strings.ToLower(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeNS && InZone(name, cut) && InZone(cut, zone) && cut != zone {
			return cut
		}
	}
	return ""
}

func cnameOf(answer *dns.Msg, name string) string {
	for _, rr := range answer.Answer {
		if cname, ok := rr.(*dns.CNAME); ok && strings.EqualFold(cname.Hdr.Name, name) {
			return strings.ToLower(cname.Target)
		}
	}
	return ""
}

// soaOwner returns the owner of the SOA record that an answer holds for name,
// or that proves it has none: the apex of its zone.
func soaOwner(answer *dns.Msg, name string) string {
	for _, rr := range slices.Concat(answer.Answer, answer.Ns) {
		if owner := strings.ToLower(rr.Header().Name); rr.Header().Rrtype == dns.TypeSOA && InZone(name, owner) {
			return owner
		}
	}
	return ""
}

func nsNames(rrs []dns.RR, zone string) []string {
	var names []string
	for _, rr := range rrs {
		if ns, ok := rr.(*dns.NS); ok && strings.EqualFold(ns.Hdr.Name, zone) {
			names = append(names, strings.ToLower(ns.Ns))
		}
	}
	return names
}

// addressesIn returns the addresses among records, of one owner when name is not empty.
func addressesIn(rrs []dns.RR, name string) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range rrs {
		if name != "" && !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}
