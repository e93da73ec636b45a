package tour

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
	"github.com/berryrack/berryrack/poe/snmp"
)

// community is known to everybody; the simulated switch listens on loopback.
const community = "simulated"

// cyclePower power cycles a device on a simulated switch, over real SNMP.
func cyclePower(ctx context.Context, t *Tour) (result, error) {
	sw := poetest.New(poetest.Config{Ports: 8, Detect: 200 * time.Millisecond, Linger: 100 * time.Millisecond, Boot: 600 * time.Millisecond, Inrush: 300 * time.Millisecond})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return result{}, err
	}
	end := background(ctx, func(ctx context.Context) error { return sw.Serve(ctx, conn, community) })
	defer end()
	pse, err := snmp.Dial(ctx, snmp.Config{Address: conn.LocalAddr().String(), Version: snmp.V2c, Community: community})
	if err != nil {
		return result{}, err
	}
	defer pse.Close()
	journal, err := poe.OpenJournal(filepath.Join(t.scratch, "sw1.json"))
	if err != nil {
		return result{}, err
	}
	defer journal.Close()
	watched := watchPower(ctx, sw)

	pi3, uplink := poe.PortID{Group: 1, Port: 3}, poe.PortID{Group: 1, Port: 24}
	allowed := map[poe.PortID]poe.Port{pi3: {Name: "pi3", Up: sw.Up(pi3)}}
	// shown:
	sw1 := poe.Controller{PSE: pse, Guard: poe.Guard{Ports: allowed}, Journal: journal, Hold: time.Second / 2, Poll: 50 * time.Millisecond}
	report, err := sw1.Cycle(ctx, pi3)
	_, refused := sw1.Cycle(ctx, uplink)
	// until here
	if err != nil {
		return result{}, err
	}
	if !errors.Is(refused, poe.ErrNotListed) {
		return result{}, fmt.Errorf("the uplink was not refused: %v", refused)
	}
	return result{
		facts:   []string{report.String(), "the uplink is safe: " + refused.Error()},
		picture: chart(watched(), "s", "W"),
		caption: "What the switch's eight ports draw, over time: pi3 goes dark, draws more while it starts, and is back.",
	}, nil
}

// watchPower looks at the switch's watts until the returned function is
// called, which returns what was seen.
func watchPower(ctx context.Context, pse poe.PSE) (stop func() []point) {
	var seen []point
	began := time.Now()
	end := background(ctx, func(ctx context.Context) error {
		for now, err := range poe.Watch(ctx, pse, 20*time.Millisecond) {
			if err == nil {
				seen = append(seen, point{now.Time.Sub(began).Seconds(), now.Watts()})
			}
		}
		return nil
	})
	return func() []point {
		end()
		return seen
	}
}
