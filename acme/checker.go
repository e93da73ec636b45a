package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// DefaultTimeout is how long a Checker waits for records to be published.
	DefaultTimeout = 10 * time.Minute
	// DefaultInterval is what it leaves between two rounds of questions.
	DefaultInterval = time.Second

	rounds       = 2  // in a row, in which a server must have the record
	maxQuestions = 16 // under way at once
)

// A Checker finds where challenge records belong, and waits until every
// address of every authoritative server gives them, twice in a row and with
// authority (the AA bit). The zero value asks the system's resolvers.
//
// It may be used by several goroutines at once.
type Checker struct {
	// Resolvers are recursive resolvers, as addresses with or without port.
	// Empty: those of /etc/resolv.conf.
	Resolvers []string
	// ConfirmResolvers makes the Resolvers, too, give the record before the wait
	// ends. They are asked last, when the authoritative servers have it.
	ConfirmResolvers bool
	// Timeout of a whole wait; 0 is DefaultTimeout.
	Timeout time.Duration
	// Interval between rounds; 0 is DefaultInterval.
	Interval time.Duration
	// Dial makes connections, over "udp" and "tcp", to the servers; nil is
	// net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger hears each server's reason while the checker waits; nil is silent.
	Logger *slog.Logger
}

// A PropagationError says which servers did not have which records in time.
type PropagationError struct {
	Waited  time.Duration // since the records were changed
	Pending []Pending     // one for each record and server
}

// Pending is one record that one server does not give, and why.
type Pending struct {
	Name   string // of the record
	Server string // "ns1.example.net. (192.0.2.1)", or "resolver [2001:db8::1]:53"
	Reason string // "no such name", "timeout", "another value", "REFUSED", ...
}

func (p Pending) String() string { return fmt.Sprintf("%s at %s: %s", p.Name, p.Server, p.Reason) }

// maxReported is how many pending records an error's text tells.
const maxReported = 10

func (e *PropagationError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "acme: not published everywhere after %v", e.Waited.Round(time.Second))
	for i, p := range e.Pending {
		if i == maxReported {
			fmt.Fprintf(&b, "\n\tand %d more", len(e.Pending)-i)
			break
		}
		b.WriteString("\n\t" + p.String())
	}
	b.WriteString("\n\tsee that these servers are secondaries of the zone and get its changes, or raise the timeout")
	return b.String()
}

// probe is one record to be seen at one server, and how far that has come.
type probe struct {
	record Record
	server string
	addr   netip.AddrPort
	want   bool // recursion
	seen   int  // rounds in a row
	reason string
	noWay  bool // this host has no route to the address
}

func (c *Checker) timeout() time.Duration  { return cmp.Or(c.Timeout, DefaultTimeout) }
func (c *Checker) interval() time.Duration { return cmp.Or(c.Interval, DefaultInterval) }

// placed is a record and the servers that will serve it.
type placed struct {
	Record
	servers []server
}

// wait returns when all records are seen, or ctx ends.
func (c *Checker) wait(ctx context.Context, records []placed) error {
	start := time.Now()
	probes := authoritative(records)
	err := c.poll(ctx, start, probes)
	if err != nil || !c.ConfirmResolvers {
		return err
	}
	resolvers, err := c.resolvers()
	if err != nil {
		return err
	}
	return c.poll(ctx, start, recursive(records, resolvers))
}

func authoritative(records []placed) []*probe {
	var probes []*probe
	for _, r := range records {
		for _, s := range r.servers {
			probes = append(probes, &probe{record: r.Record, server: s.String(), addr: s.addr})
		}
	}
	return probes
}

func recursive(records []placed, resolvers []netip.AddrPort) []*probe {
	var probes []*probe
	for _, r := range records {
		for _, addr := range resolvers {
			probes = append(probes, &probe{record: r.Record, server: "resolver " + addr.String(), addr: addr, want: true})
		}
	}
	return probes
}

// poll asks in rounds until every probe has been seen in two rounds in a row.
func (c *Checker) poll(ctx context.Context, start time.Time, probes []*probe) error {
	ticker := time.NewTicker(c.interval())
	defer ticker.Stop()
	for {
		c.round(ctx, probes)
		waiting := pending(probes)
		if err := allUnreachable(probes); err != nil {
			return err
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return stopped(ctx, start, waiting)
		case <-ticker.C:
		}
	}
}

// stopped returns the caller's reason to stop or, when the time is up, what was
// still waited for.
func stopped(ctx context.Context, start time.Time, waiting []*probe) error {
	if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	e := &PropagationError{Waited: time.Since(start)}
	for _, p := range waiting {
		reason := cmp.Or(p.reason, "seen once only")
		if p.seen == 0 && p.reason == "" {
			reason = "no answer"
		}
		e.Pending = append(e.Pending, Pending{p.record.Name, p.server, reason})
	}
	return e
}

// round asks all that have not been seen often enough.
func (c *Checker) round(ctx context.Context, probes []*probe) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxQuestions)
	for _, p := range probes {
		if p.seen >= rounds || p.noWay {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c.probe(ctx, p)
		})
	}
	wg.Wait()
}

func (c *Checker) probe(ctx context.Context, p *probe) {
	answer, err := c.exchange(ctx, p.addr, p.record.Name, dns.TypeTXT, p.want)
	if deadline, ok := ctx.Deadline(); ctx.Err() != nil || err != nil && ok && !time.Now().Before(deadline) {
		return // cut short, which is not the server's fault
	}
	if unreachable(err) {
		p.noWay = true
		logger(c.Logger).Warn("no route to a server", "server", p.server, "record", p.record.Name, "error", err)
		return
	}
	reason := verdict(answer, err, p)
	if reason == "" {
		p.seen++
	} else {
		p.seen = 0
		if reason != p.reason {
			logger(c.Logger).Info("waiting for a server", "record", p.record.Name, "server", p.server, "reason", reason)
		}
	}
	p.reason = reason
}

// verdict says why an answer is not the one waited for, "" when it is.
func verdict(answer *dns.Msg, err error, p *probe) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case err != nil:
		return err.Error()
	case answer.Rcode == dns.RcodeNameError:
		return "no such name"
	case answer.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[answer.Rcode]
	case !p.want && !answer.Authoritative:
		return "not authoritative"
	}
	others := 0
	for _, rr := range answer.Answer {
		txt, ok := rr.(*dns.TXT)
		if !ok || !strings.EqualFold(txt.Hdr.Name, p.record.Name) {
			continue
		}
		if strings.Join(txt.Txt, "") == p.record.Value {
			return ""
		}
		others++
	}
	if others > 0 {
		return "another value"
	}
	return "no TXT record"
}

func pending(probes []*probe) []*probe {
	return slices.Collect(func(yield func(*probe) bool) {
		for _, p := range probes {
			if p.seen < rounds && !p.noWay && !yield(p) {
				return
			}
		}
	})
}

// allUnreachable returns an error when a record has no server that this host
// has a way to: a host with IPv4 alone may ask the IPv4 addresses only, but it
// must ask somebody.
func allUnreachable(probes []*probe) error {
	reached := map[Record]bool{}
	for _, p := range probes {
		reached[p.record] = reached[p.record] || !p.noWay
	}
	for record, ok := range reached {
		if !ok {
			return fmt.Errorf("acme: this host has no route to any server of %s: is IPv6 or IPv4 down here?", record.Name)
		}
	}
	return nil
}

// logger returns l, or one that is silent.
func logger(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
