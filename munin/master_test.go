package munin

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func ip(s string) Address { return IPAddress(netip.MustParseAddr(s)) }

// whole says one of everything.
func whole() *Master {
	return &Master{
		Settings: map[string]string{"dbdir": "/var/lib/munin", "max_processes": "32"},
		TLS:      &TLS{Mode: TLSAuto, CACertificate: "/etc/munin/ca.pem", VerifyCertificate: true, VerifyDepth: 3},
		Contacts: []Contact{{Name: "ops", Command: `mail -s "Munin #1" ops@example.org`, AlwaysSend: []string{"critical", "warning"}, MaxMessages: 5, Settings: map[string]string{"text": "x"}}},
		Groups:   []Group{{Name: "web", NodeOrder: []string{"totals", "fenrir.example.org"}, Contacts: []string{"ops"}}, {Name: "rack;eu", Settings: map[string]string{"group_order": "a b"}}},
		Hosts: []Host{
			{Group: "web", Name: "fenrir.example.org", Address: ip("2a00:1098:0:82:1000:0:39:6712"), Port: 4950, UseNodeName: true, LocalAddress: netip.MustParseAddr("2a00:1098::1"),
				Services: map[string]Service{"load": {Fields: map[string]Field{"load": {Warning: Limit{Max: new(5.5)}, Critical: Limit{Min: new(-1.0), Max: new(10.0)}, Settings: map[string]string{"draw": "AREA"}}}, Settings: map[string]string{"graph_args": "--base 1000"}}}},
			{Group: "web", Name: "ratatoskr.example.org", Address: ip("93.93.131.124"), Contacts: []string{"none"}, TLS: &TLS{Mode: TLSParanoid, Match: "CN=ratatoskr"}},
			{Group: "web", Name: "totals", NoUpdate: true, Services: map[string]Service{"load": {Title: "All", Order: []string{"a=web;fenrir.example.org:load.load"},
				Fields: map[string]Field{"sum": {Label: "Sum", Sum: []string{"web;fenrir.example.org:load.load", "web;ratatoskr.example.org:load.load"}}, "dummy": {Stack: []string{"a=web;fenrir.example.org:load.load"}}}}}},
			{Group: "rack;eu", Name: "pi1", Address: ip("fe80::1%eth0.10"), Settings: map[string]string{"notify_alias": "pi"}},
			{Group: "rack;eu", Name: "pi2", Address: NameAddress("pi2.example.org")},
			{Group: "rack;eu", Name: "pi3", Address: SSHAddress("munin", ip("2001:db8::3"), 2222, "/usr/bin/nc localhost 4949")},
			{Group: "rack;eu", Name: "pi4", Address: CommandAddress("/usr/bin/nc localhost 4949")},
		},
	}
}

func TestAppendText(t *testing.T) {
	text, err := whole().AppendText(nil)
	require.NoError(t, err)
	golden(t, "testdata/conf/whole.conf", text)
	m := decode(t, string(text))
	again, err := m.AppendText(nil)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
	m.Hosts, m.Groups = shuffled(m.Hosts), shuffled(m.Groups)
	again, err = m.AppendText(nil)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again), "the order of an inventory does not matter")
	want := whole()
	want.sortHosts()
	m.sortHosts()
	require.Equal(t, want, m, "what is read is what was written")
}

func shuffled[T any](s []T) []T {
	s = slices.Clone(s)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	return s
}

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("munin.conf", strings.NewReader(text))
	require.NoError(t, err)
	return f
}

func decode(t testing.TB, text string) *Master {
	t.Helper()
	m, err := Decode(parse(t, text))
	require.NoError(t, err)
	return m
}

func TestZeroMaster(t *testing.T) {
	text, err := (&Master{}).AppendText(nil)
	require.NoError(t, err)
	require.Empty(t, text)
}

