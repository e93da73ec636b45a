package poe_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

func port(n int) poe.PortID { return poe.PortID{Group: 1, Port: n} }

func status(t testing.TB, pse poe.PSE, n int) poe.Status {
	t.Helper()
	all, err := pse.Status(context.Background(), port(n))
	require.NoError(t, err)
	return all[0]
}

// controller returns one for all ports of the switch, without cooldown.
func controller(t testing.TB, sw *poetest.Switch) *poe.Controller {
	t.Helper()
	journal, err := poe.OpenJournal(filepath.Join(t.TempDir(), "journal.json"))
	require.NoError(t, err)
	t.Cleanup(func() { journal.Close() })
	c := &poe.Controller{PSE: sw, Journal: journal, Guard: poe.Guard{Cooldown: -1, Ports: map[poe.PortID]poe.Port{}}}
	ports, err := sw.Ports(t.Context())
	require.NoError(t, err)
	for _, id := range ports {
		c.Guard.Ports[id] = poe.Port{Name: "pi" + id.String()[2:], Up: sw.Up(id)}
	}
	return c
}

// reopen opens the journal as the next process would.
func reopen(t testing.TB, old *poe.Journal) *poe.Journal {
	t.Helper()
	require.NoError(t, old.Close())
	journal, err := poe.OpenJournal(old.Path())
	require.NoError(t, err)
	t.Cleanup(func() { journal.Close() })
	return journal
}

func TestCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4, Detect: 2 * time.Second, Linger: 3 * time.Second, Boot: 40 * time.Second})
		time.Sleep(time.Hour)
		c := controller(t, sw)
		began := time.Now()
		report, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "pi1", report.Name)
		require.Equal(t, 3*time.Second, report.Dark.Sub(began))
		require.Equal(t, 10*time.Second, report.Delivering.Sub(began), "3 s to be dark, 5 s of hold, 2 s of detection")
		require.Equal(t, 50*time.Second, report.Up.Sub(began))
		require.Equal(t, 3.2, report.Before.Watts)
		require.Equal(t, 3.2, report.After.Watts)
		require.Equal(t, poe.ClassOf(2), report.After.Class)
		require.Equal(t, poe.Counters{}, *report.Faults)
		require.Equal(t, "port 1.1 (pi1), dark after 3.0 s, delivering after 10.0 s, up after 50.0 s, 3.2 W before, 3.2 W after", report.String())
		require.Empty(t, c.Journal.Dark())
		require.Equal(t, began, c.Journal.LastCut(port(1)))
	})
}

// TestOnWhateverBecomesOfTheContext cancels at each second of a cycle.
func TestOnWhateverBecomesOfTheContext(t *testing.T) {
	for after := time.Duration(0); after < 12*time.Second; after += 500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			sw := poetest.New(poetest.Config{Ports: 4, Detect: 2 * time.Second, Linger: 3 * time.Second, Boot: 40 * time.Second})
			time.Sleep(time.Hour)
			c := controller(t, sw)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			_, err := c.Cycle(ctx, port(1))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin, "cancelled after %v", after)
			require.Empty(t, c.Journal.Dark())
		})
	}
}

func TestCycleWithTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		trouble poetest.Trouble
		want    error
	}{
		"slow":                   {poetest.Trouble{Slow: 8 * time.Second}, nil},
		"the off is lost":        {poetest.Trouble{LoseSets: 1}, poe.ErrUnconfirmed},
		"the switch is down":     {poetest.Trouble{LoseSets: 200}, poe.ErrUnconfirmed},
		"off and on are lost":    {poetest.Trouble{LoseSets: 4}, poe.ErrUnconfirmed},
		"the answers are lost":   {poetest.Trouble{LoseReplies: 2}, nil},
		"nothing may be changed": {poetest.Trouble{Refuse: true}, poe.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := poetest.New(poetest.Config{Ports: 4})
				control := controller(t, sw)
				sw.Make(c.trouble)
				_, err := control.Cycle(t.Context(), port(1))
				require.ErrorIs(t, err, c.want)
				require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin)
				require.Empty(t, control.Journal.Dark())
			})
		})
	}
}

func TestCycleLeavesAloneWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		c := controller(t, sw)
		c.Guard.Ports[port(9)] = poe.Port{Name: "no such port"}
		_, err := c.Cycle(t.Context(), port(9))
		require.ErrorIs(t, err, poe.ErrNoPort)
		require.Empty(t, c.Journal.Dark())
		require.Zero(t, c.Journal.LastCut(port(9)))
	})
}

func TestCycleReportsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		c := controller(t, sw)
		time.AfterFunc(3*time.Second, func() { sw.Fail(port(1), poe.DetectionFault) })
		report, err := c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrUnconfirmed)
		require.ErrorContains(t, err, "not delivering within 30s")
		require.ErrorContains(t, err, "fault")
		require.Equal(t, poe.Counters{Overload: 1, Short: 1}, *report.Faults)
		require.Contains(t, report.String(), "new faults: overload 1, short 1")
		require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin)
		require.Empty(t, c.Journal.Dark(), "enabled is all that can be done for it")
	})
}

func TestCycleReportsADeviceThatStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controller(t, poetest.New(poetest.Config{Ports: 4, Boot: time.Hour}))
		report, err := c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrNotUp)
		require.ErrorContains(t, err, "within 3m0s")
		require.NotZero(t, report.Delivering)
		require.Zero(t, report.Up)
	})
}

func TestCycleWhileTheSwitchRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4, Detect: time.Second})
		time.Sleep(time.Hour)
		c := controller(t, sw)
		time.AfterFunc(2*time.Second, func() { sw.Restart(20 * time.Second) })
		_, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin)
	})
}

func TestOffAndOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4, Linger: time.Second})
		c := controller(t, sw)
		require.NoError(t, c.Off(t.Context(), port(1)))
		require.True(t, status(t, sw, 1).Dark())
		require.Empty(t, c.Journal.Dark(), "off for good")
		reports, err := c.Recover(t.Context())
		require.NoError(t, err)
		require.Empty(t, reports)
		require.True(t, status(t, sw, 1).Dark())
		report, err := c.On(t.Context(), port(1))
		require.NoError(t, err)
		require.NotZero(t, report.Up)
		require.True(t, status(t, sw, 1).Delivering())
		require.Equal(t, poe.AdminEnabled, status(t, sw, 2).Admin)
	})
}

// moded keeps the modes of a switch that forgets them when a port is disabled.
type moded struct {
	*poetest.Switch
	mode map[poe.PortID]string
	fail error
}

func (m *moded) Mode(_ context.Context, id poe.PortID) (string, error) { return m.mode[id], m.fail }

func (m *moded) SetMode(ctx context.Context, id poe.PortID, mode string) error {
	m.mode[id] = mode
	return m.Switch.Set(ctx, id, poe.AdminEnabled)
}

func (m *moded) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	m.mode[id] = map[poe.Admin]string{poe.AdminEnabled: "auto"}[admin]
	return m.Switch.Set(ctx, id, admin)
}

func TestModeIsRestored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := &moded{Switch: poetest.New(poetest.Config{Ports: 4}), mode: map[poe.PortID]string{port(1): "static"}}
		c := controller(t, sw.Switch)
		c.PSE = sw
		report, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "static", report.Mode)
		require.Equal(t, "static", sw.mode[port(1)])

		c.Settle, c.Boot = time.Second, 1200*time.Millisecond // nothing else ends with Settle
		time.AfterFunc(2*time.Second, func() { sw.Make(poetest.Trouble{LoseSets: 20}) })
		_, err = c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrUnconfirmed)
		require.Equal(t, "static", c.Journal.Dark()[0].Mode)
		sw.Make(poetest.Trouble{})
		require.NoError(t, sw.Set(t.Context(), port(1), poe.AdminDisabled))
		_, err = c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "static", sw.mode[port(1)], "what an earlier attempt found")

		sw.fail = errors.New("no answer")
		_, err = c.Cycle(t.Context(), port(1))
		require.ErrorContains(t, err, "left alone")
		sw.fail = errors.ErrUnsupported
		_, err = c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "auto", sw.mode[port(1)])
	})
}

func TestOnThatIsRefusedFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		c := controller(t, sw)
		require.NoError(t, c.Off(t.Context(), port(1)))
		sw.Make(poetest.Trouble{Refuse: true})
		began := time.Now()
		_, err := c.On(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrRefused)
		require.Zero(t, time.Since(began))
	})
}

func TestNativeReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4, Vendor: poetest.Netgear, Detect: 2 * time.Second})
		time.Sleep(time.Hour)
		c := controller(t, sw)
		c.Native = true
		report, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.True(t, report.Native)
		require.NotZero(t, report.Dark)
		require.Less(t, report.Up.Sub(report.Began), poe.DefaultHold)

		sw.Make(poetest.Trouble{LoseSets: 1})
		_, err = c.Cycle(t.Context(), port(2))
		require.ErrorIs(t, err, poe.ErrUnconfirmed)
		require.Equal(t, poe.AdminEnabled, status(t, sw, 2).Admin)

		plain := controller(t, poetest.New(poetest.Config{Ports: 4}))
		plain.Native = true
		report, err = plain.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.False(t, report.Native, "this maker has none")
	})
}

func TestOnePortIsSwitchedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		c := controller(t, sw)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := c.Cycle(t.Context(), port(1))
				results <- err
			}()
		}
		require.ErrorIs(t, errors.Join(<-results, <-results), poe.ErrBusy)
	})
}

// scriptedController returns one for the scripted ports, without cooldown.
func scriptedController(t testing.TB, pse poe.PSE, n int) *poe.Controller {
	t.Helper()
	c := controller(t, poetest.New(poetest.Config{Ports: n}))
	c.PSE = pse
	for id := range c.Guard.Ports {
		c.Guard.Ports[id] = poe.Port{}
	}
	return c
}

// TestALastLookThatFailsHidesNothing has the port stuck in a fault, and then
// the switch silent at the end of the wait.
func TestALastLookThatFailsHidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		silent := errors.New("no answer")
		began := time.Now()
		sw.look = func() error {
			if len(sw.asked) == 2 {
				sw.ports[port(1)] = poe.Status{Port: port(1), Admin: poe.AdminEnabled, Detection: poe.DetectionFault}
			}
			if time.Since(began) > 30*time.Second {
				return silent
			}
			return nil
		}
		_, err := c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, silent)
		require.ErrorContains(t, err, "it was 1.1 enabled, fault")
	})
}

// TestARefusalIsReadBack has the off made and called refused.
func TestARefusalIsReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		sw.set = func(s *poe.Status, admin poe.Admin) error {
			if admin == poe.AdminDisabled {
				s.Admin, s.Detection, s.Watts = admin, poe.DetectionDisabled, 0
				return poe.ErrRefused
			}
			return nil
		}
		_, err := c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrRefused)
		require.Equal(t, poe.AdminEnabled, status(t, sw, 1).Admin)
		require.Empty(t, c.Journal.Dark())
	})
}

// TestASecondAttemptKeepsTheFirstOnesIntent has the on fail, and then
// everything refused.
func TestASecondAttemptKeepsTheFirstOnesIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		sw.set = func(_ *poe.Status, admin poe.Admin) error {
			if admin == poe.AdminEnabled {
				return errors.New("no answer")
			}
			return nil
		}
		_, err := c.Cycle(t.Context(), port(1))
		require.ErrorContains(t, err, "no answer")
		require.Len(t, c.Journal.Dark(), 1)
		sw.set = func(*poe.Status, poe.Admin) error { return poe.ErrRefused }
		_, err = c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrRefused)
		require.Equal(t, poe.AdminDisabled, status(t, sw, 1).Admin)
		require.Len(t, c.Journal.Dark(), 1, "it is still dark")
		for _, err := range c.Stagger(t.Context(), ports(1), poe.Pace{}) {
			require.ErrorIs(t, err, poe.ErrRefused)
		}
		require.Len(t, c.Journal.Dark(), 1, "nor does a stagger's second try forget it")
	})
}

