// Package transfer fetches zones from their primary server: by their differences
// (IXFR, RFC 1995) when there is an earlier version, else whole (AXFR, RFC 5936).
//
//	client := transfer.Client{Server: "[2001:db8::53]:53", Key: transfer.Key{Name: "xfr.", Secret: secret}}
//	next, err := client.Fetch(ctx, origin, have) // have may be nil
//	if err != nil {
//		return err
//	}
//	if next == have {
//		return nil // it has no later version
//	}
//
// Messages are signed with TSIG (RFC 8945) when there is a key, and then every
// answer must be. Differences that do not fit what is there, and servers that
// know no IXFR, lead to the whole zone. A version with an earlier serial than the
// present one (RFC 1982) is not fetched.
//
// It needs no privileges and TCP to the server. Limits: [Client.MaxRecords],
// [Client.Timeout], and a minute for each message. It does not do transfers over TLS (RFC 9103).
//
// RFCs: 1982, 1995, 5936, 8945.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	defaultMaxRecords = 10_000_000
	defaultTimeout    = time.Hour
	messageTimeout    = time.Minute
	queryTimeout      = 5 * time.Second
)

// Key is a TSIG key. It prints without its secret.
type Key struct {
	// Name is a domain name (RFC 8945 section 4.2): upper case and a missing final dot
	// do not matter.
	Name string
	// Algorithm is hmac-sha256 when empty.
	Algorithm string
	// Secret is in base64.
	Secret string
}

// String returns the key's name.
func (k Key) String() string { return k.Name }

// GoString keeps the secret out of %#v.
func (k Key) GoString() string { return k.String() }

// LogValue keeps the secret out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Client fetches from one server. It may be used by several goroutines at once.
type Client struct {
	// Server is host:port.
	Server string
	// Key signs the queries. The zero Key is none.
	Key Key
	// MaxRecords is how many records a transfer may have, 10 million when zero.
	MaxRecords int
	// Timeout is for all of Fetch, 1 hour when zero: a server that sends little by
	// little does not hold it for ever.
	Timeout time.Duration
}

func (c *Client) secrets() map[string]string {
	if c.Key == (Key{}) {
		return nil
	}
	return map[string]string{dns.CanonicalName(c.Key.Name): c.Key.Secret}
}

func (c *Client) sign(m *dns.Msg) {
	if c.Key != (Key{}) {
		m.SetTsig(dns.CanonicalName(c.Key.Name), dns.Fqdn(cmp.Or(c.Key.Algorithm, "hmac-sha256")), 300, time.Now().Unix())
	}
}

// Serial asks for the serial of a zone.
func (c *Client) Serial(ctx context.Context, origin wire.Name) (uint32, error) {
	m := new(dns.Msg)
	m.SetQuestion(origin.String(), dns.TypeSOA)
	m.RecursionDesired = false
	c.sign(m)
	client := dns.Client{Net: "udp", Timeout: queryTimeout, TsigSecret: c.secrets()}
	reply, _, err := client.ExchangeContext(ctx, m, c.Server)
	if err == nil && reply.Truncated {
		client.Net = "tcp"
		reply, _, err = client.ExchangeContext(ctx, m, c.Server)
	}
	if err != nil {
		return 0, c.failed(origin, "SOA", err)
	}
	for _, rr := range reply.Answer {
		if soa, ok := rr.(*dns.SOA); ok && reply.Authoritative {
			return soa.Serial, nil
		}
	}
	return 0, c.failed(origin, "SOA", fmt.Errorf("it has no authoritative answer (%s): it does not serve the zone, or its copy has expired", dns.RcodeToString[reply.Rcode]))
}

func (c *Client) failed(origin wire.Name, what string, err error) error {
	return fmt.Errorf("transfer: %s of %s from %s: %w", what, origin, c.Server, err)
}

// Fetch returns the zone as the server has it, and have when that is as new.
func (c *Client) Fetch(ctx context.Context, origin wire.Name, have *zone.Zone) (*zone.Zone, error) {
	timeout := cmp.Or(c.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it takes more than %v", timeout))
	defer cancel()
	if have == nil {
		return c.whole(ctx, origin)
	}
	serial, err := c.Serial(ctx, origin)
	if err != nil {
		return nil, err
	}
	if int32(serial-have.SOA().Serial) <= 0 {
		return have, nil
	}
	next, err := c.differences(ctx, origin, have)
	if err == nil {
		return next, nil
	}
	if ctx.Err() != nil {
		return nil, err
	}
	whole, wholeErr := c.whole(ctx, origin)
	if wholeErr != nil {
		return nil, errors.Join(err, wholeErr)
	}
	return whole, nil
}

// whole fetches by AXFR.
func (c *Client) whole(ctx context.Context, origin wire.Name) (*zone.Zone, error) {
	m := new(dns.Msg)
	m.SetAxfr(origin.String())
	records, err := c.records(ctx, m)
	if err == nil && (len(records) < 2 || !isSOA(records[0]) || !isSOA(records[len(records)-1])) {
		err = errors.New("it does not begin and end with the SOA record (RFC 5936 section 2.2)")
	}
	if err != nil {
		return nil, c.failed(origin, "AXFR", err)
	}
	return c.zone(origin, records[:len(records)-1])
}

func (c *Client) zone(origin wire.Name, records []dns.RR) (*zone.Zone, error) {
	z, _, err := zone.FromRecords(origin, func(yield func(dns.RR, error) bool) {
		for _, rr := range records {
			if !yield(rr, nil) {
				return
			}
		}
	})
	if err != nil {
		return nil, c.failed(origin, "AXFR", err)
	}
	return z, nil
}

// differences fetches by IXFR, which may bring the whole zone as well.
func (c *Client) differences(ctx context.Context, origin wire.Name, have *zone.Zone) (*zone.Zone, error) {
	m := new(dns.Msg)
	m.SetQuestion(origin.String(), dns.TypeIXFR)
	m.RecursionDesired = false
	m.Ns = have.Apex().Set(wire.Type(dns.TypeSOA)).RRs(origin)
	records, err := c.records(ctx, m)
	if err != nil {
		return nil, c.failed(origin, "IXFR", err)
	}
	list, whole, err := split(records)
	if err != nil {
		return nil, c.failed(origin, "IXFR", err)
	}
	if whole {
		return c.zone(origin, records[:len(records)-1])
	}
	next := have
	for _, d := range list {
		if next, err = next.Apply(d); err != nil {
			return nil, c.failed(origin, "IXFR", err)
		}
	}
	return next, nil
}

// records asks and collects the answers.
func (c *Client) records(ctx context.Context, m *dns.Msg) ([]dns.RR, error) {
	c.sign(m)
	conn, err := (&net.Dialer{Timeout: queryTimeout}).DialContext(ctx, "tcp", c.Server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	t := dns.Transfer{Conn: &dns.Conn{Conn: conn}, ReadTimeout: messageTimeout, TsigSecret: c.secrets()}
	envelopes, err := t.In(m, c.Server)
	if err != nil {
		return nil, err
	}
	var records []dns.RR
	limit := cmp.Or(c.MaxRecords, defaultMaxRecords)
	for envelope := range envelopes {
		switch {
		case err != nil: // what comes after an error is let go by
		case envelope.Error != nil:
			err = envelope.Error
		case len(records)+len(envelope.RR) > limit:
			err = fmt.Errorf("more than %d records", limit)
			_ = conn.Close()
		default:
			records = append(records, envelope.RR...)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return records, err
}

func isSOA(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
