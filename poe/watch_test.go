package poe_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
	"github.com/berryrack/berryrack/poe/poetest"
)

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := poetest.New(poetest.Config{Ports: 3})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var watts []float64
		var changes []poe.Change
		began := time.Now()
		for now, err := range poe.Watch(ctx, sw, time.Minute) {
			require.NoError(t, err)
			watts = append(watts, now.Watts())
			changes = append(changes, now.Changes...)
			require.Equal(t, time.Duration(len(watts)-1)*time.Minute, now.Time.Sub(began))
			switch len(watts) {
			case 2:
				require.NoError(t, sw.Set(ctx, port(2), poe.AdminDisabled))
			case 3:
				cancel()
			}
		}
		require.InDeltaSlice(t, []float64{9.6, 9.6, 6.4}, watts, 0.001)
		require.Len(t, changes, 1)
		require.Equal(t, poe.DetectionDelivering, changes[0].Before.Detection)
		require.Equal(t, poe.DetectionDisabled, changes[0].After.Detection)
	})
}

// flaky is a PSE that answers every other time, and then with fewer ports.
type flaky struct {
	poe.PSE
	asked int
}

func (f *flaky) Status(ctx context.Context, ports ...poe.PortID) ([]poe.Status, error) {
	if f.asked++; f.asked%2 == 0 {
		return nil, poe.ErrNoPort
	}
	all, err := f.PSE.Status(ctx, ports...)
	return all[:4-f.asked], err
}

func TestWatchGoesOnAfterAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pse := &flaky{PSE: poetest.New(poetest.Config{Ports: 3})}
		for now, err := range poe.Watch(t.Context(), pse, time.Second) {
			switch pse.asked {
			case 1:
				require.Empty(t, now.Changes, "what the first look finds is no change")
			case 2:
				require.ErrorIs(t, err, poe.ErrNoPort)
			case 3:
				require.Len(t, now.Changes, 2)
				require.Zero(t, now.Changes[0].After, "gone")
				return
			}
		}
	})
}
