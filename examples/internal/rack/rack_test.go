package rack

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/vlan"
)

func story(t testing.TB) *Rack {
	t.Helper()
	r, err := Parse("story.yaml", Story)
	require.NoError(t, err)
	return r
}

func file(t testing.TB, tree Tree, path string) string {
	t.Helper()
	i := slices.IndexFunc(tree, func(f File) bool { return f.Path == path })
	require.GreaterOrEqual(t, i, 0, "no file %s", path)
	return tree[i].Data
}

// What the story's people wrote by hand.
const (
	storyCmdline = "dwc_otg.lpm_enable=0 console=ttyAMA0,115200 console=tty1 root=/dev/nfs rootfstype=nfs " +
		"ip=10.46.189.2::10.46.189.1:255.255.255.252::eth0:off nfsroot=10.46.189.1:/export/10.46.189.2 " +
		"elevator=deadline fsck.repair=yes rootwait\n"
	storyServer = "auto eth0.10\niface eth0.10 inet static\n\taddress 10.46.189.1\n\tnetmask 255.255.255.252\n\n" +
		"auto eth0.11\niface eth0.11 inet static\n\taddress 10.46.189.5\n\tnetmask 255.255.255.252\n"
)

func TestStory(t *testing.T) {
	r := story(t)
	tree, err := r.Tree()
	require.NoError(t, err)
	require.Equal(t, storyCmdline, file(t, tree, "pis/pi1/cmdline.txt"))
	require.Equal(t, storyServer, file(t, tree, "server/interfaces.d/berryrack")[:len(storyServer)])

	_, stanza, found := strings.Cut(file(t, tree, "pis/pi1/interfaces"), "auto eth0.131\niface eth0.131 inet6 static\n")
	require.True(t, found)
	keys := map[string]string{}
	for line := range strings.Lines(stanza) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		keys[key] = value
	}
	require.Equal(t, netip.MustParseAddr("2a00:1098:0:84:1000:1::2"), netip.MustParseAddr(keys["address"]))
	require.Equal(t, "64", keys["netmask"])
	require.Equal(t, netip.MustParseAddr("2a00:1098:0:84::1"), netip.MustParseAddr(keys["gateway"]))
	require.Len(t, r.Pis, 8)
	require.Equal(t, vlan.ID(17), r.Pis[7].VLAN)
}

// line returns the number of the first line of text that has part in it.
func line(t *testing.T, text, part string) int {
	t.Helper()
	before, _, found := strings.Cut(text, part)
	require.True(t, found, "no %q", part)
	return strings.Count(before, "\n") + 1
}

