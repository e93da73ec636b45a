package frontend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// A client is who is to be told to the backend.
type client struct {
	remote, local netip.AddrPort
}

// An upstream is a connection to a backend, which counts it until it is closed.
type upstream struct {
	*net.TCPConn
	once   sync.Once
	closed func()
}

func (u *upstream) Close() error {
	err := u.TCPConn.Close()
	u.once.Do(u.closed)
	return err
}

// dial connects to the site's best backend that accepts, and tells it who the
// client is.
func (f *Frontend) dial(ctx context.Context, s *site, kind kind, c client) (*upstream, error) {
	limits := f.routes.Load().config.Limits
	var errs []error
	for _, b := range s.candidates(time.Now()) {
		u, err := f.dialBackend(ctx, limits.Connect, s, b, kind, c)
		if err == nil {
			return u, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break // the client is gone: it is not the backend's fault
		}
		b.refused(time.Now())
	}
	f.counters.noBackend.Add(1)
	return nil, fmt.Errorf("no backend of %s: %w", s.Names[0], errors.Join(errs...))
}

func (f *Frontend) dialBackend(ctx context.Context, timeout time.Duration, s *site, b *backend, kind kind, c client) (*upstream, error) {
	d := net.Dialer{Timeout: timeout}
	if s.Proxy == SourceAddress && c.remote.Addr().Is4() {
		source, err := f.routes.Load().config.SourcePrefix.Synthesize(c.remote.Addr())
		if err != nil {
			return nil, err
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		d.Control = freebind
	}
	b.active.Add(1) // before it is connected, so that others see it
	conn, err := d.DialContext(ctx, "tcp6", netip.AddrPortFrom(b.addr, s.port(kind)).String())
	if err != nil {
		b.active.Add(-1)
		return nil, err
	}
	local := addrPort(conn.LocalAddr())
	f.outgoing.Store(local, nil)
	u := &upstream{TCPConn: conn.(*net.TCPConn), closed: func() {
		f.outgoing.Delete(local)
		b.active.Add(-1)
	}}
	if s.Proxy == ProxyV2 {
		if err := tell(u, c, timeout); err != nil {
			u.Close()
			return nil, err
		}
	}
	b.total.Add(1)
	return u, nil
}

// tell writes the header of the PROXY protocol, version 2. Both addresses are
// of one family: those of the connection that the client made.
func tell(conn net.Conn, c client, timeout time.Duration) error {
	header := proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(c.remote), net.TCPAddrFromAddrPort(c.local))
	octets, err := header.Format()
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write(octets); err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}

// addrPort returns the address of a socket, an IPv4-mapped one as IPv4.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
