package failover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// Service is one check, of one kind: the key that is given says which.
type Service struct {
	HTTP     string       `yaml:"http"`     // URL
	HTTPS    string       `yaml:"https"`    // URL; the certificate must be valid for three days more
	TCP      string       `yaml:"tcp"`      // port
	DNS      string       `yaml:"dns"`      // name to ask for
	Status   int          `yaml:"status"`   // http and https; 0: anything below 400
	Contains string       `yaml:"contains"` // http and https: in the page
	Greeting string       `yaml:"greeting"` // tcp: what the server says first begins so
	Type     string       `yaml:"type"`     // dns; empty: A
	Answer   []netip.Addr `yaml:"answer"`   // dns: the addresses wanted; empty: any answer
	Port     int          `yaml:"port"`     // dns; 0 is 53
}

const (
	serviceTimeout = 10 * time.Second
	minValidity    = 72 * time.Hour // of a certificate
	maxGreeting    = 4096           // bytes
)

func (c *Service) check(d *strictyaml.Document, path string) {
	kinds := map[string]string{"http": c.HTTP, "https": c.HTTPS, "tcp": c.TCP, "dns": c.DNS}
	var given []string
	for kind, value := range kinds {
		if value != "" {
			given = append(given, kind)
		}
	}
	if len(given) != 1 {
		d.Problem(path, "want one of http, https, tcp and dns")
		return
	}
	kind := given[0]
	if text := c.HTTP + c.HTTPS; text != "" {
		if u, err := url.Parse(text); err != nil || u.Scheme != kind || u.Host == "" {
			d.Problem(path+"."+kind, "want %s://HOST/..., not %q", kind, text)
		}
	}
	if c.TCP != "" {
		if port, err := strconv.Atoi(c.TCP); err != nil || port < 1 || port > 65535 {
			d.Problem(path+".tcp", "want a port, not %q", c.TCP)
		}
	}
	if c.DNS != "" {
		c.checkDNS(d, path)
	}
}

func (c *Service) checkDNS(d *strictyaml.Document, path string) {
	name, err := acme.CanonicalName(c.DNS)
	if err != nil {
		d.Problem(path+".dns", "%v", err)
	}
	c.DNS = name
	if c.Type == "" {
		c.Type = "A"
	}
	if c.Port == 0 {
		c.Port = 53
	}
	qtype, ok := dns.StringToType[strings.ToUpper(c.Type)]
	if !ok {
		d.Problem(path+".type", "no such type of records: %q", c.Type)
	}
	if len(c.Answer) > 0 && qtype != dns.TypeA && qtype != dns.TypeAAAA {
		d.Problem(path+".answer", "addresses can only be wanted of the types A and AAAA")
	}
	if c.Port < 1 || c.Port > 65535 {
		d.Problem(path+".port", "want a port, not %d", c.Port)
	}
}

func (c *Service) String() string {
	switch {
	case c.TCP != "":
		return "tcp port " + c.TCP
	case c.DNS != "":
		return "dns " + c.DNS + " " + c.Type
	}
	return c.HTTP + c.HTTPS
}

// checkServices checks every service at every address.
func (s *Site) checkServices(ctx context.Context, role string, addrs []netip.Addr) (Answer, error) {
	items := make([]Item, len(s.Services)*len(addrs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(defaultParallel)
	for i := range items {
		service, addr := &s.Services[i/len(addrs)], addrs[i%len(addrs)]
		group.Go(func() error {
			items[i] = Item{What: fmt.Sprintf("%s at %s", service, addr), State: Same}
			if err := s.checkService(ctx, service, role, addr); err != nil {
				items[i].State, items[i].Detail = Different, err.Error()
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return Answer{}, err
	}
	return answer(QuestionServices, items, "%d services answer at %d addresses of the %s", len(s.Services), len(addrs), role), nil
}

func (s *Site) checkService(ctx context.Context, c *Service, role string, addr netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, serviceTimeout)
	defer cancel()
	switch {
	case c.TCP != "":
		return c.tcp(ctx, s.dial, addr)
	case c.DNS != "":
		return c.dns(ctx, s.dial, addr)
	}
	host := s.origin(role, addr, 1)
	defer host.close()
	return c.http(ctx, host, s.now())
}

func (c *Service) http(ctx context.Context, host *origin, now time.Time) error {
	response, err := host.do(ctx, http.MethodGet, c.HTTP+c.HTTPS)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	switch {
	case err != nil:
		return err
	case c.Status == 0 && response.StatusCode >= 400, c.Status != 0 && response.StatusCode != c.Status:
		return fmt.Errorf("status %s", status(response))
	case !strings.Contains(string(body), c.Contains):
		return fmt.Errorf("%q is not in the page", c.Contains)
	}
	return validity(response.TLS, now)
}

// validity refuses a certificate that is about to expire: nobody may be renewing it
// at a standby.
func validity(state *tls.ConnectionState, now time.Time) error {
	if state == nil {
		return nil
	}
	if end := state.PeerCertificates[0].NotAfter; end.Sub(now) < minValidity {
		return fmt.Errorf("the certificate expires at %s: is it renewed here?", end.Format(time.RFC3339))
	}
	return nil
}

func (c *Service) tcp(ctx context.Context, dial dialFunc, addr netip.Addr) error {
	conn, err := dial(ctx, "tcp", net.JoinHostPort(addr.String(), c.TCP))
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	greeting := make([]byte, min(len(c.Greeting), maxGreeting))
	n, err := io.ReadFull(conn, greeting)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("after %q: %w", greeting[:n], err)
	}
	if string(greeting[:n]) != c.Greeting {
		return fmt.Errorf("it says %q", greeting[:n])
	}
	return nil
}

func (c *Service) dns(ctx context.Context, dial dialFunc, addr netip.Addr) error {
	answer, err := exchange(ctx, dial, netip.AddrPortFrom(addr, uint16(c.Port)), c.DNS, c.qtype(), false)
	if err != nil {
		return err
	}
	return c.judge(answer)
}

func (c *Service) qtype() uint16 { return dns.StringToType[strings.ToUpper(c.Type)] }

// judge says what is wrong with an answer.
func (c *Service) judge(answer *dns.Msg) error {
	if answer.Rcode != dns.RcodeSuccess {
		return errors.New(dns.RcodeToString[answer.Rcode])
	}
	var addrs []netip.Addr
	for _, rr := range answer.Answer {
		if rr.Header().Rrtype == c.qtype() {
			addrs = append(addrs, addressOf(rr))
		}
	}
	switch {
	case len(addrs) == 0:
		return errors.New("no such record")
	case len(c.Answer) == 0:
		return nil
	}
	if !slices.Equal(sortAddrs(addrs), sortAddrs(c.Answer)) {
		return fmt.Errorf("it answers %v", sortAddrs(addrs))
	}
	return nil
}