func TestParseReportsEachProblemWithItsLine(t *testing.T) {
	good := string(Story)
	for name, tt := range map[string]struct {
		old, new string
		at       string // is on the line that the error names
		want     string
	}{
		"pool too small":        {"pool: 10.46.189.0/27", "pool: 10.46.189.0/28", "slot: 4,", "pis[4].slot"},
		"pool says how large":   {"pool: 10.46.189.0/27", "pool: 10.46.189.0/28", "slot: 7,", "/27"},
		"IPv6 pool":             {"pool: 10.46.189.0/27", "pool: 2001:db8::/64", "pool:", "know IPv4 only"},
		"no pool":               {"pool: 10.46.189.0/27", "pool: 10.46.189.0", "pool:", "no '/'"},
		"two Pis in one slot":   {"slot: 4,", "slot: 3,", "name: pi5", "slot 3 is pi4's already"},
		"two Pis on one port":   {"switch_port: 8}", "switch_port: 7}", "name: pi8", "is pi7's already"},
		"on the server's port":  {"switch_port: 8}", "switch_port: 24}", "name: pi8", "is the fileserver's already"},
		"two of one name":       {"name: pi8", "name: PI7", "name: PI7", "is pi7's already"},
		"name with a slash":     {"name: pi8", "name: ../pi8", "name: ../pi8", "host name"},
		"unknown key":           {"device: eth0", "devise: eth0", "devise", `unknown key "devise"`},
		"malformed MAC":         {"switch_port: 8}", "switch_port: 8, mac: b8:27}", "mac: b8:27", "pis[7].mac"},
		"malformed serial":      {"switch_port: 8}", "switch_port: 8, serial: 12/4}", "serial: 12/4", "pis[7].serial"},
		"reserved first VLAN":   {"first_vlan: 10", "first_vlan: 1", "first_vlan", "first_vlan"},
		"VLANs run out":         {"first_vlan: 10", "first_vlan: 4090", "name: pi6", "pis[5].slot"},
		"gateway word":          {"gateway: server", "gateway: 10.0.0.1", "gateway: 10.0.0.1", "server or none"},
		"export template":       {"{client}", "{ip}", "export:", "only {client}, {name}, {slot}"},
		"one export for all":    {"{client}", "pi", "export:", "root of both pi1 and pi2"},
		"root= twice":           {"before: dwc", "before: root=/dev/sda dwc", "before:", "root"},
		"public gateway":        {"84::1\"", "85::1\"", "gateway: \"2a00", "is not on 2a00:1098:0:84::/64"},
		"public length":         {"prefix_length: 64", "prefix_length: 129", "prefix_length", "no prefix length"},
		"unknown switch":        {"switch_port: 8}", "switch_port: 8, switch: sw9}", "switch: sw9", `no switch "sw9"`},
		"port of the server":    {"switch_port: 24}", "switch_port: 0}", "switch_port: 0}", "fileserver is plugged into"},
		"public VLAN reserved":  {"vlan: 131", "vlan: 1002", "vlan: 1002", "public.vlan"},
		"public address":        {"1000:{n}::2", "1000:{m}::2", "{m}", "only {n}"},
		"no number for a slot":  {"slot: 4,", "slot: four,", "slot: four", "whole number"},
		"long interface":        {"interface: eth0", "interface: enx001122334455", "interface: enx", "vlan_name"},
		"blank in device":       {"device: eth0", "device: \"eth 0\"", "device: ", "letters, digits"},
		"no {n}":                {"1000:{n}::2", "1000:1::2", "address: ", "put {n} into it"},
		"slash at the end":      {"{client}", "{client}/", "export:", "absolute path"},
		"no slot":               {"slot: 4, ", "", "name: pi5", "missing: a number that stays"},
		"no Pis":                {"\npis:", "\npis: []\nsites:", "pis: []", "missing: the Pis"},
		"unknown dialect":       {"server:", "switches: [{name: a, dialect: eos, port: \"{port}\"}]\nserver:", "dialect: eos", "ios, junos, linux"},
		"negative slot":         {"slot: 4,", "slot: -4,", "slot: -4", "slot"},
		"line break in cmdline": {"before: dwc", "before: \"a\\nb\" #", "before:", "one line"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, tt.old, tt.new, 1)
			require.NotEqual(t, good, bad)
			_, err := Parse("rack.yaml", []byte(bad))
			require.ErrorContains(t, err, tt.want)
			require.Contains(t, err.Error(), fmt.Sprintf("rack.yaml:%d:", line(t, bad, tt.at)))
		})
	}
}

func TestParseReportsAllProblemsAtOnce(t *testing.T) {
	bad := strings.NewReplacer("device: eth0", "devise: eth0", "slot: 4,", "slot: four,", "name: pi8", "name: a/b",
		"first_vlan: 10", "first_vlan: 1").Replace(string(Story))
	_, err := Parse("rack.yaml", []byte(bad))
	require.Error(t, err)
	require.Len(t, strings.Split(err.Error(), "\n"), 4, "%v", err)
}

// random returns a rack of up to 4,000 Pis in random slots.
func random(rng *rand.Rand, pis int) Config {
	c := Config{
		Pool: netip.MustParsePrefix("10.0.0.0/17"), FirstVLAN: 2,
		Server: Server{Interface: "eth0", SwitchPort: 10000},
		Public: &Public{VLAN: uint16(900 + rng.IntN(2000)), Address: "2001:db8:{n}::2", PrefixLength: 32},
	}
	for i, slot := range rng.Perm(4080)[:pis] {
		c.Pis = append(c.Pis, PiConfig{Name: fmt.Sprintf("pi%d", i), Slot: slot, SwitchPort: slot + 1})
	}
	return c
}

