package server

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// pipes is a listener, and a socket that hears nothing, without a network.
type pipes struct {
	conns  chan net.Conn
	once   *sync.Once
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p pipes) ReadFrom([]byte) (int, net.Addr, error) {
	<-p.closed
	return 0, nil, net.ErrClosed
}

func (p pipes) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrClosed }
func (p pipes) Addr() net.Addr                        { return &net.TCPAddr{} }
func (p pipes) LocalAddr() net.Addr                   { return &net.UDPAddr{} }
func (p pipes) SetDeadline(time.Time) error           { return nil }
func (p pipes) SetReadDeadline(time.Time) error       { return nil }
func (p pipes) SetWriteDeadline(time.Time) error      { return nil }

func newPipes() pipes {
	return pipes{conns: make(chan net.Conn), once: new(sync.Once), closed: make(chan struct{})}
}

// query sends one, and returns the connection with its answer unread.
func (p pipes) query(t *testing.T) *dns.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.conns <- server
	conn := &dns.Conn{Conn: client}
	require.NoError(t, conn.WriteMsg(new(dns.Msg).SetQuestion("www.example.", dns.TypeA)))
	return conn
}

// Clients that do not read lose their connections to others, and do not keep the
// server from ending.
func TestSlotsComeBack(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	synctest.Test(t, func(t *testing.T) {
		var s Server
		s.Set(z)
		tcp, udp := newPipes(), newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, udp, tcp) }()
		begin := time.Now()
		for range maxTCP {
			tcp.query(t)
		}
		reply, err := tcp.query(t).ReadMsg()
		require.NoError(t, err)
		require.Len(t, reply.Answer, 2)
		require.LessOrEqual(t, time.Since(begin), writeTime)

		for range maxTCP {
			tcp.query(t)
		}
		begin = time.Now()
		cancel()
		require.NoError(t, <-done)
		require.LessOrEqual(t, time.Since(begin), 2*drainTime)
	})
}

// A connection that asks nothing more is closed.
func TestIdleConnectionsEnd(t *testing.T) {
	z, _ := signedWith(t, dnssec.NSEC, example)
	synctest.Test(t, func(t *testing.T) {
		var s Server
		s.Set(z)
		tcp, udp := newPipes(), newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, udp, tcp) }()
		conn := tcp.query(t)
		_, err := conn.ReadMsg()
		require.NoError(t, err)
		begin := time.Now()
		_, err = conn.ReadMsg()
		require.Error(t, err)
		require.Equal(t, idleTime, time.Since(begin))
		cancel()
		require.NoError(t, <-done)
	})
}