func TestValidate(t *testing.T) {
	v6 := ip("2001:db8::1")
	host := func(h Host) *Master {
		if h.Group == "" {
			h.Group = "web"
		}
		if h.Name == "" {
			h.Name = "a"
		}
		if h.Address.IsZero() {
			h.Address = v6
		}
		return &Master{Hosts: []Host{h}}
	}
	hosts := func(names ...string) *Master {
		m := &Master{}
		for _, name := range names {
			group, name, _ := cutLast(name, ";")
			m.Hosts = append(m.Hosts, Host{Group: group, Name: name, Address: v6})
		}
		return m
	}
	field := func(f Field) *Master {
		return host(Host{Services: map[string]Service{"load": {Fields: map[string]Field{"load": f}}}})
	}
	settings := func(key, value string) *Master { return host(Host{Settings: map[string]string{key: value}}) }
	for name, test := range map[string]struct {
		m    *Master
		want string
	}{
		"underscore":          {host(Host{Name: "a_b"}), "munin: web;a_b: host a_b: munin stops at any character"},
		"dots":                {host(Host{Name: ".."}), "each part between dots"},
		"flag":                {host(Host{Name: "-rf"}), "begins nor ends with a hyphen"},
		"newline in name":     {host(Host{Name: "a\nb"}), `host "a\nb"`},
		"semicolon in name":   {host(Host{Name: "a;b"}), "munin stops at"},
		"root key":            {host(Host{Group: "dbdir"}), "dbdir is also a setting there"},
		"version":             {host(Host{Group: "version;web"}), "version is also a setting there"},
		"host and setting":    {&Master{Groups: []Group{{Name: "web", Contacts: []string{"none"}}}, Hosts: []Host{{Group: "web", Name: "contacts", Address: v6}}}, "web;contacts: contacts is also a setting there"},
		"subgroup and value":  {&Master{Groups: []Group{{Name: "web", NodeOrder: []string{"a"}}}, Hosts: []Host{{Group: "web;node_order", Name: "a", Address: v6}}}, "node_order is also a setting there"},
		"group and setting":   {&Master{Settings: map[string]string{"graph_width": "500"}, Hosts: []Host{{Group: "graph_width", Name: "a", Address: v6}}}, "graph_width is also a setting there"},
		"traversal":           {host(Host{Group: "../../etc"}), "letters, digits and _"},
		"parent":              {host(Host{Group: ".."}), "lead out of munin's directory"},
		"inner parent":        {host(Host{Group: "a;..;b"}), "lead out of munin's directory"},
		"hidden":              {host(Host{Group: ".a"}), "leading dot"},
		"blank group":         {host(Host{Group: "a b"}), "would collect the data and not show it"},
		"empty part":          {host(Host{Group: "a;;b"}), "an empty name"},
		"bracket":             {host(Host{Group: "a]"}), "letters, digits and _"},
		"no group":            {&Master{Hosts: []Host{{Name: "a", Address: v6}}}, "no group"},
		"no name":             {&Master{Hosts: []Host{{Group: "web", Address: v6}}}, "no name"},
		"long":                {host(Host{Name: strings.Repeat("a.", 80) + "a"}), "longer than 150"},
		"twice":               {hosts("web;a", "web;a"), "listed twice"},
		"case":                {hosts("web;a", "web;A"), "differs from web;A in case alone"},
		"group case":          {hosts("web;a", "Web;b"), "is also written"},
		"shared lock":         {hosts("a-b;c", "a;b;c"), "one lock and one state file (munin-a-b-c)"},
		"shared lock 2":       {hosts("a;b-c", "a-b;c"), "one lock"},
		"host is group":       {hosts("a;b", "a;b;c"), "there is also a group a;b"},
		"no address":          {&Master{Hosts: []Host{{Group: "web", Name: "a"}}}, "no address"},
		"unspecified":         {host(Host{Address: ip("::")}), "no node listens"},
		"zone":                {host(Host{Address: IPAddress(netip.MustParseAddr("fe80::1").WithZone("a/b"))}), "zone"},
		"raw IPv6 as name":    {host(Host{Address: NameAddress("2001:db8::1")}), "neither an IP address nor a host's name"},
		"port as name":        {host(Host{Address: NameAddress("a:4950")}), "write it as port"},
		"command as name":     {host(Host{Address: NameAddress("cmd:///bin/sh")}), "run a command"},
		"ssh as name":         {host(Host{Address: NameAddress("ssh://h/")}), "run a command"},
		"blank in name":       {host(Host{Address: NameAddress("a b")}), "neither an IP"},
		"number":              {host(Host{Address: NameAddress("127.1")}), "ends in a number"},
		"ssh user":            {host(Host{Address: SSHAddress("a;b", v6, 0, "")}), "ssh user"},
		"ssh without host":    {host(Host{Address: SSHAddress("", Address{}, 0, "")}), "names a host"},
		"relative command":    {host(Host{Address: CommandAddress("nc")}), "absolute path"},
		"shell":               {host(Host{Address: CommandAddress("/bin/sh;id x")}), "absolute path"},
		"command with line":   {host(Host{Address: CommandAddress("/bin/x a\nb")}), "control character"},
		"family":              {host(Host{LocalAddress: netip.MustParseAddr("192.0.2.1")}), "different families"},
		"TLS":                 {host(Host{TLS: &TLS{Mode: "yes"}}), "none of disabled"},
		"TLS of all":          {&Master{TLS: &TLS{Mode: "yes"}}, "none of disabled"},
		"depth":               {host(Host{TLS: &TLS{VerifyDepth: -1}}), "depth"},
		"unknown key":         {settings("adress", "x"), "no setting of munin's"},
		"field of service":    {settings("load.warning", "5"), "write service.field.warning"},
		"double dot":          {settings("load..warning", "5"), "single dots"},
		"newline in key":      {settings("a\nb.label", "x"), "single dots"},
		"newline in value":    {settings("notify_alias", "x\n[web;b]"), "line end in the value"},
		"continuation":        {settings("notify_alias", `x\`), "joins the next line"},
		"blank at the end":    {settings("notify_alias", "x "), "cuts blanks"},
		"empty value":         {settings("notify_alias", ""), "no value"},
		"host_name":           {settings("host_name", "b"), "rename the host"},
		"boolean":             {settings("update", "maybe"), "not yes or no"},
		"port":                {settings("port", "0"), "not a number"},
		"address in settings": {&Master{Hosts: []Host{{Group: "web", Name: "a", Settings: map[string]string{"address": "[::1]"}}}}, "use Address"},
		"field and settings":  {host(Host{Port: 1, Settings: map[string]string{"port": "2"}}), "set by its field and again"},
		"limit":               {field(Field{Warning: Limit{Min: new(2.0), Max: new(1.0)}}), "greater than the greatest"},
		"no limit":            {settings("load.load.critical", "much"), "no limit"},
		"contact":             {&Master{Contacts: []Contact{{Name: "a b", Command: "x"}}}, "a contact's name"},
		"contact twice":       {&Master{Contacts: []Contact{{Name: "a", Command: "x"}, {Name: "a", Command: "y"}}}, "listed twice"},
		"contact, no command": {&Master{Contacts: []Contact{{Name: "a"}}}, "no command"},
		"no such contact":     {&Master{Contacts: []Contact{{Name: "a", Command: "x"}}, Hosts: []Host{{Group: "web", Name: "a", Address: v6, Contacts: []string{"b"}}}}, "there is no contact b"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.m.Validate()
			require.ErrorContains(t, err, test.want)
			var p *Problem
			require.ErrorAs(t, err, &p)
			text, err := test.m.AppendText([]byte("x"))
			require.Error(t, err)
			require.Equal(t, "x", string(text), "nothing is written")
		})
	}
	require.NoError(t, hosts("web;a", "db;a", "x;y;a", "web;b").Validate(), "one name in several groups is legitimate")
}

func TestValidateSaysAll(t *testing.T) {
	m := &Master{Hosts: []Host{{Group: "web", Name: "a_b"}, {Group: "a b", Name: "c", Address: ip("::")}, {Group: "web", Name: "good", Address: ip("::1")}}}
	joined, ok := m.Validate().(interface{ Unwrap() []error })
	require.True(t, ok)
	hosts := map[string]int{}
	for _, err := range joined.Unwrap() {
		var p *Problem
		require.ErrorAs(t, err, &p)
		hosts[p.Host]++
	}
	require.Equal(t, map[string]int{"web;a_b": 2, "a b;c": 2}, hosts)
}

// TestDecodeSaysWhere names file, line, host and rule of everything at once.
func TestDecodeSaysWhere(t *testing.T) {
	text := "dbdir /x\ndbdir /y\n[web;a]\n  address 2001:db8::1\n  prt 4949\n[web;a_b]\n  address [::1]\n[web;c]\n  address [::1]:4950\n  port abc\n  load.load.warning much\n[web;C]\n  update no\n[web;d]\n  use_node_name \\\n    maybe\n"
	_, err := Decode(parse(t, text))
	for _, want := range []string{
		"munin.conf:2: dbdir: set before, at munin.conf:1",
		"munin.conf:4: web;a: address: 2001:db8::1: an IPv6 address must stand in brackets",
		"munin.conf:5: web;a: prt: prt is no setting of munin's",
		"munin.conf:7: web;a_b: address: host a_b has an illegal character",
		"munin.conf:9: web;c: address: [::1]:4950: munin ignores a port",
		"munin.conf:10: web;c: port: abc: not a number",
		"munin.conf:11: web;c: load.load.warning: much: no limit",
		"munin.conf:9: web;c: it differs from web;C in case alone",
		`munin.conf:15: web;d: use_node_name: "maybe" is not yes or no`,
	} {
		require.ErrorContains(t, err, want)
	}
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 9, err)
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"2A00:1098:0:0082:1000:0:39:6712": "[2a00:1098:0:82:1000:0:39:6712]", "[2001:db8::1]": "[2001:db8::1]", "::ffff:192.0.2.1": "[::ffff:192.0.2.1]",
		"192.0.2.1": "192.0.2.1", "fe80::1%eth0": "[fe80::1%25eth0]", "[fe80::1%25eth0]": "[fe80::1%25eth0]", "node.example.org": "node.example.org",
	} {
		a, err := ParseAddress(text)
		require.NoError(t, err)
		require.Equal(t, want, a.String())
	}
	for _, text := range []string{"", " ", "::", "[::1]:4949", "[192.0.2.1]", "[a]", "a:1", "a b", "cmd:///bin/sh", "ssh://h/x", "SSH://h/x", "-x", "a..b", "1.2.3", "0x7f.1", "a\nb", "ff02::1", "host/24"} {
		_, err := ParseAddress(text)
		require.Error(t, err, text)
	}
	_, isIP := NameAddress("a").IP()
	require.False(t, isIP)
	name, isName := NameAddress("a").Name()
	require.True(t, isName)
	require.Equal(t, "a", name)
}

func TestEndpoint(t *testing.T) {
	h := Host{Address: ip("2001:db8::1")}
	host, port, ok := h.Endpoint()
	require.True(t, ok)
	require.Equal(t, []string{"2001:db8::1", "4949"}, []string{host, port})
	h = Host{Address: NameAddress("a"), Port: 1}
	host, port, ok = h.Endpoint()
	require.True(t, ok)
	require.Equal(t, []string{"a", "1"}, []string{host, port})
	_, _, ok = (&Host{Address: CommandAddress("/x")}).Endpoint()
	require.False(t, ok)
}

// randomMaster makes a valid master of odd parts.
func randomMaster(random *rand.Rand) *Master {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	m := &Master{Settings: map[string]string{"dbdir": pick("/a", "/b # c", `/d\e f`, `\#x`)}}
	if random.IntN(2) == 0 {
		m.Contacts = []Contact{{Name: "ops", Command: pick("mail x", `mail "#"`)}}
	}
	for i := range random.IntN(8) {
		h := Host{Group: pick("web", "web;eu", "a.b", "c_d"), Name: fmt.Sprintf("%s%d", pick("a", "b.c", "D-e"), i), Address: pick2(random, ip("::1"), ip("192.0.2.1"), NameAddress("x.y"), ip("fe80::1%lo"))}
		h.Port, h.UseNodeName, h.NoUpdate = uint16(random.IntN(3)), random.IntN(2) == 0, random.IntN(4) == 0
		if random.IntN(2) == 0 {
			h.Services = map[string]Service{pick("load", "disk.sda"): {Title: pick("", "T #1", "é"), Fields: map[string]Field{"f": {Label: "x", Warning: Limit{Min: new(random.Float64()), Max: new(7.0)}}}}}
		}
		if random.IntN(3) == 0 {
			h.Settings = map[string]string{"notify_alias": pick("a", "b  c", `\\x`, "#"), "update": "yes"}
			h.NoUpdate = false
		}
		m.Hosts = append(m.Hosts, h)
	}
	return m
}

func pick2[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }

func TestRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		m := randomMaster(random)
		text, err := m.AppendText(nil)
		require.NoError(t, err)
		read := decode(t, string(text))
		again, err := read.AppendText(nil)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
		require.Empty(t, Diff(m, read))
	}
}

// TestUpdate changes one file into what another says, and back.
func TestUpdate(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		from, to := randomMaster(random), randomMaster(random)
		text, err := from.AppendText([]byte("# kept\n\n"))
		require.NoError(t, err)
		f := parse(t, string(text))
		require.NoError(t, f.Update(from))
		require.Equal(t, string(text), string(f.Bytes()), "nothing to change")
		require.NoError(t, f.Update(to))
		read, err := Decode(f)
		require.NoError(t, err)
		require.Empty(t, Diff(to, read))
		require.True(t, bytes.HasPrefix(f.Bytes(), []byte("# kept\n")))
	}
}

