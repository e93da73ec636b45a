package frontend

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// backoff is how long accepting rests when descriptors are short.
const backoff = 50 * time.Millisecond

// acceptTLS serves the listener's clients until ctx ends.
func (f *Frontend) acceptTLS(ctx, work context.Context, l net.Listener, clients *sync.WaitGroup) error {
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return context.Cause(ctx)
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			f.warn("accept", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(backoff):
			}
			continue
		}
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			conn.Close()
			return errors.New("a listener for TLS that does not accept *net.TCPConn")
		}
		release, ok := f.admit(conn)
		if !ok {
			conn.Close()
			continue
		}
		clients.Add(1)
		go f.serveTLS(work, tcp, func() {
			release()
			clients.Done()
		})
	}
}

// admit counts a client in, unless there are too many.
func (f *Frontend) admit(conn net.Conn) (release func(), ok bool) {
	f.counters.accepted.Add(1)
	limits := f.routes.Load().config.Limits
	who := network64(addrPort(conn.RemoteAddr()).Addr())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counters.active.Load() >= int64(limits.Connections) || f.clients[who] >= limits.PerClient {
		f.counters.limited.Add(1)
		return nil, false
	}
	f.counters.active.Add(1)
	f.clients[who]++
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.counters.active.Add(-1)
		if f.clients[who]--; f.clients[who] == 0 {
			delete(f.clients, who)
		}
	}, true
}

// network64 returns what counts as one client: an IPv4 address or an IPv6 /64.
func network64(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	return netip.PrefixFrom(a, 64).Masked().Addr()
}

// An admission is a listener that closes the clients that are too many.
type admission struct {
	net.Listener
	f       *Frontend
	clients *sync.WaitGroup
}

func (a *admission) Accept() (net.Conn, error) {
	for {
		conn, err := a.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if release, ok := a.f.admit(conn); ok {
			a.clients.Add(1)
			client := &admitted{Conn: conn}
			client.release = func() { a.f.forget(client); release(); a.clients.Done() }
			a.f.track(client)
			return client, nil
		}
		conn.Close()
	}
}

// An admitted connection is counted out when it is closed. The sweeper closes
// it when it is idle, in the middle of a request or of another protocol, too.
type admitted struct {
	net.Conn
	activity
	once    sync.Once
	release func()
}

func (a *admitted) Read(b []byte) (int, error) {
	n, err := a.Conn.Read(b)
	a.octets.Add(uint64(n))
	return n, err
}

func (a *admitted) Write(b []byte) (int, error) {
	n, err := a.Conn.Write(b)
	a.octets.Add(uint64(n))
	return n, err
}

func (a *admitted) Close() error {
	err := a.Conn.Close()
	a.once.Do(a.release)
	return err
}

// abort resets the connection: the client may not take what it has for all.
func (a *admitted) abort() {
	if tcp, ok := a.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed already
	}
	a.Close()
}
