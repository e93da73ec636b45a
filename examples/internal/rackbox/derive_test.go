package rackbox

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/rack"
)

func parse(t *testing.T, text string) *rack.Rack {
	t.Helper()
	r, err := rack.Parse("rack.yaml", []byte(text))
	require.NoError(t, err)
	return r
}

// The booted rack is the same one, but for what it is booted on.
func TestBooted(t *testing.T) {
	story := parse(t, string(rack.Story))
	data, err := Booted(story)
	require.NoError(t, err)
	booted := parse(t, string(data))
	require.Len(t, booted.Pis, len(story.Pis))
	for i, pi := range booted.Pis {
		before := story.Pis[i]
		require.Equal(t, before.Link, pi.Link)
		require.Equal(t, before.VLAN, pi.VLAN)
		require.Equal(t, before.Export, pi.Export)
		require.Equal(t, strings.ReplaceAll(before.Cmdline.String(), ":eth0:", ":vec0:"), pi.Cmdline.String())
		require.True(t, booted.HasPower(pi))
	}
	require.Equal(t, 25, booted.Config.Public.SwitchPort, "a port that nothing else is plugged into")
	require.Zero(t, story.Config.Public.SwitchPort, "the given rack is as it was")
}

// Any rack of one switch boots: without a public VLAN, with a switch of its own.
func TestBootedRacks(t *testing.T) {
	const small = `pool: 10.0.0.0/28
first_vlan: 10
server: {interface: eth0, switch_port: 24}
pis: [{name: pi1, slot: 0, switch_port: 1, mac: "b8:27:eb:00:00:01"}]
`
	data, err := Booted(parse(t, small))
	require.NoError(t, err)
	require.Equal(t, switchName, parse(t, string(data)).Pis[0].Switch)

	own := small + `switches: [{name: rack1, dialect: ios, port: "Gi1/0/{port}", address: 192.0.2.1, poe: "2.{port}", snmp: {version: 3, user: x, auth_file: /a, priv_file: /b}}]` + "\n"
	data, err = Booted(parse(t, own))
	require.NoError(t, err)
	s := parse(t, string(data)).Config.Switches[0]
	require.Equal(t, "rack1", s.Name)
	require.Equal(t, "ios", s.Dialect)
	require.Equal(t, 2, s.SNMP.Version)
	require.Equal(t, communityFile, s.SNMP.CommunityFile)
	require.Empty(t, s.SNMP.User+s.SNMP.AuthFile+s.SNMP.PrivFile, "the credentials of the real switch stay out of it")

	two := strings.Replace(small, "switch_port: 24}", "switch_port: 24, switch: a}", 1)
	two = strings.Replace(two, "switch_port: 1,", "switch_port: 1, switch: a,", 1) + "switches: [{name: a}, {name: b}]\n"
	_, err = Booted(parse(t, two))
	require.ErrorContains(t, err, "2 switches")
	_, err = Booted(parse(t, small+"switches: [{name: a, trunks: [23]}]\n"))
	require.ErrorContains(t, err, "trunks")
}
