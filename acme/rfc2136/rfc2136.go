package rfc2136

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/acme"
)

const (
	defaultTimeout = 15 * time.Second
	fudge          = 300 // seconds that clocks may differ (RFC 8945 section 10)
)

// A Key is a TSIG key.
type Key struct {
	Name string // as the server knows it: "acme."
	// Algorithm is hmac-sha256 (which is meant by ""), hmac-sha224, hmac-sha384,
	// hmac-sha512 or hmac-sha1.
	Algorithm string
	Secret    acme.Secret // in base64
}

// String returns the key's name and algorithm.
func (k Key) String() string { return k.Name + " " + k.algorithm() }

// Format is for all verbs of package fmt: wrong ones print a pointer's fields
// without asking their methods.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

func (k Key) algorithm() string {
	return strings.ToLower(strings.TrimSuffix(cmp.Or(k.Algorithm, "hmac-sha256"), "."))
}

var algorithms = []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// A Provider is a primary server. It may be used by several goroutines at once.
type Provider struct {
	// Server is the primary's address or name, with or without port; required.
	Server string
	// Key signs the updates. The zero Key sends them unsigned, for a server that
	// goes by addresses alone.
	Key Key
	// Timeout of one update; 0 is 15 seconds.
	Timeout time.Duration
	// Dial makes the connection, over "tcp"; nil is net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var (
	_ acme.Provider     = (*Provider)(nil)
	_ acme.RecordSetter = (*Provider)(nil)
)

// Check returns what is wrong with the provider's fields, all at once.
func (p *Provider) Check() error {
	var errs []error
	if p.Server == "" {
		errs = append(errs, errors.New("rfc2136: no server: name the zone's primary"))
	}
	if p.Key == (Key{}) {
		return errors.Join(errs...)
	}
	if _, err := acme.CanonicalName(p.Key.Name); err != nil {
		errs = append(errs, fmt.Errorf("rfc2136: name of the TSIG key: %w", err))
	}
	if !slices.Contains(algorithms, p.Key.algorithm()) {
		errs = append(errs, fmt.Errorf("rfc2136: TSIG algorithm %q: want one of %s", p.Key.Algorithm, strings.Join(algorithms, ", ")))
	}
	if secret, err := base64.StdEncoding.DecodeString(string(p.Key.Secret)); err != nil || len(secret) == 0 {
		errs = append(errs, errors.New("rfc2136: the secret of the TSIG key is not base64"))
	}
	return errors.Join(errs...)
}

// AppendTXT implements [acme.Provider].
func (p *Provider) AppendTXT(ctx context.Context, r acme.Record) error {
	update := new(dns.Msg).SetUpdate(r.Zone)
	update.Insert([]dns.RR{txt(r)})
	return p.send(ctx, update, "add TXT "+r.Name, r.Zone)
}

// DeleteTXT implements [acme.Provider].
func (p *Provider) DeleteTXT(ctx context.Context, r acme.Record) error {
	update := new(dns.Msg).SetUpdate(r.Zone)
	update.Remove([]dns.RR{txt(r)})
	return p.send(ctx, update, "delete TXT "+r.Name, r.Zone)
}

// SetAddresses implements [acme.RecordSetter], in one update.
func (p *Provider) SetAddresses(ctx context.Context, zone, name string, ttl time.Duration, addresses ...netip.Addr) error {
	update := new(dns.Msg).SetUpdate(zone)
	update.RemoveRRset([]dns.RR{&dns.A{Hdr: header(name, dns.TypeA, 0)}, &dns.AAAA{Hdr: header(name, dns.TypeAAAA, 0)}})
	for _, addr := range addresses {
		update.Insert([]dns.RR{address(name, ttl, addr.Unmap())})
	}
	return p.send(ctx, update, "set the addresses of "+name, zone)
}

func txt(r acme.Record) dns.RR {
	return &dns.TXT{Hdr: header(r.Name, dns.TypeTXT, r.TTL), Txt: []string{r.Value}}
}

func address(name string, ttl time.Duration, addr netip.Addr) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()}
}

func header(name string, kind uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
}

