//go:build linux

package vlan_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

func TestIsolationGolden(t *testing.T) {
	plan := rack(2)
	text, err := vlan.Nftables("berryrack", peers(plan))
	require.NoError(t, err)
	golden(t, "server/nft", text)
	golden(t, "server/sysctl", vlan.Sysctl([]string{"eth0.10", "eth0.11"}))
}

func TestNftablesProblems(t *testing.T) {
	_, err := vlan.Nftables("a b", []vlan.Peer{
		{Interface: `x" }`, Address: private(0, 2), Server: private(0, 1)},
		{Interface: "eth0.10", Address: private(0, 2)},
		{Interface: "eth0.10", Address: netip.MustParseAddr("2001:db8::1"), Server: private(0, 1)},
	})
	require.EqualError(t, err, strings.Join([]string{
		`vlan: nftables table "a b": want letters and '_'`,
		`vlan: nftables: name "x\" }": want letters, digits, '.', '_' and '-'`,
		`vlan: nftables: eth0.10: 10.46.189.2 and invalid IP are not two IPv4 addresses`,
		`vlan: nftables: eth0.10: 10.46.189.2 or invalid IP is another peer's, too`,
		`vlan: nftables: interface eth0.10 has two peers`,
		`vlan: nftables: eth0.10: 2001:db8::1 and 10.46.189.1 are not two IPv4 addresses`,
		`vlan: nftables: eth0.10: 2001:db8::1 or 10.46.189.1 is another peer's, too`,
	}, "\n"))
}

// TestNftAccepts: nft takes the table, of none, two and a thousand peers, when
// it is not there and when it is.
func TestNftAccepts(t *testing.T) {
	lab.Need(t, "nft")
	if !lab.Isolated(t) {
		return
	}
	for _, n := range []int{0, 2, 1000} {
		text, err := vlan.Nftables("berryrack", peers(rack(n)))
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "berryrack.nft")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		lab.Run(t, "nft", "-c", "-f", path)
		lab.Run(t, "nft", "-f", path)
		lab.Run(t, "nft", "-f", path)
		rules := lab.Run(t, "nft", "list", "table", "inet", "berryrack")
		require.Equal(t, 3, strings.Count(rules, "type filter hook"))
		require.Equal(t, 2*n, strings.Count(rules, " . 10.46."))
		require.Equal(t, 4*n, strings.Count(rules, "10.46."))
	}
}