func TestUpdateKeepsTheRest(t *testing.T) {
	before := "# mine\ndbdir\t/x  # not yours\n\n[fenrir.example.org]\n\taddress [2001:DB8::1] # old\n\tload.load.warning 5\n\tupdate yes\n\n# a note\n[web;old]\n  address \\\n    192.0.2.1\n\n[web;b]\n  address 192.0.2.2"
	f := parse(t, before)
	m, err := Decode(f)
	require.NoError(t, err)
	require.NoError(t, f.Update(m))
	require.Equal(t, before, string(f.Bytes()))
	for i := range m.Hosts {
		switch m.Hosts[i].Name {
		case "fenrir.example.org":
			m.Hosts[i].Port = 4950
		case "b":
			m.Hosts[i].Address = ip("2001:db8::2")
		}
	}
	m.Hosts = slices.DeleteFunc(m.Hosts, func(h Host) bool { return h.Name == "old" })
	m.Hosts = append(m.Hosts, Host{Group: "web", Name: "new", Address: ip("::1")})
	m.Settings["htmldir"] = "/y"
	require.NoError(t, f.Update(m))
	require.Equal(t, "# mine\ndbdir\t/x  # not yours\nhtmldir /y\n\n[fenrir.example.org]\n\taddress [2001:DB8::1] # old\n\tload.load.warning 5\n\tupdate yes\n    port 4950\n\n# a note\n\n[web;b]\n  address [2001:db8::2]\n\n[web;new]\n    address [::1]\n", string(f.Bytes()))
	require.Error(t, f.Update(&Master{Hosts: []Host{{Group: "web", Name: "a_b"}}}))
	broken := parse(t, "adress x\n")
	require.ErrorContains(t, broken.Update(m), "cannot be changed as it is")
	require.Equal(t, "adress x\n", string(broken.Bytes()))
	open := parse(t, "dbdir /x\nhtmldir \\\n")
	require.ErrorContains(t, open.Update(m), "continued line")
	require.Equal(t, "dbdir /x\nhtmldir \\\n", string(open.Bytes()))
}

