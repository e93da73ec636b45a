package poe_test

import (
	"context"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

func mac(n byte) net.HardwareAddr { return net.HardwareAddr{0xb8, 0x27, 0xeb, 1, 0, n} }

// knower is a PSE whose switch has learnt what is said.
type knower struct {
	poe.PSE
	stations []poe.Station
}

func (k knower) Stations(context.Context) ([]poe.Station, error) { return k.stations, nil }

func TestGuardIdentity(t *testing.T) {
	server := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	for name, c := range map[string]struct {
		learnt []poe.Station
		want   error
	}{
		"where it belongs":              {[]poe.Station{{MAC: mac(1), Port: port(1)}, {MAC: mac(2), Port: port(2)}}, nil},
		"with others beside it":         {[]poe.Station{{MAC: mac(9), Port: port(1)}, {MAC: mac(1), Port: port(1)}}, poe.ErrIdentity},
		"silent":                        {[]poe.Station{{MAC: mac(2), Port: port(2)}}, nil},
		"also seen elsewhere":           {[]poe.Station{{MAC: mac(1), Port: port(3)}, {MAC: mac(1), Port: port(1)}}, nil},
		"on another port":               {[]poe.Station{{MAC: mac(1), Port: port(3)}}, poe.ErrIdentity},
		"behind the uplink":             {[]poe.Station{{MAC: mac(1)}}, poe.ErrIdentity},
		"another device in its place":   {[]poe.Station{{MAC: mac(9), Port: port(1)}}, poe.ErrIdentity},
		"the server is on it":           {[]poe.Station{{MAC: mac(1), Port: port(1)}, {MAC: server, Port: port(1)}}, poe.ErrProtected},
		"the server is on another port": {[]poe.Station{{MAC: server, Port: port(2)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sw := poetest.New(poetest.Config{Ports: 4})
			c2 := controller(t, sw)
			c2.PSE = knower{sw, c.learnt}
			c2.Guard.Ports[port(1)] = poe.Port{Name: "pi1", MAC: mac(1)}
			c2.Guard.Keep = []net.HardwareAddr{server}
			require.ErrorIs(t, c2.Check(t.Context(), port(1)), c.want)
		})
	}
}

func TestGuardRefusesWhereTheSwitchCannotTell(t *testing.T) {
	c := controller(t, poetest.New(poetest.Config{Ports: 4}))
	c.PSE = struct{ poe.PSE }{c.PSE} // no Learner
	c.Guard.Keep = []net.HardwareAddr{mac(9)}
	require.NoError(t, c.Check(t.Context(), port(1)))
	c.Guard.Ports[port(1)] = poe.Port{MAC: mac(1)}
	require.ErrorIs(t, c.Check(t.Context(), port(1)), poe.ErrIdentity)
}

func TestGuardListsAndProtects(t *testing.T) {
	sw := poetest.New(poetest.Config{Ports: 4})
	c := controller(t, sw)
	c.Guard.Protected = map[poe.PortID]string{port(2): "the uplink"}
	require.ErrorIs(t, c.Guard.Validate(), poe.ErrProtected)
	require.ErrorIs(t, c.Check(t.Context(), port(2)), poe.ErrProtected)
	require.ErrorIs(t, c.Check(t.Context(), port(9)), poe.ErrNotListed)
	_, err := c.On(t.Context(), port(2))
	require.ErrorIs(t, err, poe.ErrProtected)
	require.ErrorIs(t, c.Off(t.Context(), port(9)), poe.ErrNotListed)
	c.Guard.Ports[poe.PortID{}] = poe.Port{Name: "nowhere"}
	require.ErrorContains(t, c.Guard.Validate(), "nowhere")

	c.Journal = nil
	_, err = c.Cycle(t.Context(), port(1))
	require.ErrorIs(t, err, poe.ErrNoJournal)
	require.ErrorIs(t, (&poe.Controller{PSE: sw}).Check(t.Context(), port(1)), poe.ErrNoJournal)
	require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin)
}

func TestCooldownOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		c := controller(t, sw)
		c.Guard.Cooldown = 0 // the default
		_, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		c.Journal = reopen(t, c.Journal)
		_, err = c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrCooldown)
		require.ErrorContains(t, err, "wait 55s")
		require.ErrorIs(t, c.Off(t.Context(), port(1)), poe.ErrCooldown)
		_, err = c.On(t.Context(), port(1))
		require.NoError(t, err, "on is always allowed")
		_, err = c.Cycle(t.Context(), port(2))
		require.NoError(t, err, "another port")
		time.Sleep(time.Minute)
		_, err = c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
	})
}

// TestACutThatIsYetToCome was written while the clock was wrong.
func TestACutThatIsYetToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controller(t, poetest.New(poetest.Config{Ports: 4}))
		c.Guard.Cooldown = 0
		require.NoError(t, os.WriteFile(c.Journal.Path(), []byte(`{"version":1,"cut":{"1.1":"2130-05-06T07:08:09Z"}}`), 0o600))
		c.Journal = reopen(t, c.Journal)
		require.ErrorIs(t, c.Check(t.Context(), port(1)), poe.ErrCooldown)
		time.Sleep(poe.DefaultCooldown)
		require.NoError(t, c.Check(t.Context(), port(1)))
		c.Journal = reopen(t, c.Journal)
		require.NoError(t, c.Check(t.Context(), port(1)), "nor does the next process wait again")
	})
}
