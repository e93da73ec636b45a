package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	// maxUDP is the longest answer over UDP, which goes through anywhere without
	// fragments.
	maxUDP = 1232
	// maxTCP is how many TCP connections there are at a time.
	maxTCP = 128
	// maxMAC is the longest MAC of a TSIG record, which is made last: SHA-512's.
	maxMAC = 64
	// idleTime is how long a TCP connection may wait for its next query, and
	// writeTime how long a client may take to read an answer (RFC 7766 section 6.2.3).
	idleTime  = 8 * time.Second
	writeTime = 10 * time.Second
	// drainTime is how long queries under way have when ctx ends.
	drainTime = 3 * time.Second
)

// Server answers from zones. Its zero value has none, and refuses. Its fields are
// set before it serves; its methods may be called at any time.
type Server struct {
	// TransferFrom is the addresses, and TransferKeys the names of TSIG keys, that
	// may transfer zones. Both must fit; none of either is nobody.
	TransferFrom []netip.Prefix
	TransferKeys []string
	// TSIG is secrets in base64 by the name of their key.
	TSIG map[string]string
	// Permit, when set, decides in the place of TransferFrom and TransferKeys who may
	// transfer a zone: a client whose query is signed with one of the keys of TSIG.
	Permit func(origin wire.Name, client netip.Addr, key string) bool
	// Update, when set, carries out dynamic updates (RFC 2136) that are signed with one
	// of the keys of TSIG, and returns the response code. Nil takes none.
	Update func(origin wire.Name, key string, message *dns.Msg) int
	// Notified, when set, is told when a zone's primary says that it has changed (RFC
	// 1996): key is "" when the message is not signed. It reports whether the client may say so.
	Notified func(origin wire.Name, client netip.AddrPort, key string) bool
	// Logger is told of transfers and failures. Nil is silent.
	Logger *slog.Logger

	setting  sync.Mutex // held while a zone is set, which may take long
	mutex    sync.RWMutex
	zones    map[wire.Name]*zone.Zone
	journals map[wire.Name]journal
	// listening is the addresses that are served on, but for those that stand for all.
	listening []netip.Addr
}

// Set adds a zone, or puts it in the place of the zone of the same origin. When
// its serial is a later one, and somebody may transfer zones, the difference
// between them is kept for incremental transfers.
func (s *Server) Set(z *zone.Zone) {
	s.setting.Lock()
	defer s.setting.Unlock()
	extended := s.extended(z)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.journals == nil {
		s.journals = map[wire.Name]journal{}
	}
	s.journals[z.Origin] = extended
	s.zones = maps.Clone(s.zones)
	if s.zones == nil {
		s.zones = map[wire.Name]*zone.Zone{}
	}
	s.zones[z.Origin] = z
}

// Remove takes away a zone.
func (s *Server) Remove(origin wire.Name) {
	s.setting.Lock()
	defer s.setting.Unlock()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.zones, origin)
	delete(s.journals, origin)
}

// find returns the zone that a name is in: for DS records at a zone's origin the
// zone above it, if that is here too (RFC 4035 section 3.1.4.1).
func (s *Server) find(name wire.Name, t wire.Type) *zone.Zone {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	var below *zone.Zone
	for at := name; at != ""; at = at.Parent() {
		z := s.zones[at]
		switch {
		case z == nil:
		case at == name && t == wire.Type(dns.TypeDS):
			below = z
		default:
			return z
		}
	}
	return below
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// Serve answers on both until ctx ends; then it finishes what is under way and
// returns nil. It closes both.
func (s *Server) Serve(ctx context.Context, udp net.PacketConn, tcp net.Listener) error {
	defer s.listen(udp.LocalAddr())()
	secrets := map[string]string{}
	for name, secret := range s.TSIG {
		secrets[dns.CanonicalName(name)] = secret
	}
	open, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	listener := &limitedListener{Listener: tcp, slots: make(chan struct{}, maxTCP), open: open, closed: make(chan struct{})}
	servers := []*dns.Server{
		{PacketConn: udp, Handler: s, TsigSecret: secrets, UDPSize: dns.DefaultMsgSize, MsgAcceptFunc: s.accept},
		{Listener: listener, Handler: s, TsigSecret: secrets, IdleTimeout: func() time.Duration { return idleTime }, MsgAcceptFunc: s.accept},
	}
	failed := make(chan error, len(servers))
	var started sync.WaitGroup
	for _, one := range servers {
		started.Add(1)
		one.NotifyStartedFunc = sync.OnceFunc(started.Done)
		go func() {
			err := one.ActivateAndServe()
			one.NotifyStartedFunc() // it may have failed before
			failed <- err
		}()
	}
	started.Wait()
	var errs []error
	left := len(servers)
	select {
	case <-ctx.Done():
	case err := <-failed:
		left--
		errs = append(errs, err)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	for _, one := range servers {
		_ = one.ShutdownContext(drain) // says so when it is not running, or connections are left
	}
	cut()
	for range left {
		errs = append(errs, <-failed)
	}
	_, _ = udp.Close(), tcp.Close() // closed already but after a failure
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// listen notes that an address is served on, until the function that it returns is
// called.
func (s *Server) listen(address net.Addr) (end func()) {
	local, err := netip.ParseAddrPort(address.String())
	if err != nil || local.Addr().IsUnspecified() {
		return func() {}
	}
	from := local.Addr().Unmap()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.listening = append(s.listening, from)
	return func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		i := slices.Index(s.listening, from)
		s.listening = slices.Delete(s.listening, i, i+1)
	}
}

// limitedListener has no more than so many connections open at a time, and cuts
// them once open ends.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	open   context.Context
	once   sync.Once
	closed chan struct{}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	stop := context.AfterFunc(l.open, func() { _ = conn.Close() }) // its handler then closes it too
	return &limitedConn{Conn: conn, free: sync.OnceFunc(func() { stop(); <-l.slots })}, nil
}

func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitedConn gives its slot back when it is closed, as it is for a client that
// does not read.
type limitedConn struct {
	net.Conn
	free func()
}

func (c *limitedConn) Write(message []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(message)
	if err != nil {
		_ = c.Close() // an answer cut short leaves nothing to go on with
	}
	return n, err
}

func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// ServeDNS answers one message.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	if query.Response {
		return
	}
	if query.IsTsig() != nil && w.TsigStatus() != nil {
		s.logger().Warn("TSIG refused", "client", w.RemoteAddr(), "reason", w.TsigStatus())
		s.write(w, query, refusal(query, dns.RcodeNotAuth)) // RFC 8945 section 5.2
		return
	}
	if s.change(w, query) {
		return
	}
	question, rcode := check(query)
	if rcode != dns.RcodeSuccess {
		s.write(w, query, refusal(query, rcode))
		return
	}
	z := s.find(question.name, question.qtype)
	switch {
	case z == nil:
		s.write(w, query, refusal(query, dns.RcodeRefused))
	case question.qtype == wire.Type(dns.TypeAXFR), question.qtype == wire.Type(dns.TypeIXFR):
		s.transfer(w, query, z, question)
	default:
		s.write(w, query, respond(z, query, question))
	}
}