func TestDiff(t *testing.T) {
	before := whole()
	after := whole()
	after.Settings["dbdir"] = "/srv/munin"
	after.Hosts[0].Address, after.Hosts[0].Port = ip("2001:db8::1"), 0
	after.Hosts[1].Group = "db"
	after.Hosts = append(slices.Delete(after.Hosts, 6, 7), Host{Group: "rack;eu", Name: "pi9", Address: ip("::1")})
	var lines []string
	for _, c := range Diff(before, after) {
		lines = append(lines, c.String())
	}
	require.Equal(t, []string{
		"dbdir: /var/lib/munin -> /srv/munin",
		"web;ratatoskr.example.org: moved to db;ratatoskr.example.org",
		"rack;eu;pi4: removed",
		"rack;eu;pi9: added",
		"rack;eu;pi9: address: [::1]",
		"web;fenrir.example.org: address: [2a00:1098:0:82:1000:0:39:6712] -> [2001:db8::1]",
		"web;fenrir.example.org: port: no longer 4950",
	}, lines)
	require.Empty(t, Diff(before, whole()))
	require.Empty(t, Diff(nil, nil))
	require.NotEmpty(t, Diff(nil, before))
}

func TestParseLimits(t *testing.T) {
	_, err := Parse("big", strings.NewReader(strings.Repeat("x", MaxFileSize+1)))
	require.ErrorContains(t, err, "more than")
	_, err = Parse("broken", &failing{})
	require.ErrorIs(t, err, errBroken)
	_, err = ParseFile("/nonexistent")
	require.ErrorIs(t, err, os.ErrNotExist)
}

