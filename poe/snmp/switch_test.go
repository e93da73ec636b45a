package snmp_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
	"github.com/berryrack/berryrack/poe/snmp"
)

var (
	port1  = poe.PortID{Group: 1, Port: 1}
	port2  = poe.PortID{Group: 1, Port: 2}
	port48 = poe.PortID{Group: 1, Port: 48}
)

// serve makes the simulated switch an agent, and returns its address.
func serve(t testing.TB, sw *poetest.Switch) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- sw.Serve(t.Context(), conn, "secret") }()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	return conn.LocalAddr().String()
}

// dial speaks to the simulated switch.
func dial(t testing.TB, sw *poetest.Switch) *snmp.Switch {
	t.Helper()
	client, err := snmp.Dial(t.Context(), snmp.Config{Address: serve(t, sw), Version: snmp.V2c, Community: "secret", Timeout: 300 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestConform(t *testing.T) {
	for _, vendor := range []poetest.Vendor{
		poetest.Standard, poetest.CiscoIOS, poetest.CiscoSB, poetest.HP, poetest.HPOlder, poetest.ArubaCX, poetest.Netgear, poetest.Extreme,
	} {
		t.Run(fmt.Sprintf("vendor %q", vendor), func(t *testing.T) {
			sw := poetest.New(poetest.Config{Groups: 2, Ports: 24, Vendor: vendor, Detect: 5 * time.Millisecond, Linger: 5 * time.Millisecond})
			client := dial(t, sw)
			subject := poetest.Subject{PSE: client, Port: port2, Other: poe.PortID{Group: 2, Port: 24}}
			require.NoError(t, poetest.Conform(t.Context(), subject))
		})
	}
}

func TestStatusSeesWhatTheSwitchHas(t *testing.T) {
	for vendor, name := range map[poetest.Vendor]string{
		poetest.CiscoIOS: "Cisco IOS", poetest.CiscoSB: "Cisco Small Business", poetest.HP: "HP", poetest.HPOlder: "HP", poetest.ArubaCX: "Aruba CX",
		poetest.Netgear: "Netgear", poetest.Extreme: "Extreme", poetest.MikroTik: "MikroTik", poetest.Standard: "unknown",
	} {
		t.Run(name, func(t *testing.T) {
			sw := poetest.New(poetest.Config{Ports: 48, Vendor: vendor})
			sw.Attach(port2, nil)
			client := dial(t, sw)
			require.Equal(t, name, client.Vendor())
			wanted, err := sw.Status(t.Context())
			require.NoError(t, err)
			for i := range wanted {
				switch vendor {
				case poetest.Standard:
					wanted[i].Metered, wanted[i].Watts = false, 0
				case poetest.MikroTik:
					wanted[i].Class = 0
				}
			}
			got, err := client.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, wanted, got)
			some, err := client.Status(t.Context(), port48, port2)
			require.NoError(t, err)
			require.Equal(t, []poe.Status{wanted[47], wanted[1]}, some)
		})
	}
}

// TestRoundTrips counts what the agent gets. It sends no answer longer than
// 1,472 bytes, as agents do that avoid fragments.
func TestRoundTrips(t *testing.T) {
	for _, vendor := range []poetest.Vendor{poetest.Standard, poetest.CiscoIOS, poetest.CiscoSB, poetest.HP, poetest.ArubaCX, poetest.Netgear, poetest.Extreme, poetest.MikroTik} {
		sw := poetest.New(poetest.Config{Ports: 48, Vendor: vendor})
		client := dial(t, sw)
		dialled := sw.Requests()
		require.LessOrEqual(t, dialled, 2)
		ports, err := client.Status(t.Context())
		require.NoError(t, err)
		require.Len(t, ports, 48)
		require.LessOrEqual(t, sw.Requests()-dialled, 4, "vendor %q", vendor)
		t.Logf("vendor %q: %d round trips", vendor, sw.Requests()-dialled)
	}
}

func TestMikroTikIsReadOnly(t *testing.T) {
	sw := poetest.New(poetest.Config{Ports: 4, Vendor: poetest.MikroTik})
	client := dial(t, sw)
	err := client.Set(t.Context(), port1, poe.AdminDisabled)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, err, poe.ErrRefused)
	_, err = client.Supplies(t.Context())
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func conform(t *testing.T, sw poe.PSE) error {
	return poetest.Conform(t.Context(), poetest.Subject{PSE: sw, Port: port2, Other: port48})
}
