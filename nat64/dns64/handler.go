package dns64

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/miekg/dns"
)

const (
	defaultTimeout     = 5 * time.Second
	defaultConcurrency = 1024
	defaultRate        = 1000
	defaultUDPSize     = 1232 // the DNS flag day's, below any path's fragmentation
)

// An Upstream answers queries: a recursive resolver. It must be safe for
// concurrent use, must not change the query, and hands over what it returns.
type Upstream interface {
	Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error)
}

// A Client is a group of clients with prefixes of their own.
type Client struct {
	// Networks is where they are.
	Networks []netip.Prefix
	// Table replaces the handler's. Nil: nothing is synthesized for them.
	Table *nat64.Table
}

// A Handler answers DNS queries with synthesis (RFC 6147). Its fields must not
// change once it is in use; [Handler.UseTable] is for prefixes that do.
type Handler struct {
	// Upstream is asked for everything. It must be set.
	Upstream Upstream
	// Table says which prefix carries which IPv4 addresses, and which none does.
	// Nil: nothing is synthesized. Private addresses, and those of loopback and link-local networks,
	// are carried as all others unless the table excludes them or its prefix is the Well-Known one.
	Table *nat64.Table
	// Clients have tables of their own: the first entry that holds the client decides.
	Clients []Client
	// Exclude are AAAA records that are as good as none (section 5.1.4).
	// Nil: ::ffff:0:0/96. Empty: none.
	Exclude []netip.Prefix
	// OptOut are names that nothing is synthesized for, nor below them.
	OptOut []string
	// Allow is who may ask. Nil: this machine's loopback addresses only. Others are refused.
	Allow []netip.Prefix
	// Rate is how many queries a second an IPv4 address or an IPv6 /64 may ask, with as many in
	// a burst: beyond it, UDP gets truncated answers and TCP is refused. 0: 1000. Negative: no limit.
	Rate int
	// Concurrency is how many queries are answered at once: others fail with SERVFAIL. 0: 1024.
	Concurrency int
	// UDPSize is the longest answer over UDP, in octets, whatever the client offers. 0: 1232.
	UDPSize int
	// Timeout is what each query upstream may take. 0: 5 s.
	Timeout time.Duration
	// Logger tells what fails upstream. Nil: silent.
	Logger *slog.Logger

	once     sync.Once
	replaced atomic.Pointer[nat64.Table] // Table, once UseTable was called
	slots    chan struct{}
	limiter  limiter
	counters counters
}

func (h *Handler) setUp() {
	h.slots = make(chan struct{}, cmp.Or(h.Concurrency, defaultConcurrency))
	h.limiter.rate = float64(cmp.Or(h.Rate, defaultRate))
}

// ServeDNS answers one query.
func (h *Handler) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	h.once.Do(h.setUp)
	h.counters.queries.Add(1)
	client, udp := origin(w)
	answer := h.answer(client, udp, query)
	if answer == nil {
		return
	}
	h.finish(answer, query, udp)
	if err := w.WriteMsg(answer); err != nil {
		h.log("answer not sent", "client", client, "error", err)
	}
}

// origin returns the client's address, and whether it asks over UDP.
func origin(w dns.ResponseWriter) (client netip.Addr, udp bool) {
	remote := w.RemoteAddr()
	if remote == nil {
		return netip.Addr{}, false
	}
	ap, _ := netip.ParseAddrPort(remote.String())
	return ap.Addr().Unmap().WithZone(""), remote.Network() == "udp"
}

