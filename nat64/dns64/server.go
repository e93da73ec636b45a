package dns64

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/netutil"
)

const (
	tcpQueries   = 128 // over one connection
	tcpIdle      = 10 * time.Second
	tcpReadLimit = 5 * time.Second
	maxTCP       = 1024 // connections at once
)

// A Server serves a handler over UDP and TCP.
type Server struct {
	// Handler answers. It must be set.
	Handler dns.Handler
}

// ListenAndServe serves addr, such as "[::1]:53", until ctx ends, and then
// lets the queries that it has end first. It returns nil after that.
func (s *Server) ListenAndServe(ctx context.Context, addr string) error {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("dns64: %w", err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String()) // the same port, when addr has none
	if err != nil {
		tcp.Close()
		return fmt.Errorf("dns64: %w", err)
	}
	return s.Serve(ctx, udp, tcp)
}

// Serve is ListenAndServe for sockets that are open. It closes them.
func (s *Server) Serve(ctx context.Context, udp net.PacketConn, tcp net.Listener) error {
	servers := []*dns.Server{
		{PacketConn: udp, Handler: s.Handler, UDPSize: dns.MinMsgSize * 8},
		{
			Listener: netutil.LimitListener(tcp, maxTCP), Handler: s.Handler, ReadTimeout: tcpReadLimit,
			IdleTimeout: func() time.Duration { return tcpIdle }, MaxTCPQueries: tcpQueries,
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(servers))
	for _, server := range servers {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() {
			err := server.ActivateAndServe()
			cancel()
			ended <- err
		}()
		select {
		case <-started:
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
	var errs []error
	for _, server := range servers {
		// It is not there to be shut down if it failed to start.
		_ = server.Shutdown()
	}
	udp.Close()
	tcp.Close()
	for range servers {
		if err := <-ended; err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
