package switchconf_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/switchconf"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the tests with -update")
	require.Equal(t, string(want), text, path)
}

// rack returns a plan of n computers on one switch, whose ports are named by
// the format: the story's VLANs, and the fileserver in the public one as well.
func rack(n int, format string) vlan.Plan {
	plan := vlan.Plan{
		Private: vlan.Numbering{First: 10, Skip: []vlan.ID{131}, Slots: n},
		Public:  131,
		Server:  vlan.Host{Name: "fs"},
	}
	trunk := vlan.Port{Number: 24, Name: fmt.Sprintf(format, 24), Description: "fs", Trunk: true, Tagged: []vlan.ID{131}}
	var ports []vlan.Port
	for slot := range n {
		id, err := plan.Private.ID(slot)
		if err != nil {
			panic(err)
		}
		name := fmt.Sprintf("pi%d", slot+1)
		plan.Hosts = append(plan.Hosts, vlan.Host{Name: name, RootDevice: "eth0", Interfaces: []vlan.Interface{public(slot + 1)}})
		plan.Server.Interfaces = append(plan.Server.Interfaces, vlan.Interface{Parent: "eth0", ID: id, Addresses: []netip.Prefix{netip.PrefixFrom(private(slot, 1), 30)}})
		ports = append(ports, vlan.Port{Number: slot + 1, Name: fmt.Sprintf(format, slot+1), Description: name, PVID: id, Untagged: []vlan.ID{id}, Tagged: []vlan.ID{131}})
		trunk.Tagged = append(trunk.Tagged, id)
	}
	plan.Server.Interfaces = append(plan.Server.Interfaces, public(0))
	plan.Switches = []vlan.Switch{{Name: "sw1", Ports: append(ports, trunk)}}
	return plan
}

// public returns a host's interface in the public VLAN.
func public(n int) vlan.Interface {
	return vlan.Interface{Parent: "eth0", ID: 131, Addresses: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("2a00:1098:0:84:1000:%x::2/64", n))}}
}

func private(slot, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 46, 189, byte(4*slot + host)})
}

// dialects are what is compared with golden files. Sources, for those who
// review them:
//
//   - IOS: "switchport trunk" (allowed vlan, native vlan, and that encapsulation is
//     for platforms with ISL), "switchport mode", "switchport nonegotiate", "vtp" in
//     Command Reference, Cisco IOS XE Everest 16.5.1a (Catalyst 3650 Switches),
//     https://www.manualslib.com/manual/1325558/Cisco-Catalyst-3650-Series.html?page=1077
//     and Catalyst 4500 Series Switch Cisco IOS Command Reference, Release IOS XE 3.3.0XO;
//     VLAN Configuration Guide, Cisco IOS XE Amsterdam 17.1.x (Catalyst 9500
//     Switches), chapter "Configuring VLAN Trunks".
//   - Junos: "native-vlan-id" ([edit interfaces interface-name] with ELS; untagged
//     frames are dropped on a trunk without it),
//     https://juniper.net/documentation/us/en/software/junos/multicast-l2/topics/ref/statement/native-vlan-id-edit-interfaces-qfx-series.html
//     "interface-mode" and "vlan members" in Ethernet Switching Feature Guide for
//     EX2300, EX3400, and EX4300 Switches (2018).
//   - Bridge: ip-link(8), bridge(8). Networkd: systemd.netdev(5), systemd.network(5).
var dialects = map[string]struct {
	ports string
	write func(vlan.Plan, string) (string, error)
}{
	"ios":    {"GigabitEthernet1/0/%d", switchconf.IOS},
	"junos":  {"ge-0/0/%d", switchconf.Junos},
	"bridge": {"swp%d", switchconf.Bridge},
	"networkd": {"swp%d", func(plan vlan.Plan, name string) (string, error) {
		files, err := switchconf.Networkd(plan, name)
		var b strings.Builder
		for _, file := range files {
			fmt.Fprintf(&b, "==> %s <==\n%s\n", file.Name, file.Text)
		}
		return b.String(), err
	}},
}

func TestGolden(t *testing.T) {
	for name, dialect := range dialects {
		text, err := dialect.write(rack(8, dialect.ports), "sw1")
		require.NoError(t, err)
		golden(t, "story."+name, text)

		plan := rack(2, dialect.ports)
		ports := &plan.Switches[0].Ports
		(*ports)[0].Tagged = nil                         // a computer without the public VLAN
		(*ports)[1].Description = "pi2 $(reboot) `x` \\" // what a shell must not read
		*ports = append(*ports, vlan.Port{Number: 23, Name: fmt.Sprintf(dialect.ports, 23)})
		text, err = dialect.write(plan, "sw1")
		require.NoError(t, err)
		golden(t, "odd."+name, text)
	}
}

