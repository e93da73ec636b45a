package munin

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// connected is where munin-update would connect to for an address.
type connected struct {
	URI      *string `json:"uri"`
	Connects string  `json:"connects"`
	Port     string  `json:"port"`
}

// TestAddressAsMunin asks Munin::Master::Node, URI and IO::Socket::INET6 what
// they make of addresses, and us whether we would have them.
func TestAddressAsMunin(t *testing.T) {
	o := startOracle(t)
	for _, test := range []struct {
		address, connects, port string // where munin connects; "" is nowhere
		ours                    string // in the error with which we refuse it, "" when we take it
	}{
		{"[2a00:1098:0:82:1000:0:1:1]", "2a00:1098:0:82:1000:0:1:1", "4949", ""},
		{"[2A00:1098:0:82:1000:0:1:1]", "2a00:1098:0:82:1000:0:1:1", "4949", ""},
		{"[2a00:1098:0000:0082:1000:0000:0001:0001]", "2a00:1098:0:82:1000:0:1:1", "4949", ""},
		{"[::ffff:192.0.2.1]", "::ffff:192.0.2.1", "4949", ""},
		{"192.0.2.1", "192.0.2.1", "4949", ""},
		{"2001:db8::1", "", "", "brackets"},
		{"::1", "", "", "brackets"},
		{"2a00:1098:0:82:1000:0:39:6712", "", "", "brackets"},
		{"2001:db8::10:25", "2001:db8::10", "25", "brackets"}, // another host
		{"2a00:1098::beef", "2a00:1098::beef", "4949", "brackets"},
		{"fd00::1", "", "", "brackets"},
		{"fe80::1", "", "", "brackets"},
		{"[::1]:4950", "::1", "4949", "port"},
		{"127.0.0.1:4950", "127.0.0.1", "4949", "port"},
		{"host:4950", "", "", "port"},
		{"[fe80::1%25lo]", "fe80::1%lo", "4949", ""},
		{"[fe80::1%lo]", "fe80::1%lo", "4949", "%25"},
		{"[fe80::1%be0]", "", "", "%25"},
		{"telnet://127.0.0.1", "", "", "command"},
	} {
		var theirs connected
		o.Ask(t, "address", []byte(test.address), &theirs)
		require.Equal(t, test.connects, theirs.Connects, test.address)
		_, err := confAddress(test.address)
		if test.ours == "" {
			require.NoError(t, err, test.address)
		} else {
			require.ErrorContains(t, err, test.ours, test.address)
		}
	}
}

// TestWrittenAddressAsMunin lets munin connect to what we write.
func TestWrittenAddressAsMunin(t *testing.T) {
	o := startOracle(t)
	for _, text := range []string{
		"2001:db8::1", "::1", "2001:db8::10:25", "fd00::1", "fe80::1%lo", "::ffff:192.0.2.1", "192.0.2.1",
		"2001:db8:1:2:3:4:5:6", "2001:0:0:1::", "::1:0:0:1", "64:ff9b::c000:201",
	} {
		ip := netip.MustParseAddr(text)
		written := IPAddress(ip).String()
		var theirs connected
		o.Ask(t, "address", []byte(written), &theirs)
		require.Equal(t, text, theirs.Connects, written)
		require.Equal(t, "4949", theirs.Port)
		read, err := confAddress(written)
		require.NoError(t, err)
		require.Equal(t, IPAddress(ip), read)
	}
	for _, name := range []string{"node.example.org", "localhost", "web-1", "a_b.example"} {
		var theirs connected
		o.Ask(t, "address", []byte(NameAddress(name).String()), &theirs)
		require.NotNil(t, theirs.URI, name)
		require.Equal(t, name, strings.ToLower(*theirs.URI))
	}
}
