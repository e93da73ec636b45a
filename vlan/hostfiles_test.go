//go:build linux

package vlan_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/ifupdown"
	"github.com/stretchr/testify/require"
)

// story is how the story has the first two stanzas of its fileserver.
const story = `auto eth0.10
iface eth0.10 inet static
	address 10.46.189.1
	netmask 255.255.255.252

auto eth0.11
iface eth0.11 inet static
	address 10.46.189.5
	netmask 255.255.255.252
`

func TestIfupdownStory(t *testing.T) {
	require.True(t, strings.HasPrefix(rack(8).Server.Ifupdown(), story))
	require.Equal(t, story, rack(2).Server.Ifupdown())
}

// hosts are those whose files are compared and judged.
func hosts() map[string]vlan.Host {
	return map[string]vlan.Host{
		"server": rack(8).Server,
		"pi1":    computer(0),
		"odd":    {Name: "odd", Interfaces: odd},
	}
}

func TestHostFilesGolden(t *testing.T) {
	for name, host := range hosts() {
		golden(t, name+"/interfaces", host.Ifupdown())
		for kind, files := range map[string][]vlan.File{"networkd": host.Networkd(), "NetworkManager": host.NetworkManager()} {
			var all strings.Builder
			for _, file := range files {
				fmt.Fprintf(&all, "==> %s (secret: %t) <==\n%s\n", file.Name, file.Secret, file.Text)
			}
			golden(t, name+"/"+kind, all.String())
		}
	}
}

// TestIfupdownReadsBack: our own parser finds in each file what it was made of.
func TestIfupdownReadsBack(t *testing.T) {
	for _, host := range hosts() {
		file, err := ifupdown.Parse(host.Ifupdown())
		require.NoError(t, err)
		for _, i := range host.Interfaces {
			var addresses, gateways []string
			for _, stanza := range file.Stanzas {
				if stanza.Keyword == "iface" && stanza.Args[0] == i.IfName() {
					addresses = append(addresses, stanza.Values("address")...)
					gateways = append(gateways, stanza.Values("gateway")...)
				}
			}
			require.Len(t, addresses, len(i.Addresses))
			for _, prefix := range i.Addresses {
				require.Contains(t, addresses, prefix.Addr().String())
			}
			require.Len(t, gateways, len(i.Gateways))
		}
	}
}

// TestIfquery: ifupdown finds every interface, address, netmask and gateway.
func TestIfquery(t *testing.T) {
	lab.Need(t, "ifquery", "ifup")
	for _, host := range hosts() {
		path := filepath.Join(t.TempDir(), "interfaces")
		require.NoError(t, os.WriteFile(path, []byte(host.Ifupdown()), 0o644))
		state := "--state-dir=" + t.TempDir()
		listed := strings.Fields(lab.Run(t, "ifquery", state, "-i", path, "--list", "-a"))
		for _, i := range host.Interfaces {
			require.Contains(t, listed, i.IfName())
			if len(i.Addresses) == 0 {
				continue
			}
			answer := lab.Run(t, "ifquery", state, "-i", path, i.IfName())
			for _, prefix := range i.Addresses {
				require.Contains(t, answer, "address: "+prefix.Addr().String()+"\n")
			}
			for _, gateway := range i.Gateways {
				require.Contains(t, answer, "gateway: "+gateway.String()+"\n")
			}
		}
		require.NotContains(t, listed, host.RootDevice+"\n")
		commands, err := exec.CommandContext(t.Context(), lab.Program(t, "ifup"), state, "-i", path, "--no-act", "-a", "--verbose").CombinedOutput()
		require.NoError(t, err, "%s", commands)
		for _, i := range host.Interfaces {
			for _, prefix := range i.Addresses {
				require.Contains(t, string(commands), "addr add "+prefix.Addr().String()+"/")
			}
		}
	}
}

// TestIfupdownPi: in a guest with a network, ifup -a adds the VLAN and ifdown
// -a takes it away; eth0 keeps its address, its route and its state.
func TestIfupdownPi(t *testing.T) {
	lab.Need(t, "ifup", "ifdown", "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	path, state := "/run/interfaces", "--state-dir=/run/ifstate"
	require.NoError(t, os.Mkdir("/run/ifstate", 0o755))
	require.NoError(t, os.WriteFile(path, []byte(computer(0).Ifupdown()), 0o644))
	events := monitor(t, "address", "link", "route")
	lab.Run(t, "ifup", state, "-i", path, "-a")
	require.Contains(t, shell(t, "ip -6 -o address show dev eth0.131"), "2a00:1098:0:84:1000:1:0:2/64")
	require.Contains(t, shell(t, "ip -6 route show default"), "via 2a00:1098:0:84::1 dev eth0.131")
	lab.Run(t, "ifdown", state, "-i", path, "-a")
	require.NotContains(t, shell(t, "ip -o link"), "eth0.131")
	require.Contains(t, shell(t, "ip -o address show dev eth0"), "inet 10.46.189.2/30")
	require.Contains(t, shell(t, "ip -o link show dev eth0"), ",UP,")
	require.NotContains(t, of("eth0", events()), "Deleted")
}

// TestIfupdownOdd: in a guest, ifup makes what no name says.
func TestIfupdownOdd(t *testing.T) {
	lab.Need(t, "ifup", "ip")
	if !lab.InGuest(t, "8021q", "veth", "ipv6") {
		return
	}
	pi(t)
	lab.Run(t, "ip", "route", "delete", "default") // there can be one of a metric
	require.NoError(t, os.Mkdir("/run/ifstate", 0o755))
	require.NoError(t, os.WriteFile("/run/interfaces", []byte(hosts()["odd"].Ifupdown()), 0o644))
	lab.Run(t, "ifup", "--state-dir=/run/ifstate", "-i", "/run/interfaces", "-a")
	for _, i := range odd {
		link := shell(t, "ip -d -o link show dev "+i.IfName())
		require.Contains(t, link, i.IfName()+"@"+i.Parent+":")
		require.Contains(t, link, "vlan protocol "+i.Protocol.String()+" id "+i.ID.String()+" ")
		if i.MTU != 0 {
			require.Contains(t, link, fmt.Sprintf("mtu %d ", i.MTU))
		}
		addresses := shell(t, "ip -o address show dev "+i.IfName())
		for _, prefix := range i.Addresses {
			require.Contains(t, addresses, prefix.String())
		}
	}
	require.Contains(t, shell(t, "ip route show default"), "via 192.0.2.1 dev storage")
	require.Contains(t, shell(t, "ip -6 route show default"), "via fe80::1 dev storage")
}