// question is what a query asks for.
type question struct {
	name   wire.Name
	qtype  wire.Type
	dnssec bool
}

// check returns the question of a query, or why there is no answer to it.
func check(query *dns.Msg) (question, int) {
	if query.Opcode != dns.OpcodeQuery {
		return question{}, dns.RcodeNotImplemented
	}
	return checkQuestion(query)
}

func checkQuestion(query *dns.Msg) (question, int) {
	if len(query.Question) != 1 {
		return question{}, dns.RcodeFormatError
	}
	q := query.Question[0]
	name, err := wire.ParseName(q.Name)
	if err != nil {
		return question{}, dns.RcodeFormatError
	}
	if q.Qclass != dns.ClassINET {
		return question{}, dns.RcodeRefused
	}
	asked := question{name: name, qtype: wire.Type(q.Qtype)}
	if opt := query.IsEdns0(); opt != nil {
		if opt.Version() != 0 {
			return question{}, dns.RcodeBadVers
		}
		asked.dnssec = opt.Do()
	}
	return asked, dns.RcodeSuccess
}

func refusal(query *dns.Msg, rcode int) *dns.Msg {
	m := new(dns.Msg)
	m.SetRcode(query, rcode)
	return m
}

// write adds EDNS, truncates what is too long, and sends.
func (s *Server) write(w dns.ResponseWriter, query, m *dns.Msg) {
	size := dns.MaxMsgSize
	_, overUDP := w.RemoteAddr().(*net.UDPAddr)
	if overUDP {
		size = dns.MinMsgSize
	}
	if opt := query.IsEdns0(); opt != nil {
		if overUDP {
			size = max(size, min(int(opt.UDPSize()), maxUDP))
		}
		m.SetEdns0(maxUDP, opt.Do())
	}
	if tsig := query.IsTsig(); tsig != nil {
		m.Extra = append(m.Extra, answerTSIG(tsig, w.TsigStatus()))
		size -= maxMAC
	}
	m.Compress = true
	if m.Len() > size {
		m.Truncated = true
		m.Answer, m.Ns = nil, nil
		m.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool {
			return rr.Header().Rrtype != dns.TypeOPT && rr.Header().Rrtype != dns.TypeTSIG
		})
	}
	if err := w.WriteMsg(m); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		s.logger().Warn("answer not sent", "client", w.RemoteAddr(), "error", err)
	}
}

// answerTSIG returns the TSIG record of an answer, which package dns signs unless
// the error is one of key or MAC (RFC 8945 section 5.3.2).
func answerTSIG(query *dns.TSIG, status error) *dns.TSIG {
	now := time.Now().Unix()
	m := new(dns.Msg).SetTsig(query.Hdr.Name, query.Algorithm, query.Fudge, now)
	t := m.IsTsig()
	t.OrigId = query.OrigId
	switch {
	case status == nil:
	case errors.Is(status, dns.ErrTime):
		// With the query's time and, in other data, this server's (RFC 8945 section 5.2.3).
		t.Error, t.TimeSigned = dns.RcodeBadTime, query.TimeSigned
		t.OtherLen, t.OtherData = 6, fmt.Sprintf("%012x", now)
	case errors.Is(status, dns.ErrSig):
		t.Error = dns.RcodeBadSig
	default:
		t.Error = dns.RcodeBadKey
	}
	return t
}
