package tour

import (
	"context"
	"net"

	"github.com/berryrack/berryrack/acme/embedded"
)

// listenAttempts bounds the search for a port that is free for both.
const listenAttempts = 20

// listen returns sockets on loopback, UDP and TCP with one port.
func listen(ctx context.Context) (udp net.PacketConn, tcp net.Listener, err error) {
	for range listenAttempts {
		if udp, tcp, err = embedded.Listen(ctx, "127.0.0.1:0"); err == nil {
			break
		}
	}
	return udp, tcp, err
}