func yamlOf(c Config) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "pool: %v\nfirst_vlan: %d\nserver: {interface: %s, switch_port: %d}\n", c.Pool, c.FirstVLAN, c.Server.Interface, c.Server.SwitchPort)
	fmt.Fprintf(&b, "public: {vlan: %d, address: %q, prefix_length: %d}\npis:\n", c.Public.VLAN, c.Public.Address, c.Public.PrefixLength)
	for _, pi := range c.Pis {
		fmt.Fprintf(&b, "- {name: %s, slot: %d, switch_port: %d, serial: %q}\n", pi.Name, pi.Slot, pi.SwitchPort, pi.Serial)
	}
	return []byte(b.String())
}

func TestRandomRacks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, pis := range []int{1, 7, 100, 1000, 4000} {
		c := random(rng, pis)
		r, err := Parse("random.yaml", yamlOf(c))
		require.NoError(t, err)
		require.Len(t, r.Pis, pis)

		ids, end := map[vlan.ID]bool{vlan.ID(c.Public.VLAN): true}, netip.Addr{}
		for _, pi := range r.Pis { // in the order of slots, and so of addresses
			require.False(t, ids[pi.VLAN], "VLAN %d twice", pi.VLAN)
			require.NoError(t, pi.VLAN.Check())
			ids[pi.VLAN] = true
			require.True(t, c.Pool.Contains(pi.Link.Network.Addr()) && c.Pool.Contains(pi.Link.Broadcast))
			require.True(t, !end.IsValid() || end.Less(pi.Link.Network.Addr()), "%v overlaps", pi.Link.Network)
			end = pi.Link.Broadcast
		}

		// Take some away: nothing that stays moves.
		before := map[string]Pi{}
		for _, pi := range r.Pis {
			before[pi.Name] = pi
		}
		c.Pis = slices.DeleteFunc(c.Pis, func(PiConfig) bool { return rng.IntN(3) == 0 })
		smaller, err := Parse("smaller.yaml", yamlOf(c))
		require.NoError(t, err)
		for _, pi := range smaller.Pis {
			require.Equal(t, before[pi.Name], pi)
		}
	}
}

func TestTwoSwitches(t *testing.T) {
	two := strings.NewReplacer("server: {", "switches: [{name: a, port: \"swp{port}\", trunks: [48]}, {name: b, port: \"swp{port}\", trunks: [1]}]\nserver: {switch: a, ",
		"public:", "public:\n  switch: a", "{name: pi8,", "{name: pi8, switch: b,", "switch_port: 8", "switch_port: 2", "{name: pi", "{switch: a, name: pi").Replace(string(Story))
	two = strings.Replace(two, "{switch: a, name: pi8, switch: b,", "{name: pi8, switch: b,", 1)
	r, err := Parse("two.yaml", []byte(two))
	require.NoError(t, err)
	a, b := r.VLANs.Switches[0], r.VLANs.Switches[1]
	require.Equal(t, vlan.Port{Number: 48, Name: "swp48", Description: "trunk", Trunk: true, Tagged: []vlan.ID{131, 10, 11, 12, 13, 14, 15, 16, 17}}, a.Ports[8])
	require.Equal(t, "pi8", b.Ports[1].Description)

	_, err = Parse("two.yaml", []byte(strings.Replace(two, "switch: b, slot: 7, switch_port: 2", "switch: b, slot: 7, switch_port: 1", 1)))
	require.ErrorContains(t, err, "port 1 of b is a trunk's already")
}

func TestNamedInterfaces(t *testing.T) {
	r, err := Parse("x", []byte(strings.Replace(string(Story), "{interface: eth0,", "{interface: enx001122334455, vlan_name: \"pi{vlan}\",", 1)))
	require.NoError(t, err)
	tree, err := r.Tree()
	require.NoError(t, err)
	require.Contains(t, file(t, tree, "server/interfaces.d/berryrack"), "ip link add link enx001122334455 name pi10 type vlan")
	require.Contains(t, file(t, tree, "server/nftables.d/berryrack.nft"), `"pi17" . 10.46.189.30`)
}