// send sends one update and judges the answer.
func (p *Provider) send(ctx context.Context, update *dns.Msg, op, zone string) error {
	if err := p.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(p.Timeout, defaultTimeout))
	defer cancel()
	answer, err := p.exchange(ctx, update)
	if answer == nil {
		return fmt.Errorf("rfc2136: %s at %s: %w", op, p.address(), err)
	}
	if problem := p.problem(answer, op, zone); problem != nil {
		return problem
	}
	if err == nil && p.Key != (Key{}) && answer.IsTsig() == nil {
		err = errors.New("the answer is not signed")
	}
	if err != nil {
		return fmt.Errorf("rfc2136: %s: the answer of %s cannot be trusted: %w", op, p.address(), err)
	}
	return nil
}

func (p *Provider) address() string {
	if addr, err := netip.ParseAddr(p.Server); err == nil {
		return netip.AddrPortFrom(addr, 53).String()
	}
	if _, _, err := net.SplitHostPort(p.Server); err == nil {
		return p.Server
	}
	return net.JoinHostPort(p.Server, "53")
}

// exchange returns the answer even when its signature is wrong: a server that
// knows not the key cannot sign.
func (p *Provider) exchange(ctx context.Context, update *dns.Msg) (*dns.Msg, error) {
	dial := p.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	raw, err := dial(ctx, "tcp", p.address())
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	conn := &dns.Conn{Conn: raw}
	if p.Key != (Key{}) {
		name, _ := acme.CanonicalName(p.Key.Name)
		conn.TsigSecret = map[string]string{name: string(p.Key.Secret)}
		update.SetTsig(name, p.Key.algorithm()+".", fudge, time.Now().Unix())
	}
	if err := conn.WriteMsg(update); err != nil {
		return nil, ended(ctx, err)
	}
	answer, err := conn.ReadMsg()
	if answer == nil {
		return nil, ended(ctx, err)
	}
	if answer.Id != update.Id || !answer.Response {
		return nil, errors.New("the answer is to another question")
	}
	return answer, err
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// problem returns what an answer's codes say, nil when they say that all is well.
func (p *Provider) problem(answer *dns.Msg, op, zone string) error {
	if tsig := answer.IsTsig(); tsig != nil && tsig.Error != dns.RcodeSuccess {
		return &acme.APIError{
			Provider: "rfc2136", Op: op, Status: dns.RcodeToString[int(tsig.Error)], Message: "TSIG key " + p.Key.String(),
			Advice: advice[int(tsig.Error)], Kind: acme.ErrDenied,
		}
	}
	if answer.Rcode == dns.RcodeSuccess {
		return nil
	}
	e := &acme.APIError{
		Provider: "rfc2136", Op: op, Status: dns.RcodeToString[answer.Rcode], Message: "zone " + zone + " at " + p.address(),
		Advice: advice[answer.Rcode],
	}
	switch answer.Rcode {
	case dns.RcodeRefused:
		e.Kind = acme.ErrDenied
	case dns.RcodeNotAuth, dns.RcodeNotZone, dns.RcodeNameError:
		e.Kind = acme.ErrNoZone
	}
	if p.Key == (Key{}) && answer.Rcode == dns.RcodeNotAuth { // Knot's word for an update that nobody allows
		e.Kind, e.Advice = acme.ErrDenied, "the server's policy may want a TSIG key, or it is not the primary of this zone"
	}
	return e
}

var advice = map[int]string{
	dns.RcodeBadKey:         "the server knows no key of this name and algorithm or, if it is Knot, its acl does not allow the key to change this name",
	dns.RcodeBadSig:         "the secret is not the server's: copy it again",
	dns.RcodeBadTime:        "this clock and the server's differ by more than five minutes: set them",
	dns.RcodeBadTrunc:       "the server wants a longer MAC than this algorithm's",
	dns.RcodeRefused:        "the server's policy does not allow this key to change this name: see update-policy (BIND) or acl (Knot)",
	dns.RcodeNotAuth:        "the server is not the primary of this zone, or the key is wrong",
	dns.RcodeNotZone:        "the name is not in this zone of the server",
	dns.RcodeServerFailure:  "see the server's log: the zone's files may not be writable for it",
	dns.RcodeNotImplemented: "the server takes no dynamic updates",
}