// TestSysctlSets: sysctl sets both keys of an interface with a dot in its name.
func TestSysctlSets(t *testing.T) {
	lab.Need(t, "sysctl", "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	lab.Run(t, "ip", "link", "add", "link", "eth0", "name", "eth0.10", "type", "vlan", "id", "10")
	path := "/run/60-berryrack.conf"
	require.NoError(t, os.WriteFile(path, []byte(vlan.Sysctl([]string{"eth0.10"})), 0o644))
	lab.Run(t, "sysctl", "-p", path)
	for _, key := range []string{"ipv4/conf/eth0.10/rp_filter", "ipv6/conf/eth0.10/disable_ipv6"} {
		value, err := os.ReadFile("/proc/sys/net/" + key)
		require.NoError(t, err)
		require.Equal(t, "1\n", string(value), key)
	}
}

// TestIsolationHolds: with two computers in namespaces, each reaches
// the fileserver's address on its own /30, and nothing that it sends under
// another one's address, to another one's, or to the server's other addresses
// is heard.
func TestIsolationHolds(t *testing.T) {
	lab.Need(t, "nft", "sysctl", "busybox")
	if !lab.Isolated(t) {
		return
	}
	plan := rack(2)
	wires(t, plan)
	// The public VLAN, with a computer that is up to no good, and routes.
	lab.Run(t, "ip", "netns", "add", "public")
	lab.Run(t, "ip", "link", "add", "eth0.131", "type", "veth", "peer", "name", "eth0", "netns", "public")
	lab.Run(t, "ip", "address", "add", "192.0.2.1/24", "dev", "eth0.131")
	lab.Run(t, "ip", "link", "set", "eth0.131", "up")
	lab.Run(t, "ip", "-n", "public", "address", "add", "192.0.2.2/24", "dev", "eth0")
	lab.Run(t, "ip", "-n", "public", "link", "set", "eth0", "up")
	lab.Run(t, "ip", "-n", "public", "route", "add", "10.46.189.0/24", "via", "192.0.2.1")
	plan.Hosts = append(plan.Hosts, vlan.Host{Name: "public"})
	const public = 2
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
	reaches := func(from int, source, to string) bool {
		return strings.Contains(shell(t, "ip netns exec "+plan.Hosts[from].Name+" busybox ping -c 1 -W 1 -I "+source+" "+to), " 0% packet loss")
	}
	lab.Run(t, "ip", "-n", "pi1", "address", "add", "10.46.189.6/32", "dev", "eth0")
	require.True(t, reaches(0, "10.46.189.2", "10.46.189.5"), "without the files Linux answers for any address")
	require.True(t, reaches(public, "192.0.2.2", "10.46.189.1"), "without the files it answers in the public VLAN, too")
	require.True(t, reaches(0, "10.46.189.2", "192.0.2.2"), "without the files it forwards")
	lab.Run(t, "ip", "-n", "public", "address", "add", "10.46.189.2/32", "dev", "eth0")
	require.NoError(t, os.WriteFile("/run/b.conf", []byte(vlan.Sysctl([]string{"eth0.10", "eth0.11"})), 0o644))
	lab.Run(t, "sysctl", "-p", "/run/b.conf")
	text, err := vlan.Nftables("berryrack", peers(plan))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/run/b.nft", []byte(text), 0o644))
	lab.Run(t, "nft", "-f", "/run/b.nft")
	require.True(t, reaches(0, "10.46.189.2", "10.46.189.1"))
	require.True(t, reaches(1, "10.46.189.6", "10.46.189.5"))
	require.False(t, reaches(0, "10.46.189.2", "10.46.189.5"), "the server's address in another VLAN")
	require.False(t, reaches(1, "10.46.189.6", "10.46.189.2"), "another computer")
	require.False(t, reaches(0, "10.46.189.6", "10.46.189.1"), "another one's address")
	require.False(t, reaches(0, "10.46.189.6", "10.46.189.5"), "another one's address, to its server's")
	require.True(t, reaches(public, "192.0.2.2", "192.0.2.1"), "what is public stays so")
	require.False(t, reaches(public, "192.0.2.2", "10.46.189.1"), "the server's private address from the public VLAN")
	require.False(t, reaches(public, "10.46.189.2", "10.46.189.1"), "a computer's private address from the public VLAN")
	require.False(t, reaches(public, "10.46.189.2", "192.0.2.1"), "that, to the public address")
	lab.Run(t, "ip", "-n", "public", "address", "delete", "10.46.189.2/32", "dev", "eth0")
	require.False(t, reaches(public, "192.0.2.2", "10.46.189.2"), "forwarded to a computer")
	require.False(t, reaches(0, "10.46.189.2", "192.0.2.2"), "forwarded from a computer")
}

// wires makes what the plan's private VLANs are once the switch has done its
// part: an interface of the VLAN's name for each, with a namespace behind it in
// which eth0 has the address that the kernel gave it. (Not VLANs, because the
// kernels that have those here lack nftables, and the other way about.)
func wires(t *testing.T, plan vlan.Plan) {
	t.Helper()
	for slot, i := range plan.Server.Interfaces {
		name := plan.Hosts[slot].Name
		lab.Run(t, "ip", "netns", "add", name)
		lab.Run(t, "ip", "link", "add", i.IfName(), "type", "veth", "peer", "name", "eth0", "netns", name)
		lab.Run(t, "ip", "address", "add", i.Addresses[0].String(), "dev", i.IfName())
		lab.Run(t, "ip", "link", "set", i.IfName(), "up")
		lab.Run(t, "ip", "-n", name, "address", "add", private(slot, 2).String()+"/30", "dev", "eth0")
		lab.Run(t, "ip", "-n", name, "link", "set", "eth0", "up")
		lab.Run(t, "ip", "-n", name, "route", "add", "default", "via", private(slot, 1).String())
	}
}
