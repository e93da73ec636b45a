package frontend

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// TLS alerts that tell a client why (RFC 8446, section 6).
const (
	alertUnrecognizedName = 112
	alertInternalError    = 80
)

// serveTLS serves one client: reads its ClientHello, connects to the site's
// backend, and lets others relay. The last of them calls done.
func (f *Frontend) serveTLS(ctx context.Context, conn *net.TCPConn, done func()) {
	c := client{addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())}
	buf := f.buffers.Get().(*[]byte)
	u, err := f.route(ctx, conn, c, buf)
	f.buffers.Put(buf)
	if err != nil {
		f.debug("TLS client", "client", c.remote, "error", err)
		conn.Close()
		done()
		return
	}
	f.relay(&pair{client: conn, backend: u, done: done})
}

// route reads the ClientHello and returns a connection to the site's backend,
// which has got it.
func (f *Frontend) route(ctx context.Context, conn *net.TCPConn, c client, buf *[]byte) (*upstream, error) {
	r := f.routes.Load()
	limits := r.config.Limits
	if err := conn.SetDeadline(time.Now().Add(limits.Hello)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	hello, name, err := readClientHello(conn, *buf, limits.HelloSize)
	if cap(hello) > cap(*buf) {
		*buf = hello[:0]
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.counters.slow.Add(1)
		return nil, err
	case err != nil:
		f.counters.junk.Add(1)
		return nil, err
	case f.isOwn(c): // by now we know all connections that we have said hello on
		f.counters.loops.Add(1)
		return nil, errLoop
	}
	s := r.lookup(name)
	if s == nil {
		f.counters.noSite.Add(1)
		alert(conn, alertUnrecognizedName)
		return nil, errors.New("no site for " + name)
	}
	u, err := f.dial(ctx, s, kindTLS, c)
	if err != nil {
		alert(conn, alertInternalError)
		f.warn("TLS client", "name", name, "error", err)
		return nil, err
	}
	if err := conn.SetDeadline(time.Time{}); err == nil && stop() {
		if _, err = u.Write(hello); err == nil {
			return u, nil
		}
	}
	u.Close()
	return nil, errors.New("backend takes no ClientHello, or the frontend ends")
}

// alert tells the client before it is closed. It need not get it.
func alert(conn net.Conn, description byte) {
	_, _ = conn.Write([]byte{21, 3, 1, 0, 2, 2, description})
}
