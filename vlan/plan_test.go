package vlan_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

func TestInterfaceCheck(t *testing.T) {
	good := vlan.Interface{Parent: "eth0", ID: 10, Addresses: []netip.Prefix{netip.MustParsePrefix("10.46.189.1/30")}}
	require.NoError(t, good.Check())
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	addrs := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	for name, test := range map[string]struct {
		change func(*vlan.Interface)
		want   string // "" is no problem
	}{
		"reserved id":       {func(i *vlan.Interface) { i.ID = 1003 }, "id 1003 is one of 1002..1005"},
		"no parent":         {func(i *vlan.Interface) { i.Parent = "" }, "parent: no name"},
		"long name":         {func(i *vlan.Interface) { i.Parent = "enp216s0f0np0"; i.ID = 4094 }, `name "enp216s0f0np0.4094" has 18 bytes, and an interface's at most 15`},
		"long name, own":    {func(i *vlan.Interface) { i.Parent = "enp216s0f0np0"; i.ID = 4094; i.Name = "pi17" }, ""},
		"long parent":       {func(i *vlan.Interface) { i.Parent = "enp216s0f0np0xxx"; i.Name = "pi1" }, "has 16 bytes"},
		"slash":             {func(i *vlan.Interface) { i.Name = "a/b" }, `name "a/b": want letters`},
		"blank":             {func(i *vlan.Interface) { i.Name = "a b" }, `name "a b": want letters`},
		"line feed":         {func(i *vlan.Interface) { i.Parent = "a\nb" }, `name "a\nb": want letters`},
		"glob":              {func(i *vlan.Interface) { i.Name = "eth*" }, `name "eth*": want letters`},
		"dots":              {func(i *vlan.Interface) { i.Name = ".." }, `name "..": want letters`},
		"an option":         {func(i *vlan.Interface) { i.Name = "-a" }, `name "-a": want letters`},
		"protocol":          {func(i *vlan.Interface) { i.Protocol = 7 }, "protocol 7 is neither"},
		"small MTU":         {func(i *vlan.Interface) { i.MTU = 67 }, "MTU 67 is not in 68..65535"},
		"MTU for IPv6":      {func(i *vlan.Interface) { i.MTU = 1279; i.Addresses = prefixes("2001:db8::1/64") }, "IPv6 needs at least 1280"},
		"zero address":      {func(i *vlan.Interface) { i.Addresses = []netip.Prefix{{}} }, "no address"},
		"subnet itself":     {func(i *vlan.Interface) { i.Addresses = prefixes("10.46.189.0/30") }, "address of the subnet itself"},
		"subnet-router":     {func(i *vlan.Interface) { i.Addresses = prefixes("2001:db8::/64") }, "address of the subnet itself"},
		"broadcast":         {func(i *vlan.Interface) { i.Addresses = prefixes("10.46.189.3/30") }, "broadcast"},
		"pair":              {func(i *vlan.Interface) { i.Addresses = prefixes("10.46.189.0/31", "2001:db8::/127") }, ""},
		"multicast":         {func(i *vlan.Interface) { i.Addresses = prefixes("224.0.0.1/8") }, "not a host's address"},
		"mapped":            {func(i *vlan.Interface) { i.Addresses = prefixes("::ffff:10.0.0.1/120") }, "not a host's address"},
		"address twice":     {func(i *vlan.Interface) { i.Addresses = prefixes("10.0.0.1/30", "10.0.0.1/24") }, "address 10.0.0.1 twice"},
		"gateway":           {func(i *vlan.Interface) { i.Gateways = addrs("10.46.189.2") }, ""},
		"gateway elsewhere": {func(i *vlan.Interface) { i.Gateways = addrs("10.46.189.6") }, "gateway 10.46.189.6 is on no subnet"},
		"gateway is itself": {func(i *vlan.Interface) { i.Gateways = addrs("10.46.189.1") }, "own address"},
		"gateways":          {func(i *vlan.Interface) { i.Gateways = addrs("10.46.189.2", "10.46.189.2") }, "second one of its family"},
		"no gateway":        {func(i *vlan.Interface) { i.Gateways = []netip.Addr{{}} }, "no plain address"},
		"link-local":        {func(i *vlan.Interface) { i.Addresses = prefixes("2001:db8::1/64"); i.Gateways = addrs("fe80::1") }, ""},
		"link-local alone":  {func(i *vlan.Interface) { i.Gateways = addrs("fe80::1") }, "on no subnet"},
	} {
		t.Run(name, func(t *testing.T) {
			i := good
			test.change(&i)
			if test.want == "" {
				require.NoError(t, i.Check())
				return
			}
			require.ErrorContains(t, i.Check(), test.want)
			require.ErrorContains(t, i.Check(), "vlan: "+i.IfName()+": ")
			require.ErrorContains(t, vlan.Plan{Server: vlan.Host{Name: "fs", Interfaces: []vlan.Interface{i}}}.Check(), test.want)
		})
	}
}

func TestPlanCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*vlan.Plan)
		want   []string // every problem, in order
	}{
		"the story": {func(*vlan.Plan) {}, nil},
		"public inside the private range": {func(p *vlan.Plan) { p.Private.Skip, p.Private.Slots = nil, 200 }, []string{
			"public VLAN 131 is inside the private range: it is that of slot 121: skip it",
			"host pi1: eth0.131: VLAN 131 is the private one of slot 121, which reaches its computer untagged",
			"host pi2: eth0.131: VLAN 131 is the private one of slot 121, which reaches its computer untagged",
			"switch sw1 port 1: private VLAN 131 is tagged on a computer's port",
			"switch sw1 port 2: private VLAN 131 is tagged on a computer's port",
		}},
		"reserved public": {func(p *vlan.Plan) { p.Public = 1004 }, []string{"public VLAN: id 1004 is one of 1002..1005, which Cisco switches keep for FDDI and Token Ring: choose another"}},
		"too many slots":  {func(p *vlan.Plan) { p.Private.Slots = 4081 }, []string{"private VLANs: 4081 slots, but from id 10 on only 4080 are free"}},
		"id twice": {func(p *vlan.Plan) {
			p.Server.Interfaces[1].ID, p.Server.Interfaces[1].Name = 10, "other"
		}, []string{"host fs: other: VLAN 10 is on eth0 twice: as eth0.10 too"}},
		"name twice": {func(p *vlan.Plan) { p.Server.Interfaces[1].Name = "eth0.10" }, []string{"host fs: eth0.10: the name is another interface's too"}},
		"name of the root device": {func(p *vlan.Plan) { p.Hosts[0].Interfaces[0].Name = "eth0" }, []string{
			"host pi1: eth0: the name is another interface's too"}},
		"host twice": {func(p *vlan.Plan) { p.Hosts[1].Name = "pi1" }, []string{`host "pi1": the name is empty or another one's`}},
		"address twice": {func(p *vlan.Plan) { p.Hosts[1].Interfaces[0].Addresses = p.Hosts[0].Interfaces[0].Addresses }, []string{
			"one address twice: 2a00:1098:0:84:1000:1:0:2/64 on pi1 eth0.131 and 2a00:1098:0:84:1000:1:0:2/64 on pi2 eth0.131"}},
		"prefix twice": {func(p *vlan.Plan) {
			p.Server.Interfaces[1].Addresses = []netip.Prefix{netip.MustParsePrefix("10.46.189.2/30")}
		}, []string{"overlapping prefixes in two VLANs: 10.46.189.1/30 on fs eth0.10 and 10.46.189.2/30 on fs eth0.11"}},
		"prefix inside another": {func(p *vlan.Plan) {
			p.Server.Interfaces = append(p.Server.Interfaces, vlan.Interface{Parent: "eth0", ID: 9, Addresses: []netip.Prefix{netip.MustParsePrefix("10.46.189.200/24")}})
		}, []string{
			"overlapping prefixes in two VLANs: 10.46.189.200/24 on fs eth0.9 and 10.46.189.1/30 on fs eth0.10",
			"overlapping prefixes in two VLANs: 10.46.189.200/24 on fs eth0.9 and 10.46.189.5/30 on fs eth0.11"}},
		"prefix on two interfaces": {func(p *vlan.Plan) {
			p.Hosts[0].Interfaces = append(p.Hosts[0].Interfaces, vlan.Interface{Parent: "eth1", ID: 131, Addresses: []netip.Prefix{netip.MustParsePrefix("2a00:1098:0:84::9/64")}})
		}, []string{"overlapping prefixes on two interfaces: eth0.131 and 2a00:1098:0:84::9/64 on pi1 eth1.131"}},
		"private VLAN untagged on the trunk": {func(p *vlan.Plan) {
			trunk := &p.Switches[0].Ports[2]
			trunk.PVID, trunk.Untagged, trunk.Tagged = 10, []vlan.ID{10}, []vlan.ID{11, 131}
		}, []string{
			"switch sw1 port 1: no trunk of the switch carries private VLAN 10",
			"switch sw1 port 3: private VLAN 10 is untagged on a trunk: a double-tagged frame could hop into it"}},
		"private VLAN tagged to a computer": {func(p *vlan.Plan) { p.Switches[0].Ports[0].Tagged = []vlan.ID{131, 11} }, []string{
			"switch sw1 port 1: private VLAN 11 is tagged on a computer's port"}},
		"VLAN 1 left": {func(p *vlan.Plan) { p.Switches[0].Ports[0].Tagged = []vlan.ID{131, 1} }, []string{
			"switch sw1: port 1: VLAN 1 is left on a computer's port"}},
		"VLAN 1 untagged": {func(p *vlan.Plan) { p.Switches[0].Ports[0].PVID, p.Switches[0].Ports[0].Untagged = 1, []vlan.ID{1} }, []string{
			"switch sw1: port 1: VLAN 1 is left on a computer's port"}},
		"VLAN 1 on the trunk": {func(p *vlan.Plan) { p.Switches[0].Ports[2].Tagged = []vlan.ID{10, 11, 1} }, []string{
			"switch sw1: port 3: id 1 is every switch's default VLAN: choose another"}},
		"two computers in a VLAN": {func(p *vlan.Plan) { p.Switches[0].Ports[1].PVID, p.Switches[0].Ports[1].Untagged = 10, []vlan.ID{10} }, []string{
			"switch sw1 port 2: private VLAN 10 is that of switch sw1 port 1 too"}},
		"PVID elsewhere": {func(p *vlan.Plan) { p.Switches[0].Ports[0].PVID = 99 }, []string{
			"switch sw1: port 1: PVID 99, but untagged [10]: frames would not leave as they come in"}},
		"tagged and untagged": {func(p *vlan.Plan) { p.Switches[0].Ports[2].Tagged = []vlan.ID{10, 11, 131, 131} }, []string{
			"switch sw1: port 3: VLAN 131 twice"}},
		"port twice": {func(p *vlan.Plan) { p.Switches[0].Ports[1].Number = 1 }, []string{"switch sw1: port 1 swp2 twice"}},
		"bad port": {func(p *vlan.Plan) {
			port := &p.Switches[0].Ports[1]
			port.Number, port.Name, port.Description = 0, "swp 2", "a\nb"
		}, []string{
			"switch sw1: port 0: number 0: ports count from 1",
			`switch sw1: port 0: name "swp 2": want letters, digits and one of ./:_-`,
			`switch sw1: port 0: description "a\nb" is not one line of text without quotes`}},
		"switch twice": {func(p *vlan.Plan) { p.Switches = append(p.Switches, vlan.Switch{Name: "sw1"}) }, []string{`switch "sw1": the name is empty or another one's`}},
	} {
		t.Run(name, func(t *testing.T) {
			plan := rack(2)
			test.change(&plan)
			err := plan.Check()
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "vlan: "+strings.Join(test.want, "\nvlan: "))
		})
	}
}

// TestPlanCheckLarge checks that a whole rack of 4,000 is free of problems, and
// that one address too many is found in it.
func TestPlanCheckLarge(t *testing.T) {
	plan := rack(4000)
	require.NoError(t, plan.Check())
	plan.Server.Interfaces[3999].Addresses = slices.Clone(plan.Server.Interfaces[17].Addresses)
	require.EqualError(t, plan.Check(), "vlan: one address twice: 10.46.189.69/30 on fs eth0.27 and 10.46.189.69/30 on fs eth0.4014\n"+
		"vlan: overlapping prefixes in two VLANs: 10.46.189.69/30 on fs eth0.27 and 10.46.189.69/30 on fs eth0.4014")
}

func BenchmarkPlanCheck(b *testing.B) {
	plan := rack(1000)
	for b.Loop() {
		if err := plan.Check(); err != nil {
			b.Fatal(err)
		}
	}
}
