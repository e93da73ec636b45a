package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/internal/route"
)

const (
	defaultCheckSize = 1 << 20
	checkStep        = 10 * time.Second
)

// A Checker finds out what of an IPv6-only machine's way to the IPv4 internet
// works.
type Checker struct {
	// Dialer is what is checked: its Discoverer and its Dialer. Nil: a zero one.
	Dialer *nat64.Dialer
	// URL is something to fetch over http from a host that has an IPv4 address. Empty: the path is not tried.
	URL string
	// Size is how many octets of it must come, to find paths that lose large packets. 0: 1 MiB.
	// Something shorter is enough if it ends by itself.
	Size int64
}

// A Step is one thing that was tried.
type Step struct {
	Name   string        `json:"name"`   // ipv6, prefix, dns64, path or transfer
	OK     bool          `json:"ok"`     // it works
	Detail string        `json:"detail"` // what was found, or why it does not work
	Took   time.Duration `json:"took"`   // in nanoseconds
}

// A Report is what a [Checker] found, in the order in which it tried.
type Report []Step

// OK reports whether all steps worked.
func (r Report) OK() bool {
	for _, s := range r {
		if !s.OK {
			return false
		}
	}
	return true
}

// String returns the report as lines of text.
func (r Report) String() string {
	var b strings.Builder
	for _, s := range r {
		verdict := "ok"
		if !s.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(&b, "%-8s %-6s %s (%v)\n", s.Name, verdict, s.Detail, s.Took.Round(time.Millisecond))
	}
	return b.String()
}

// Check tries, in this order: an IPv6 route; the prefix; a DNS64, where the
// resolvers must synthesize the prefix that is in use; the path, which is a
// connection through the prefix to the URL's host, also where there is IPv4;
// and a transfer over that path. It ends early where the rest depends on what
// failed.
func (c *Checker) Check(ctx context.Context) Report {
	k := check{c: c}
	if c.Dialer != nil {
		k.dialer, k.discoverer, k.table = c.Dialer.Dialer, c.Dialer.Discoverer, c.Dialer.Table
	}
	if k.dialer == nil {
		k.dialer = new(net.Dialer)
	}
	if k.discoverer == nil {
		k.discoverer = new(nat64.Discoverer)
	}
	k.step(ctx, "ipv6", k.ipv6)
	if !k.step(ctx, "prefix", k.prefix) {
		return k.report
	}
	k.step(ctx, "dns64", k.dns64)
	if c.URL != "" && k.step(ctx, "path", k.path) {
		k.step(ctx, "transfer", k.transfer)
	}
	if k.conn != nil {
		k.conn.Close()
	}
	return k.report
}

// A check is one in progress.
type check struct {
	c          *Checker
	dialer     *net.Dialer
	discoverer *nat64.Discoverer
	table      *nat64.Table
	report     Report
	prefixes   []nat64.Prefix
	target     *url.URL
	conn       net.Conn
}

func (k *check) step(ctx context.Context, name string, try func(context.Context) (string, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, checkStep)
	defer cancel()
	start := time.Now()
	detail, err := try(ctx)
	if err != nil {
		detail = err.Error()
	}
	k.report = append(k.report, Step{name, err == nil, detail, time.Since(start)})
	return err == nil
}

func (k *check) ipv6(context.Context) (string, error) {
	six := route.Exists(netip.AddrFrom16([16]byte{0x20, 0x00}))
	four := route.Exists(netip.AddrFrom4([4]byte{192, 88, 99, 1}))
	switch {
	case !six:
		return "", errors.New("no IPv6 route: nothing here can work")
	case four:
		return "IPv6 route, and an IPv4 route: a Dialer would use that", nil
	}
	return "IPv6 route, no IPv4 route", nil
}

func (k *check) prefix(ctx context.Context) (string, error) {
	if k.table != nil {
		k.prefixes = k.table.Prefixes()
		return fmt.Sprintf("%v, as configured", k.prefixes), nil
	}
	found, err := k.discoverer.Discover(ctx)
	if err != nil {
		return "", err
	}
	var all []string
	for _, f := range found {
		text := fmt.Sprintf("%v from %s %s, for %v", f.Prefix, f.Source, f.From, time.Until(f.Expires).Round(time.Second))
		if !f.Paired {
			text += ", unconfirmed"
		}
		all = append(all, text)
		k.prefixes = append(k.prefixes, f.Prefix)
	}
	return strings.Join(all, "; "), nil
}

func (k *check) dns64(ctx context.Context) (string, error) {
	found, err := k.discoverer.Ask(ctx)
	if errors.Is(err, nat64.ErrNoPrefix) {
		return "", errors.New("the resolver does not synthesize: programs without a Dialer like this one reach no IPv4 host")
	}
	if err != nil {
		return "", err
	}
	for _, f := range found {
		if slices.Contains(k.prefixes, f.Prefix) {
			return fmt.Sprintf("%s synthesizes %v", f.From, f.Prefix), nil
		}
	}
	return "", fmt.Errorf("%s synthesizes %v, which is not the network's prefix", found[0].From, found[0].Prefix)
}

func (k *check) path(ctx context.Context) (string, error) {
	var err error
	if k.target, err = url.Parse(k.c.URL); err != nil || k.target.Scheme != "http" || k.target.Host == "" {
		return "", fmt.Errorf("%q is not a http URL", k.c.URL)
	}
	port := k.target.Port()
	if port == "" {
		port = "80"
	}
	v4, err := k.addresses(ctx, k.target.Hostname())
	if err != nil {
		return "", err
	}
	var errs []error
	for _, through := range k.ways() {
		for _, addr := range v4 {
			// tcp6 goes through the prefix even where there is IPv4.
			conn, err := through.DialContext(ctx, "tcp6", net.JoinHostPort(addr.String(), port))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			k.conn = conn
			return fmt.Sprintf("connected to %v%s", conn.RemoteAddr(), pathMTU(conn)), nil
		}
	}
	return "", errors.Join(errs...)
}

// addresses returns the host's IPv4 addresses.
func (k *check) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	resolver := k.dialer.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	v4, err := resolver.LookupNetIP(ctx, "ip4", host)
	if err == nil && len(v4) == 0 {
		err = fmt.Errorf("%s has no IPv4 address", host)
	}
	return v4, err
}

// ways returns a dialer for each way through the NAT64.
func (k *check) ways() (all []*nat64.Dialer) {
	if k.table != nil {
		return []*nat64.Dialer{{Dialer: k.dialer, Table: k.table}}
	}
	for _, p := range k.prefixes {
		all = append(all, &nat64.Dialer{Dialer: k.dialer, Table: nat64.TableOf(p)})
	}
	return all
}

func (k *check) transfer(ctx context.Context) (string, error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return k.conn, nil },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.c.URL, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close()
	want := k.c.Size
	if want == 0 {
		want = defaultCheckSize
	}
	start := time.Now()
	n, err := io.Copy(io.Discard, io.LimitReader(response.Body, want))
	mtu := pathMTU(k.conn)
	if err != nil {
		return "", fmt.Errorf("stalled after %d octets%s: large packets may be lost (does the translator send Packet Too Big?): %w", n, mtu, err)
	}
	rate := float64(n) * 8 / 1e6 / max(time.Since(start).Seconds(), 1e-6)
	return fmt.Sprintf("%d octets, %.0f Mbit/s%s", n, rate, mtu), nil
}
