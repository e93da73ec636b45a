package certd

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"

	"github.com/berryrack/berryrack/acme/embedded"
	"github.com/berryrack/berryrack/acme/manager"
)

// sockets are where the embedded responder listens. They stay open while one
// configuration is replaced by another with the same address. A nil one is none.
type sockets struct {
	address string
	packets net.PacketConn
	streams net.Listener
}

func (h *sockets) close() {
	if h != nil {
		h.packets.Close()
		h.streams.Close()
	}
}

// copies returns descriptors of their own for the sockets: a responder closes
// those that it is given.
func (h *sockets) copies() (net.PacketConn, net.Listener, error) {
	p, err := fileOf(h.packets)
	if err != nil {
		return nil, nil, err
	}
	defer p.Close()
	s, err := fileOf(h.streams)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	packets, err := net.FilePacketConn(p)
	if err != nil {
		return nil, nil, err
	}
	streams, err := net.FileListener(s)
	if err != nil {
		packets.Close()
	}
	return packets, streams, err
}

func fileOf(socket any) (*os.File, error) {
	s, ok := socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.File()
}

// open opens the sockets that the embedded responder needs for certificates,
// nil when it needs none, or returns those that it has.
func (s *site) open(ctx context.Context, certificates []manager.Certificate, have *sockets) (*sockets, error) {
	byDNS := func(c manager.Certificate) bool { return c.HTTP01 == nil }
	if s.embedded == nil || !slices.ContainsFunc(certificates, byDNS) {
		return nil, nil
	}
	if have != nil && have.address == s.embedded.Listen {
		return have, nil
	}
	packets, streams, err := embedded.Listen(ctx, s.embedded.Listen)
	if err != nil {
		return nil, err
	}
	return &sockets{s.embedded.Listen, packets, streams}, nil
}

// answer has the embedded responder, if that is the provider, answer for
// certificates at sockets, until stop is called; failed hears when it cannot go on.
func (s *site) answer(ctx context.Context, m *manager.Manager, certificates []manager.Certificate, at *sockets, failed func(error)) (stop func(), err error) {
	if s.embedded == nil {
		return func() {}, nil
	}
	e := s.embedded
	responder := &embedded.Responder{Zones: e.zones(certificates), Nameserver: e.Nameserver, Addresses: e.Addresses}
	m.Solver.Provider = responder
	if at == nil {
		return func() {}, nil
	}
	packets, streams, err := at.copies()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := responder.Serve(ctx, packets, streams); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// respond opens the sockets as well.
func (s *site) respond(ctx context.Context, m *manager.Manager, certificates []manager.Certificate, failed func(error)) (stop func(), err error) {
	at, err := s.open(ctx, certificates, nil)
	if err != nil {
		return nil, err
	}
	end, err := s.answer(ctx, m, certificates, at, failed)
	if err != nil {
		at.close()
		return nil, err
	}
	return func() { end(); at.close() }, nil
}
