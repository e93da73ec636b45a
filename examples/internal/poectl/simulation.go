package poectl

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

// simulatedCommunity is known to everybody; the agent listens on loopback.
const simulatedCommunity = "simulated"

// simulatedPoll is short, as everything about the simulation is.
const simulatedPoll = 50 * time.Millisecond

// simulation is a switch in this process with an SNMP agent on loopback.
type simulation struct {
	sw    *poetest.Switch
	state string
	stop  context.CancelFunc
	ended chan error
}

// Simulate returns a rack of eight computers on a simulated switch, which is
// spoken to over SNMP on loopback.
func Simulate(ctx context.Context, std cli.Streams, logger *slog.Logger) (*Rack, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp("", "poectl")
	if err != nil {
		conn.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &simulation{
		sw: poetest.New(poetest.Config{
			Ports: 8, Watts: 120, Vendor: poetest.CiscoIOS, Detect: 200 * time.Millisecond, Linger: 100 * time.Millisecond,
			Boot: time.Second, Inrush: 200 * time.Millisecond, Crowd: 6,
		}),
		state: state, stop: stop, ended: make(chan error, 1),
	}
	go func() { s.ended <- s.sw.Serve(ctx, conn, simulatedCommunity) }()
	c := &Config{
		Switches: []Switch{{Name: "sw1", Backend: "snmp", Address: conn.LocalAddr().String(), SNMP: SNMP{Version: 2}}},
		Ports:    map[string]Port{}, Cooldown: -1, Hold: 500 * time.Millisecond, Stagger: Stagger{AtOnce: 4},
	}
	for n := 1; n <= 8; n++ {
		c.Ports[fmt.Sprintf("pi%d", n)] = Port{Switch: "sw1", Port: poe.PortID{Group: 1, Port: n}, MAC: fmt.Sprintf("b8:27:eb:01:00:%02x", n)}
	}
	return &Rack{Config: c, State: state, Std: std, Logger: logger, simulation: s}, nil
}

func (s *simulation) close() {
	s.stop()
	<-s.ended
	os.RemoveAll(s.state)
}
