package poe_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

// rack is a shelf of 22 computers, of which those hang that start while eight
// others do.
var rack = poetest.Config{Ports: 22, Detect: 2 * time.Second, Boot: 60 * time.Second, Inrush: 10 * time.Second, Crowd: 8}

func ports(n int) (all []poe.PortID) {
	for i := range n {
		all = append(all, port(i+1))
	}
	return all
}

// dark returns a switch all of whose ports are off.
func dark(t *testing.T, config poetest.Config) *poetest.Switch {
	sw := poetest.New(config)
	for _, id := range ports(config.Ports) {
		require.NoError(t, sw.Set(t.Context(), id, poe.AdminDisabled))
	}
	time.Sleep(time.Hour)
	return sw
}

func up(t *testing.T, sw *poetest.Switch, n int) (count int) {
	for _, id := range ports(n) {
		if sw.Up(id)(t.Context()) == nil {
			count++
		}
	}
	return count
}

func TestAllAtOnceHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, rack)
		for _, id := range ports(22) {
			require.NoError(t, sw.Set(t.Context(), id, poe.AdminEnabled))
		}
		time.Sleep(time.Hour)
		require.Equal(t, 8, up(t, sw, 22), "14 of 22 hang")
	})
}

func TestStagger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, rack)
		c := controller(t, sw)
		var done int
		for report, err := range c.Stagger(t.Context(), ports(22), poe.Pace{AtOnce: 6}) {
			require.NoError(t, err)
			require.Equal(t, 1, report.Tries)
			require.NotZero(t, report.Up)
			done++
		}
		require.Equal(t, 22, done)
		require.Equal(t, 22, up(t, sw, 22))
		require.Empty(t, c.Journal.Dark())
	})
}

// TestStaggerTriesAgain has more start at once than the rack bears: those that
// hang are cycled.
func TestStaggerTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := rack
		config.Crowd = 2
		sw := dark(t, config)
		c := controller(t, sw)
		c.Boot = 90 * time.Second
		tries := 0
		for report, err := range c.Stagger(t.Context(), ports(4), poe.Pace{AtOnce: 4}) {
			require.NoError(t, err)
			tries += report.Tries
		}
		require.Equal(t, 6, tries, "two of four hung at first")
		require.Equal(t, 4, up(t, sw, 4))
	})
}

func TestStaggerGivesUpAfterTheSecondTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, poetest.Config{Ports: 3})
		sw.Attach(port(2), nil)
		c := controller(t, sw)
		var failed []poe.PortID
		for report, err := range c.Stagger(t.Context(), ports(3), poe.Pace{}) {
			if err != nil {
				failed = append(failed, report.Port)
				require.Equal(t, 2, report.Tries)
				require.ErrorIs(t, err, poe.ErrUnconfirmed)
			}
		}
		require.Equal(t, []poe.PortID{port(2)}, failed)
		require.Equal(t, poe.AdminEnabled, status(t, sw, 2).Admin)
		require.Empty(t, c.Journal.Dark())
	})
}

func TestStaggerLeavesAloneWhatIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := controller(t, poetest.New(poetest.Config{Ports: 3}))
		for report, err := range c.Stagger(t.Context(), ports(3), poe.Pace{}) {
			require.NoError(t, err)
			require.Zero(t, report.Dark)
			require.Zero(t, c.Journal.LastCut(report.Port))
		}
	})
}

func TestStaggerKeepsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, poetest.Config{Ports: 6, Watts: 50, Threshold: 64, Detect: 2 * time.Second, Boot: time.Minute})
		c := controller(t, sw)
		highest := 0
		watch, cancel := context.WithCancel(t.Context())
		defer cancel()
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for now := range poe.Watch(watch, sw, time.Second) {
				booting := 0
				for _, s := range now.Ports {
					if s.Admin == poe.AdminEnabled && sw.Up(s.Port)(watch) != nil {
						booting++
					}
				}
				highest = max(highest, booting)
			}
		}()
		for _, err := range c.Stagger(t.Context(), ports(6), poe.Pace{AtOnce: 6}) {
			require.NoError(t, err)
		}
		cancel()
		<-watched
		require.Equal(t, 6, up(t, sw, 6))
		require.GreaterOrEqual(t, highest, 2)
		require.Less(t, highest, 5, "32 W: 15.4 W set aside for the one that begins, 7 W for each of class 2 under way")
	})
}

func TestStaggerRefusesWhatTheBudgetNeverAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, poetest.Config{Ports: 3})
		c := controller(t, sw)
		n := 0
		for report, err := range c.Stagger(t.Context(), ports(3), poe.Pace{Watts: 10}) {
			require.ErrorIs(t, err, poe.ErrBudget)
			require.Equal(t, poe.AdminDisabled, status(t, sw, report.Port.Port).Admin)
			n++
		}
		require.Equal(t, 3, n)
		for _, err := range c.Stagger(t.Context(), ports(3), poe.Pace{Watts: 20, Reserve: 7}) {
			require.NoError(t, err)
		}
	})
}

func TestStaggerWaitsForTheFileserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, poetest.Config{Ports: 2})
		c := controller(t, sw)
		began := time.Now()
		ready := func(context.Context) error {
			require.Equal(t, poe.AdminDisabled, status(t, sw, 1).Admin)
			if time.Since(began) < 20*time.Second {
				return errors.New("connection refused")
			}
			return nil
		}
		for _, err := range c.Stagger(t.Context(), ports(2), poe.Pace{Ready: ready}) {
			require.NoError(t, err)
		}
		require.GreaterOrEqual(t, time.Since(began), 20*time.Second)

		sw = dark(t, poetest.Config{Ports: 2})
		c.PSE = sw
		for report, err := range c.Stagger(t.Context(), ports(2), poe.Pace{Ready: func(context.Context) error { return errors.New("refused") }}) {
			require.Zero(t, report)
			require.ErrorContains(t, err, "no port was touched")
		}
		require.Equal(t, poe.AdminDisabled, status(t, sw, 1).Admin)
	})
}

func TestStaggerAsksTheGuardBeforeAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, poetest.Config{Ports: 3})
		c := controller(t, sw)
		delete(c.Guard.Ports, port(2))
		n := 0
		for _, err := range c.Stagger(t.Context(), []poe.PortID{port(1), port(1), port(2), port(9)}, poe.Pace{}) {
			require.ErrorIs(t, err, poe.ErrNotListed)
			require.ErrorContains(t, err, "port 1.1: named twice")
			require.ErrorContains(t, err, "port 1.9")
			n++
		}
		require.Equal(t, 1, n)
		require.Equal(t, poe.AdminDisabled, status(t, sw, 1).Admin)
	})
}

func TestStaggerEndsWithTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := dark(t, rack)
		c := controller(t, sw)
		for range c.Stagger(t.Context(), ports(22), poe.Pace{AtOnce: 2}) {
			break
		}
		synctest.Wait()
		enabled := 0
		for _, id := range ports(22) {
			if status(t, sw, id.Port).Admin == poe.AdminEnabled {
				enabled++
			}
		}
		require.Less(t, enabled, 5)
		require.Empty(t, c.Journal.Dark())

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var last error
		for _, err := range c.Stagger(ctx, ports(22), poe.Pace{AtOnce: 2}) {
			last = err
		}
		require.ErrorIs(t, last, context.DeadlineExceeded)
	})
}

// TestStaggerKeepsTheCooldown has a device that never answers.
func TestStaggerKeepsTheCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(1)
		c := scriptedController(t, sw, 1)
		c.Guard.Cooldown, c.Boot = time.Hour, time.Second
		c.Guard.Ports[port(1)] = poe.Port{Up: func(context.Context) error { return errors.New("ssh is down") }}
		for range 3 {
			for _, err := range c.Stagger(t.Context(), ports(1), poe.Pace{}) {
				require.ErrorIs(t, err, poe.ErrNotUp)
			}
		}
		require.Equal(t, []poe.Admin{poe.AdminDisabled, poe.AdminEnabled}, sw.asked, "cut once")
	})
}

func TestStaggerNeedsNoBudgetForWhatIsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := script(8)
		c := scriptedController(t, sw, 8)
		for _, err := range c.Stagger(t.Context(), ports(2), poe.Pace{Watts: 50}) {
			require.NoError(t, err)
		}
		require.Empty(t, sw.asked)
	})
}

// supplied has a main supply.
type supplied struct {
	*scripted
	supply poe.Supply
}

func (s supplied) Supplies(context.Context) ([]poe.Supply, error) { return []poe.Supply{s.supply}, nil }

func TestStaggerBelievesTheSwitchThatHasLess(t *testing.T) {
	for name, c := range map[string]struct {
		supply poe.Supply
		want   error
	}{
		"less than the ports need": {poe.Supply{Group: 1, On: true, Watts: 15}, poe.ErrBudget},
		"off":                      {poe.Supply{Group: 1, Watts: 400}, poe.ErrBudget},
		"enough":                   {poe.Supply{Group: 1, On: true, Watts: 400}, nil},
		"more than is allowed it":  {poe.Supply{Group: 1, On: true, Watts: 40}, nil},
		"another group's":          {poe.Supply{Group: 2}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := script(2)
				for _, id := range ports(2) {
					sw.become(id, poe.AdminDisabled)
				}
				control := scriptedController(t, supplied{sw, c.supply}, 2)
				for _, err := range control.Stagger(t.Context(), ports(2), poe.Pace{Watts: 300}) {
					require.ErrorIs(t, err, c.want)
				}
			})
		})
	}
}