// TestCycleEndsWithinSettleOfItsContext cancels while the on fails.
func TestCycleEndsWithinSettleOfItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var cancelled time.Time
		sw.set = func(_ *poe.Status, admin poe.Admin) error {
			if admin == poe.AdminDisabled {
				return nil
			}
			if cancelled.IsZero() {
				cancelled = time.Now()
				cancel()
			}
			return errors.New("no answer")
		}
		_, err := c.Cycle(ctx, port(1))
		require.ErrorContains(t, err, "no answer")
		require.LessOrEqual(t, time.Since(cancelled), poe.DefaultSettle)
		require.Len(t, c.Journal.Dark(), 1)
	})
}

// TestNoSetIsRepeatedBlindly has the first on made and not answered, and then
// the switch silent for a while.
func TestNoSetIsRepeatedBlindly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		began := time.Now()
		sw.look = func() error {
			if since := time.Since(began); since > 5*time.Second && since < 20*time.Second {
				return errors.New("silent")
			}
			return nil
		}
		sw.set = func(s *poe.Status, admin poe.Admin) error {
			if admin == poe.AdminEnabled {
				s.Admin, s.Detection = admin, poe.DetectionDelivering
				return errors.New("no answer")
			}
			return nil
		}
		_, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, []poe.Admin{poe.AdminDisabled, poe.AdminEnabled}, sw.asked)
	})
}

func TestOffKeepsTheMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := &moded{Switch: poetest.New(poetest.Config{Ports: 4}), mode: map[poe.PortID]string{port(1): "static"}}
		c := controller(t, sw.Switch)
		c.PSE = sw
		require.NoError(t, c.Off(t.Context(), port(1)))
		require.NoError(t, c.Off(t.Context(), port(1)), "off already")
		require.Empty(t, c.Journal.Dark())
		c.Journal = reopen(t, c.Journal)
		report, err := c.On(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "static", report.Mode)
		require.Equal(t, "static", sw.mode[port(1)])

		sw.mode[port(1)] = "limit"
		require.NoError(t, c.Off(t.Context(), port(1)))
		_, err = c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Equal(t, "limit", sw.mode[port(1)])
		sw.fail = errors.New("no answer")
		require.ErrorContains(t, c.Off(t.Context(), port(1)), "left alone")
		require.True(t, status(t, sw.Switch, 1).Delivering())
	})
}

// idle is a PSE whose reset does nothing.
type idle struct{ *scripted }

func (idle) Reset(context.Context, poe.PortID) error { return nil }

func TestAResetOfWhichNothingIsSeenIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := scriptedController(t, idle{script(1)}, 1)
		c.Native = true
		report, err := c.Cycle(t.Context(), port(1))
		require.ErrorIs(t, err, poe.ErrUnconfirmed)
		require.Zero(t, report.Dark)
		require.Empty(t, c.Journal.Dark())

		asked := 0
		c.Guard.Ports[port(1)] = poe.Port{Up: func(context.Context) error {
			if asked++; asked == 2 {
				return errors.New("it boots")
			}
			return nil
		}}
		report, err = c.Cycle(t.Context(), port(1))
		require.NoError(t, err, "the device was away")
		require.Zero(t, report.Dark, "the port was not seen without power")
	})
}

func TestARestartMovesNoCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 4})
		sw.Fail(port(1), poe.DetectionFault)
		sw.Fail(port(1), 0)
		c := controller(t, sw)
		time.AfterFunc(2*time.Second, func() { sw.Restart(time.Second) })
		report, err := c.Cycle(t.Context(), port(1))
		require.NoError(t, err)
		require.Nil(t, report.Faults)
	})
}

func TestDarkIsNoNegativeReading(t *testing.T) {
	s := poe.Status{Admin: poe.AdminDisabled, Detection: poe.DetectionDisabled, Metered: true, Watts: -5}
	require.False(t, s.Dark())
}
