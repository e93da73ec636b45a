package snmp_test

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
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
	t.Parallel()
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
	_, err = client.Status(t.Context(), poe.PortID{Group: 2, Port: 1})
	require.ErrorIs(t, err, poe.ErrNoPort, "its table has no groups")
}

func conform(t *testing.T, sw poe.PSE) error {
	return poetest.Conform(t.Context(), poetest.Subject{PSE: sw, Port: port2, Other: port48})
}

func TestSetWithTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		trouble poetest.Trouble
		want    error
		after   poe.Admin
	}{
		"slower than the client": {poetest.Trouble{Slow: 400 * time.Millisecond}, nil, poe.AdminDisabled},
		"the answer is lost":     {poetest.Trouble{LoseReplies: 1}, nil, poe.AdminDisabled},
		"the SET is lost":        {poetest.Trouble{LoseSets: 1}, poe.ErrUnconfirmed, poe.AdminEnabled},
		"refused":                {poetest.Trouble{Refuse: true}, poe.ErrRefused, poe.AdminEnabled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sw := poetest.New(poetest.Config{Ports: 2})
			client := dial(t, sw)
			sw.Make(c.trouble)
			require.ErrorIs(t, client.Set(t.Context(), port1, poe.AdminDisabled), c.want)
			status, err := sw.Status(t.Context(), port1)
			require.NoError(t, err)
			require.Equal(t, c.after, status[0].Admin)
		})
	}
}

func TestCiscoModeSurvivesACycle(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "static", "limit"} {
		client := dial(t, poetest.New(poetest.Config{Ports: 2, Vendor: poetest.CiscoIOS}))
		require.NoError(t, client.SetMode(t.Context(), port1, mode))
		report, err := cycler(t, client).Cycle(t.Context(), port1)
		require.NoError(t, err)
		require.Equal(t, mode, report.Mode)
		after, err := client.Mode(t.Context(), port1)
		require.NoError(t, err)
		require.Equal(t, mode, after)
		require.ErrorIs(t, client.SetMode(t.Context(), port1, "turbo"), poe.ErrRefused)
	}
}

func TestNetgearReset(t *testing.T) {
	sw := poetest.New(poetest.Config{Ports: 2, Vendor: poetest.Netgear, Detect: 30 * time.Millisecond})
	client := dial(t, sw)
	c := cycler(t, client)
	c.Native = true
	report, err := c.Cycle(t.Context(), port1)
	require.NoError(t, err)
	require.True(t, report.Native)
	sw.Make(poetest.Trouble{LoseReplies: 1})
	require.ErrorIs(t, client.Reset(t.Context(), port1), poe.ErrUnconfirmed, "a reset leaves nothing to read")
	require.ErrorIs(t, dial(t, poetest.New(poetest.Config{Ports: 2})).Reset(t.Context(), port1), errors.ErrUnsupported)
}

func TestIPv6(t *testing.T) {
	conn, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 on loopback: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- poetest.New(poetest.Config{Ports: 2}).Serve(t.Context(), conn, "secret") }()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	client, err := snmp.Dial(t.Context(), snmp.Config{Address: conn.LocalAddr().String(), Version: snmp.V2c, Community: "secret"})
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, poetest.Conform(t.Context(), poetest.Subject{PSE: client, Port: port1, Other: port2}))
}

func TestStations(t *testing.T) {
	sw := poetest.New(poetest.Config{Ports: 3})
	stations, err := dial(t, sw).Stations(t.Context())
	require.NoError(t, err)
	want, err := sw.Stations(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, stations)

	moved, err := snmp.Dial(t.Context(), snmp.Config{Address: serve(t, sw), Version: snmp.V2c, Community: "secret", BridgePorts: map[poe.PortID]int{port1: 3, {Group: 1, Port: 3}: 1}})
	require.NoError(t, err)
	defer moved.Close()
	stations, err = moved.Stations(t.Context())
	require.NoError(t, err)
	require.Equal(t, port1, stations[2].Port, "bridge port 3 is port 1.1")
}

func TestExplain(t *testing.T) {
	client := dial(t, poetest.New(poetest.Config{Ports: 2}))
	require.Regexp(t, `^snmpset -v2c 127\.0\.0\.1:\d+ 1\.3\.6\.1\.2\.1\.105\.1\.1\.1\.3\.1\.2 i 2$`, client.Explain(poe.Step{Port: port2, Admin: poe.AdminDisabled}))
}

func BenchmarkStatus48(b *testing.B) {
	client := dial(b, poetest.New(poetest.Config{Ports: 48, Vendor: poetest.CiscoIOS}))
	for b.Loop() {
		if _, err := client.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// cycler returns a controller for port 1.
func cycler(t *testing.T, sw poe.PSE) *poe.Controller {
	journal, err := poe.OpenJournal(filepath.Join(t.TempDir(), "journal.json"))
	require.NoError(t, err)
	t.Cleanup(func() { journal.Close() })
	return &poe.Controller{
		PSE: sw, Journal: journal, Guard: poe.Guard{Cooldown: -1, Ports: map[poe.PortID]poe.Port{port1: {Name: "pi1"}}},
		Hold: 100 * time.Millisecond, Poll: 20 * time.Millisecond, Settle: 15 * time.Second,
	}
}

// TestExplainSaysWhatIsDone has the mode of Cisco IOS and Netgear's reset.
func TestExplainSaysWhatIsDone(t *testing.T) {
	for vendor, want := range map[poetest.Vendor][]string{
		poetest.CiscoIOS: {`1\.3\.6\.1\.2\.1\.105\.1\.1\.1\.3\.1\.1 i 2$`, `^sleep 5$`, `1\.3\.6\.1\.4\.1\.9\.9\.402\.1\.2\.1\.1\.1\.1 i 2$`},
		poetest.Netgear:  {`1\.3\.6\.1\.4\.1\.4526\.10\.15\.1\.1\.1\.10\.1\.1 i 1$`},
	} {
		client := dial(t, poetest.New(poetest.Config{Ports: 2, Vendor: vendor}))
		if vendor == poetest.CiscoIOS {
			require.NoError(t, client.SetMode(t.Context(), port1, "static"))
		}
		journal, err := poe.OpenJournal(filepath.Join(t.TempDir(), "journal.json"))
		require.NoError(t, err)
		defer journal.Close()
		c := poe.Controller{PSE: client, Journal: journal, Native: true, Guard: poe.Guard{Ports: map[poe.PortID]poe.Port{port1: {}}}}
		lines, err := c.Explain(t.Context(), port1, poe.AdminDisabled, poe.AdminEnabled)
		require.NoError(t, err)
		require.Len(t, lines, len(want))
		for i := range want {
			require.Regexp(t, want[i], lines[i])
		}
		lines, err = c.Explain(t.Context(), port1, poe.AdminEnabled)
		require.NoError(t, err)
		require.Empty(t, lines, "it is on")
		_, err = c.Explain(t.Context(), port2, poe.AdminDisabled)
		require.ErrorIs(t, err, poe.ErrNotListed)
	}
}

// TestARefusalThatIsNotTrue has the change made and called refused.
func TestARefusalThatIsNotTrue(t *testing.T) {
	sw := poetest.New(poetest.Config{Ports: 2})
	client := dial(t, sw)
	sw.Make(poetest.Trouble{Lie: true})
	require.NoError(t, client.Set(t.Context(), port1, poe.AdminDisabled), "the state is what counts")
	require.ErrorIs(t, client.Set(t.Context(), port1, poe.AdminDisabled), poe.ErrRefused, "nothing has changed")
	require.NoError(t, client.Set(t.Context(), port1, poe.AdminEnabled))
}