// TestLarge: lists of VLANs stay short, or on several lines.
func TestLarge(t *testing.T) {
	plan := rack(40, "GigabitEthernet1/0/%d")
	plan.Private.Slots = 2000
	ports := plan.Switches[0].Ports
	trunk := &ports[40]
	trunk.Number, trunk.Name = 99, "GigabitEthernet1/0/99"
	trunk.Tagged = nil
	for slot := range 2000 {
		if slot < 40 || slot%2 == 0 {
			id, err := plan.Private.ID(slot)
			require.NoError(t, err)
			trunk.Tagged = append(trunk.Tagged, id)
		}
	}
	text, err := switchconf.IOS(plan, "sw1")
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		require.Less(t, len(line), 120)
	}
	require.Contains(t, text, "\nvtp mode transparent\n")
	require.Contains(t, text, " switchport trunk allowed vlan 10-50,52,")
	require.Contains(t, text, " switchport trunk allowed vlan add ")
}

func TestProblems(t *testing.T) {
	plan := rack(2, "swp%d")
	plan.Switches[0].Ports[0].Name = ""
	for name, dialect := range dialects {
		_, err := dialect.write(plan, "sw1")
		require.EqualError(t, err, "switchconf: switch sw1: port 1 has no name", name)
		_, err = dialect.write(plan, "sw2")
		require.EqualError(t, err, `switchconf: the plan has no switch "sw2"`, name)
	}
	plan.Switches[0].Ports[0].Name = "swp1:reboot"
	_, err := switchconf.Bridge(plan, "sw1")
	require.EqualError(t, err, `switchconf: switch sw1: port 1: "swp1:reboot" is no Linux interface for a port`)
	for name, dialect := range dialects {
		plan.Switches[0].Ports[0].Name = "swp1;reboot"
		_, err := dialect.write(plan, "sw1")
		require.ErrorContains(t, err, `name "swp1;reboot": want letters`, name)
		plan.Switches[0].Ports[0].Name = "swp1"
		plan.Switches[0].Name = "sw1\nreload"
		_, err = dialect.write(plan, "sw1\nreload")
		require.ErrorContains(t, err, "not one line of text", name)
		plan.Switches[0].Name = "sw1"
	}
	plan.Switches[0].Ports[1].Untagged[0] = 1
	_, err = switchconf.IOS(plan, "sw1")
	require.ErrorContains(t, err, "VLAN 1 is left on a computer's port")
}

func Example() {
	plan := vlan.Plan{
		Private: vlan.Numbering{First: 10},
		Public:  131,
		Switches: []vlan.Switch{{Name: "sw1", Ports: []vlan.Port{
			{Number: 1, Name: "ge-0/0/1", Description: "pi1", PVID: 10, Untagged: []vlan.ID{10}},
			{Number: 24, Name: "ge-0/0/24", Description: "fs", Trunk: true, Tagged: []vlan.ID{10}},
		}}},
	}
	plan.Private.Skip = []vlan.ID{131}
	text, err := switchconf.Junos(plan, "sw1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(text)
	// Output:
	// # switch sw1
	// set vlans pi1-10 vlan-id 10
	// delete interfaces ge-0/0/1 native-vlan-id
	// delete interfaces ge-0/0/1 unit 0 family ethernet-switching
	// set interfaces ge-0/0/1 description "pi1"
	// delete interfaces ge-0/0/1 disable
	// set interfaces ge-0/0/1 unit 0 family ethernet-switching interface-mode access
	// set interfaces ge-0/0/1 unit 0 family ethernet-switching vlan members 10
	// set protocols rstp interface ge-0/0/1 edge
	// delete interfaces ge-0/0/24 native-vlan-id
	// delete interfaces ge-0/0/24 unit 0 family ethernet-switching
	// set interfaces ge-0/0/24 description "fs"
	// delete interfaces ge-0/0/24 disable
	// set interfaces ge-0/0/24 unit 0 family ethernet-switching interface-mode trunk
	// set interfaces ge-0/0/24 unit 0 family ethernet-switching vlan members 10
	// set protocols rstp bpdu-block-on-edge
}