// answer returns the response to query, without what finish adds, and nil for
// what must not be answered.
func (h *Handler) answer(client netip.Addr, udp bool, query *dns.Msg) *dns.Msg {
	switch {
	case query.Response:
		return nil // or two servers would answer each other
	case !h.allows(client):
		h.counters.refused.Add(1)
		return failure(query, dns.RcodeRefused)
	case !h.limiter.take(client, time.Now()):
		h.counters.limited.Add(1)
		if !udp {
			return failure(query, dns.RcodeRefused)
		}
		answer := new(dns.Msg).SetReply(query)
		answer.Truncated = true // whoever owns the address can come back over TCP
		return answer
	case query.Opcode != dns.OpcodeQuery:
		return failure(query, dns.RcodeNotImplemented)
	case len(query.Question) != 1:
		return failure(query, dns.RcodeFormatError)
	}
	if opt := query.IsEdns0(); opt != nil && opt.Version() != 0 {
		return failure(query, dns.RcodeBadVers)
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.counters.limited.Add(1)
		return failure(query, dns.RcodeServerFailure)
	}
	return h.resolve(client, query)
}

func (h *Handler) allows(client netip.Addr) bool {
	if h.Allow == nil {
		return client.IsLoopback()
	}
	return slices.ContainsFunc(h.Allow, func(p netip.Prefix) bool { return p.Contains(client) })
}

// resolve answers a question that may be asked.
func (h *Handler) resolve(client netip.Addr, query *dns.Msg) *dns.Msg {
	e := exchange{h: h, query: query, question: query.Question[0], table: h.tableFor(client)}
	if opt := query.IsEdns0(); opt != nil {
		e.do = opt.Do()
	}
	switch q := e.question; {
	case q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR:
		return failure(query, dns.RcodeRefused)
	case q.Qclass != dns.ClassINET || e.table == nil:
		return e.forward()
	case isIPv4Only(q.Name) && q.Qtype != dns.TypeDS: // the parent's, which is signed
		return e.ipv4Only()
	case e.do && query.CheckingDisabled:
		return e.forward()
	case q.Qtype == dns.TypeAAAA && !h.optsOut(q.Name):
		return e.aaaa()
	case q.Qtype == dns.TypePTR:
		return e.ptr()
	}
	return e.forward()
}

// UseTable replaces Table for the queries that come from now on: the network's
// prefix may change. Nil is back to Table. It is safe at any time.
func (h *Handler) UseTable(table *nat64.Table) { h.replaced.Store(table) }

func (h *Handler) tableFor(client netip.Addr) *nat64.Table {
	for _, c := range h.Clients {
		if slices.ContainsFunc(c.Networks, func(p netip.Prefix) bool { return p.Contains(client) }) {
			return c.Table
		}
	}
	return cmp.Or(h.replaced.Load(), h.Table)
}

func (h *Handler) optsOut(name string) bool {
	return slices.ContainsFunc(h.OptOut, func(parent string) bool {
		return dns.IsSubDomain(dns.Fqdn(parent), name)
	})
}

// finish makes answer one for query: its identity, its EDNS, and its size.
func (h *Handler) finish(answer, query *dns.Msg, udp bool) {
	answer.Id, answer.Response, answer.Opcode = query.Id, true, query.Opcode
	answer.Question = query.Question
	answer.RecursionDesired, answer.CheckingDisabled = query.RecursionDesired, query.CheckingDisabled
	answer.AuthenticatedData = false // nothing was validated here (section 5.5)
	answer.Compress = true
	answer.Extra = slices.DeleteFunc(answer.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	size := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		answer.SetEdns0(uint16(h.udpSize()), opt.Do())
	} else {
		answer.Rcode &= 0xf // no room for an extended one
	}
	if udp {
		answer.Truncate(min(size, max(dns.MinMsgSize, h.udpSize())))
	} else {
		answer.Truncate(dns.MaxMsgSize)
	}
}

func (h *Handler) udpSize() int { return min(cmp.Or(h.UDPSize, defaultUDPSize), dns.MaxMsgSize) }

func failure(query *dns.Msg, rcode int) *dns.Msg {
	return new(dns.Msg).SetRcode(query, rcode)
}

func (h *Handler) log(message string, args ...any) {
	if h.Logger != nil {
		h.Logger.Warn(message, args...)
	}
}

func sameName(a, b string) bool { return strings.EqualFold(a, b) }