func TestMunin(t *testing.T) {
	r, err := Parse("x", []byte(string(Story)+"munin: {masters: [\"2001:db8::1\"]}\n"))
	require.NoError(t, err)
	tree, err := r.Tree()
	require.NoError(t, err)
	require.Contains(t, file(t, tree, "munin/berryrack.conf"), "[rack;pi1]\n    address [2a00:1098:0:84:1000:1:0:2]\n")
	require.Contains(t, file(t, tree, "pis/pi8/munin-node.conf"), "host_name pi8\n")
	require.Contains(t, file(t, tree, "pis/pi8/munin-node.conf"), `allow ^2001:db8::1$`)
}

func TestSwitchFiles(t *testing.T) {
	text := string(Story) + "switches: [{name: sw1, dialect: %s, port: \"%s{port}\"}]\n"
	for dialect, tt := range map[string]struct{ port, want string }{
		"ios":   {"GigabitEthernet1/0/", "interface GigabitEthernet1/0/3\n"},
		"junos": {"ge-0/0/", "set interfaces ge-0/0/3 "},
		"linux": {"swp", "swp3"},
	} {
		r, err := Parse("x", fmt.Appendf(nil, text, dialect, tt.port))
		require.NoError(t, err)
		tree, err := r.Tree()
		require.NoError(t, err)
		require.Contains(t, file(t, tree, "switch/sw1."+dialect), tt.want)
	}
}

func TestBalancerFiles(t *testing.T) {
	r, err := Parse("x", []byte(string(Story)+"sites: [{names: [www.example.org], scheme: http}]\n"))
	require.NoError(t, err)
	tree, err := r.Tree()
	require.NoError(t, err)
	require.Contains(t, file(t, tree, "lb/frontend.yaml"), `- "[2a00:1098:0:84:1000:8:0:2]"`)
	require.Contains(t, file(t, tree, "lb/frontend.yaml"), `allow_backends: ["2a00:1098:0:84::/64"]`)
	require.Contains(t, file(t, tree, "lb/nginx-upstream.conf"), "server [2a00:1098:0:84:1000:8:0:2]:80;")
	require.Contains(t, file(t, tree, "lb/haproxy-backend.cfg"), "server s8 [2a00:1098:0:84:1000:8:0:2]:80 check")
}

func TestWarnings(t *testing.T) {
	missing := func(string) (uint64, error) { return 0, os.ErrNotExist }
	warnings := strings.Join(story(t).Warnings(missing), "\n")
	require.Contains(t, warnings, "filesystem of its own")
	require.Contains(t, warnings, "vers=3", "the story's line says no NFS version")
	require.Contains(t, warnings, "pi1, pi2, pi3 and 5 more")

	shared := func(string) (uint64, error) { return 7, nil }
	require.Contains(t, strings.Join(story(t).Warnings(shared), "\n"), "/export/10.46.189.2")
}

func TestSummaryPrints(t *testing.T) {
	var b strings.Builder
	missing := func(string) (uint64, error) { return 0, os.ErrNotExist }
	require.NoError(t, story(t).Summarise(missing).WriteText(&b))
	require.Contains(t, b.String(), "pi8  7     17    10.46.189.28/30")
	require.Contains(t, b.String(), strings.TrimSpace(storyCmdline))
}

func BenchmarkParse(b *testing.B) {
	data := yamlOf(random(rand.New(rand.NewPCG(1, 2)), 1000))
	for b.Loop() {
		_, err := Parse("random.yaml", data)
		require.NoError(b, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Story)
	f.Add([]byte("pis: [{slot: -1}, {slot: 1e9}]\nexport: '{'\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("x", data)
		if err != nil {
			return
		}
		_, err = r.Tree()
		if err != nil {
			t.Skip(err) // a name that only one file cannot hold
		}
	})
}
