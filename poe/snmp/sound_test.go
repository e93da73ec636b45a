package snmp

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
)

func TestAStatusWithoutItsColumnsIsAnError(t *testing.T) {
	s := &Switch{config: Config{Address: "sw1"}}
	good := poe.Status{Port: poe.PortID{Group: 1, Port: 1}, Admin: poe.AdminEnabled, Detection: poe.DetectionDelivering, Metered: true, Watts: 3}
	require.NoError(t, s.sound(good))
	for want, edit := range map[string]func(*poe.Status){
		"AdminEnable is missing":     func(s *poe.Status) { s.Admin = 0 },
		"neither true nor false":     func(s *poe.Status) { s.Admin = 3 },
		"DetectionStatus is missing": func(s *poe.Status) { s.Detection = 0 },
		"not from 1 to 6":            func(s *poe.Status) { s.Detection = 7 },
		"reads -1 W":                 func(s *poe.Status) { s.Watts = -1 },
	} {
		bad := good
		edit(&bad)
		require.ErrorContains(t, s.sound(bad), want)
	}
}
