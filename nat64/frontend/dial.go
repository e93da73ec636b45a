package frontend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// ends are both ends of a connection to a backend. Ours alone may be that of
// several connections.
type ends struct{ local, remote netip.AddrPort }

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
// client is. A backend is blamed for what it or the way to it does, not for
// what this machine is short of.
func (f *Frontend) dial(ctx context.Context, s *site, kind kind, c client) (*upstream, error) {
	config := &f.routes.Load().config
	d := net.Dialer{Timeout: config.Limits.Connect}
	if s.Proxy == SourceAddress && c.remote.Addr().Is4() {
		source, err := config.SourcePrefix.Synthesize(c.remote.Addr())
		if err != nil {
			return nil, fmt.Errorf("no source address for %v: %w", c.remote.Addr(), err)
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		d.Control = freebind
	}
	var errs []error
	for _, b := range s.candidates(time.Now()) {
		u, err := f.dialBackend(ctx, &d, s, b, kind, c)
		if err == nil {
			return u, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break // the client is gone: it is not the backend's fault
		}
		if !isOurs(err) {
			b.refused(time.Now())
		}
	}
	f.counters.noBackend.Add(1)
	return nil, fmt.Errorf("no backend of %s: %w", s.Names[0], errors.Join(errs...))
}

// isOurs reports whether an error says nothing about the backend: there was no
// descriptor, port, memory or permission to connect with.
func isOurs(err error) bool {
	for _, ours := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EPERM,
	} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

func (f *Frontend) dialBackend(ctx context.Context, d *net.Dialer, s *site, b *backend, kind kind, c client) (*upstream, error) {
	b.active.Add(1) // before it is connected, so that others see it
	conn, err := d.DialContext(ctx, "tcp6", netip.AddrPortFrom(b.addr, s.port(kind)).String())
	if err != nil {
		b.active.Add(-1)
		return nil, err
	}
	way := ends{addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())}
	f.outgoing.Store(way, nil)
	u := &upstream{TCPConn: conn.(*net.TCPConn), closed: func() {
		f.outgoing.Delete(way)
		b.active.Add(-1)
	}}
	if s.Proxy == ProxyV2 {
		if err := tell(u, c, d.Timeout); err != nil {
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
