package dns64

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultAttempt = 2 * time.Second
	// A query over UDP is sent again then, from when it was first sent: a datagram may be lost.
	secondSend = 400 * time.Millisecond
	thirdSend  = time.Second
	// socketUses is after how many queries a UDP socket is replaced, so that its port cannot be guessed for long.
	socketUses = 200
	// maxIdleSockets is how many UDP sockets wait for the next query, for each server.
	maxIdleSockets = 256
)

// A Forwarder is an [Upstream] that asks resolvers over UDP, and over TCP for
// what UDP truncates. It is safe for concurrent use.
type Forwarder struct {
	// Servers are addresses with ports, asked in this order. At least one must be there.
	Servers []string
	// Attempt is how long one server may take before the next one is asked. 0: 2 s.
	// Within it, a query over UDP is sent again after 0.4 s and 1 s.
	Attempt time.Duration

	mu   sync.Mutex
	idle map[string][]*socket
}

// A socket is a connected UDP socket that one query uses at a time.
type socket struct {
	*dns.Conn
	uses int
}

// Exchange asks the servers one after the other, until one answers.
func (f *Forwarder) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	var errs []error
	for _, server := range f.Servers {
		answer, err := f.exchange(ctx, server, query)
		if err == nil {
			return answer, nil
		}
		errs = append(errs, fmt.Errorf("dns64: %s: %w", server, err))
		if ctx.Err() != nil {
			break
		}
	}
	if errs == nil {
		return nil, errors.New("dns64: no server to ask")
	}
	return nil, errors.Join(errs...)
}

func (f *Forwarder) exchange(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(f.Attempt, defaultAttempt))
	defer cancel()
	answer, err := f.overUDP(ctx, server, query)
	if err == nil && answer.Truncated {
		answer, err = overTCP(ctx, server, query)
	}
	return answer, err
}

func (f *Forwarder) overUDP(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	s, err := f.take(ctx, server)
	if err != nil {
		return nil, err
	}
	answer, err := converse(ctx, s.Conn, query)
	f.put(server, s, err)
	return answer, err
}

func overTCP(ctx context.Context, server string, query *dns.Msg) (*dns.Msg, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return converse(ctx, &dns.Conn{Conn: conn}, query)
}

// converse sends the query, over UDP again when nothing comes, and waits for
// its answer, past what is none.
func converse(ctx context.Context, conn *dns.Conn, query *dns.Msg) (*dns.Msg, error) {
	started := time.Now()
	deadline, _ := ctx.Deadline()
	conn.UDPSize = dns.MaxMsgSize
	if opt := query.IsEdns0(); opt != nil {
		conn.UDPSize = max(dns.MinMsgSize, opt.UDPSize())
	}
	if isUDP(conn) {
		for _, after := range [...]time.Duration{secondSend, thirdSend} {
			again := started.Add(after)
			if !again.Before(deadline) {
				break
			}
			if answer, err := try(conn, query, again); !errors.Is(err, os.ErrDeadlineExceeded) {
				return answer, err
			}
		}
	}
	return try(conn, query, deadline)
}

// try sends the query once, and waits for its answer until the deadline.
func try(conn *dns.Conn, query *dns.Msg, deadline time.Time) (*dns.Msg, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if err := conn.WriteMsg(query); err != nil {
		return nil, err
	}
	for {
		answer, err := conn.ReadMsg()
		switch {
		case err == nil && answers(answer, query):
			return answer, nil
		case err == nil || answer != nil && isUDP(conn):
			// Stale, forged or garbled: the real one may come yet.
		default:
			return nil, err
		}
	}
}

func isUDP(conn *dns.Conn) bool {
	_, ok := conn.Conn.(*net.UDPConn)
	return ok
}

// answers reports whether the message is a response to the query.
func answers(answer, query *dns.Msg) bool {
	if answer.Id != query.Id || !answer.Response || len(answer.Question) != 1 {
		return false
	}
	a, q := answer.Question[0], query.Question[0]
	return a.Qtype == q.Qtype && a.Qclass == q.Qclass && sameName(a.Name, q.Name)
}

func (f *Forwarder) take(ctx context.Context, server string) (*socket, error) {
	f.mu.Lock()
	if waiting := f.idle[server]; len(waiting) > 0 {
		s := waiting[len(waiting)-1]
		f.idle[server] = waiting[:len(waiting)-1]
		f.mu.Unlock()
		return s, nil
	}
	f.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	return &socket{Conn: &dns.Conn{Conn: conn}}, nil
}

// put keeps the socket for the next query unless it failed or was used enough.
func (f *Forwarder) put(server string, s *socket, err error) {
	s.uses++
	f.mu.Lock()
	keep := err == nil && s.uses < socketUses && len(f.idle[server]) < maxIdleSockets
	if keep {
		if f.idle == nil {
			f.idle = map[string][]*socket{}
		}
		f.idle[server] = append(f.idle[server], s)
	}
	f.mu.Unlock()
	if !keep {
		s.Close()
	}
}

// Close closes the sockets that wait for queries. The Forwarder stays usable.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, waiting := range f.idle {
		for _, s := range waiting {
			s.Close()
		}
	}
	f.idle = nil
	return nil
}
