package zonesign

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// Serve answers from the zone on an address, over UDP and TCP, until ctx ends.
// ready is told the address.
func Serve(ctx context.Context, address string, z *zone.Zone, log *slog.Logger, ready func(address string)) error {
	s := server.Server{Logger: log}
	s.Set(z)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	// With port 0 the system chose one, which UDP is to have too.
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		_ = tcp.Close()
		return fmt.Errorf("serve: %w", err)
	}
	ready(tcp.Addr().String())
	return s.Serve(ctx, udp, tcp)
}