var errBroken = errors.New("broken")

type failing struct{}

func (*failing) Read([]byte) (int, error) { return 0, errBroken }

func FuzzParse(f *testing.F) {
	for _, text := range hostileTexts(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if heldByUs(t, text).Refused == 1 {
			return
		}
		m, err := Decode(parse(t, string(text)))
		if err != nil {
			return
		}
		written, err := m.AppendText(nil)
		require.NoError(t, err, "what Decode accepts is valid")
		require.Empty(t, Diff(m, decode(t, string(written))))
	})
}

// FuzzParseAsMunin is FuzzParse with munin's own parser beside ours; it needs
// BERRYRACK_REQUIRE=all.
func FuzzParseAsMunin(f *testing.F) {
	for _, text := range hostileTexts(f) {
		f.Add(text)
	}
	o := startOracle(f)
	f.Fuzz(func(t *testing.T, text []byte) { compare(t, o, text) })
}

// inventory is 10,000 hosts in 100 groups.
func inventory(n int) *Master {
	m := &Master{Hosts: make([]Host, n)}
	for i := range m.Hosts {
		b := netip.MustParseAddr("2a00:1098:0:84::").As16()
		b[14], b[15] = byte(i>>8), byte(i)
		m.Hosts[i] = Host{Group: fmt.Sprintf("group%d", i%100), Name: fmt.Sprintf("host%d.example.org", i), Address: IPAddress(netip.AddrFrom16(b)), UseNodeName: i%2 == 0}
	}
	return m
}

func BenchmarkValidateAndRender(b *testing.B) {
	m := inventory(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Validate(); err != nil {
			b.Fatal(err)
		}
		if _, err := m.AppendText(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndDecode(b *testing.B) {
	text, err := inventory(10_000).AppendText(nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		decode(b, string(text))
	}
}

// TestMemory bounds all that validating and rendering 10,000 hosts allocates,
// garbage included.
func TestMemory(t *testing.T) {
	m := inventory(10_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, m.Validate())
	text, err := m.AppendText(nil)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Contains(t, string(text), "[group99;host9999.example.org]\n    address [2a00:1098:0:84::270f]\n")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(60<<20))
}
