package poe_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/poe"
)

func TestParsePortID(t *testing.T) {
	for text, want := range map[string]poe.PortID{"1.1": {Group: 1, Port: 1}, "2.48": {Group: 2, Port: 48}, "1.2147483647": {Group: 1, Port: 2147483647}} {
		got, err := poe.ParsePortID(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Equal(t, text, got.String())
	}
	for _, text := range []string{"", "1", "1.", ".1", "0.1", "1.0", "01.1", "1.+1", "1.1.1", "1.2147483648", "-1.1", " 1.1", "a.b"} {
		_, err := poe.ParsePortID(text)
		require.ErrorContains(t, err, "want group.port", text)
	}
}

func FuzzParsePortID(f *testing.F) {
	for _, seed := range []string{"1.1", "2.48", "01.1", "1.2147483648"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := poe.ParsePortID(text)
		if err == nil {
			require.True(t, id.IsValid())
			require.Equal(t, text, id.String())
		} else {
			require.Zero(t, id)
		}
	})
}

func TestPortIDText(t *testing.T) {
	var id poe.PortID
	text, err := id.MarshalText()
	require.NoError(t, err)
	require.Empty(t, text)
	require.False(t, id.IsValid())
	require.NoError(t, id.UnmarshalText([]byte("1.24")))
	require.Equal(t, poe.PortID{Group: 1, Port: 24}, id)
	require.Error(t, id.UnmarshalText([]byte("24")))
	require.NoError(t, id.UnmarshalText(nil))
	require.Zero(t, id)
}

func TestStates(t *testing.T) {
	for _, admin := range []poe.Admin{0, poe.AdminEnabled, poe.AdminDisabled} {
		text, _ := admin.MarshalText()
		var again poe.Admin
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, admin, again)
	}
	for detection := poe.Detection(0); detection <= poe.DetectionOtherFault; detection++ {
		text, _ := detection.MarshalText()
		var again poe.Detection
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, detection, again)
	}
	require.Equal(t, "unknown", poe.Detection(99).String())
	require.Equal(t, "unknown", poe.Admin(-1).String())
	var admin poe.Admin
	require.ErrorContains(t, admin.UnmarshalText([]byte("on")), `"enabled"`)
}

func TestClass(t *testing.T) {
	require.Equal(t, poe.Class(1), poe.ClassOf(0), "RFC 3621 counts class0(1)")
	require.Equal(t, "4", poe.ClassOf(4).String())
	require.Equal(t, 30.0, poe.ClassOf(4).Watts())
	for _, class := range []poe.Class{0, poe.ClassOf(0), poe.ClassOf(8)} {
		text, _ := class.MarshalText()
		again := poe.Class(7)
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, class, again)
	}
	var wrong poe.Class
	require.ErrorContains(t, wrong.UnmarshalText([]byte("9")), "want 0 to 8")
	require.ErrorContains(t, wrong.UnmarshalText([]byte("")), "want 0 to 8")
	for _, none := range []poe.Class{0, -1, 10, poe.ClassOf(9), poe.ClassOf(-1)} {
		require.Equal(t, "-", none.String())
		require.Zero(t, none.Watts())
	}
}

func TestStatusIsDarkOnlyWhenAllAgree(t *testing.T) {
	dark := poe.Status{Admin: poe.AdminDisabled, Detection: poe.DetectionDisabled}
	require.True(t, dark.Dark())
	for name, change := range map[string]func(*poe.Status){
		"enabled":          func(s *poe.Status) { s.Admin = poe.AdminEnabled },
		"still delivering": func(s *poe.Status) { s.Detection = poe.DetectionDelivering },
		"still drawing":    func(s *poe.Status) { s.Watts, s.Metered = 3.2, true },
		"unknown":          func(s *poe.Status) { s.Admin = 0 },
	} {
		s := dark
		change(&s)
		require.False(t, s.Dark(), name)
	}
	require.True(t, poe.Status{Admin: poe.AdminEnabled}.Delivering(), "detection unknown")
	require.False(t, poe.Status{Admin: poe.AdminEnabled, Detection: poe.DetectionSearching}.Delivering())
}

func TestCountersMove(t *testing.T) {
	before := poe.Counters{Overload: 1, Short: 7}
	after := poe.Counters{Overload: 3, Short: 7}
	moved, ok := after.Since(before)
	require.True(t, ok)
	require.Equal(t, poe.Counters{Overload: 2}, moved)
	require.Equal(t, "overload 2", moved.String())
	_, ok = before.Since(after)
	require.False(t, ok, "a restart sets counters to zero")
	require.Equal(t, "none", poe.Counters{}.String())
}
