package munin_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/berryrack/berryrack/munin"
)

func Example() {
	m := &munin.Master{Hosts: []munin.Host{{
		Group:   "web",
		Name:    "fenrir.example.org",
		Address: munin.IPAddress(netip.MustParseAddr("2001:db8::6712")),
	}}}
	if err := m.Validate(); err != nil {
		fmt.Println(err) // every problem, with its host and its rule
	}
	text, err := m.AppendText(nil) // a munin.conf
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", text)
	// Output:
	// [web;fenrir.example.org]
	//     address [2001:db8::6712]
}

func ExampleMaster_AppendText() {
	m := &munin.Master{Hosts: []munin.Host{
		{Group: "web", Name: "fenrir.example.org", Address: munin.IPAddress(netip.MustParseAddr("2A00:1098:0:82:1000:0:39:6712")), Port: 4950},
		{Group: "web", Name: "ratatoskr.example.org", Address: munin.IPAddress(netip.MustParseAddr("93.93.131.124"))},
	}}
	text, err := m.AppendText(nil)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", text)
	// Output:
	// [web;fenrir.example.org]
	//     address [2a00:1098:0:82:1000:0:39:6712]
	//     port 4950
	//
	// [web;ratatoskr.example.org]
	//     address 93.93.131.124
}

func ExampleMaster_Validate() {
	address := munin.IPAddress(netip.MustParseAddr("2001:db8::1"))
	m := &munin.Master{Hosts: []munin.Host{
		{Group: "a-b", Name: "c", Address: address},
		{Group: "a;b", Name: "c", Address: address},
	}}
	fmt.Println(m.Validate())
	// Output:
	// munin: a;b;c: munin would use one lock and one state file (munin-a-b-c) for it and a-b;c, and skip one of them: rename one
}

func ExampleDecode() {
	f, err := munin.Parse("munin.conf", strings.NewReader("[fenrir.example.org]\n  address 2001:db8::10:25\n"))
	if err != nil {
		fmt.Println(err)
	}
	_, err = munin.Decode(f)
	fmt.Println(err)
	// Output:
	// munin: munin.conf:2: example.org;fenrir.example.org: address: 2001:db8::10:25: an IPv6 address must stand in brackets: without them munin fails, or takes the last part for a port and asks another host
}

func ExampleFile_Update() {
	f, err := munin.Parse("munin.conf", strings.NewReader("# the web\n[web;fenrir.example.org]\n\taddress 192.0.2.1\n"))
	if err != nil {
		fmt.Println(err)
	}
	m, err := munin.Decode(f)
	if err != nil {
		fmt.Println(err)
	}
	m.Hosts[0].Address = munin.IPAddress(netip.MustParseAddr("2001:db8::1"))
	if err := f.Update(m); err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s", f.Bytes())
	// Output:
	// # the web
	// [web;fenrir.example.org]
	// 	address [2001:db8::1]
}

func ExampleDiff() {
	before := &munin.Master{Hosts: []munin.Host{{Group: "web", Name: "fenrir", Address: munin.NameAddress("fenrir.example.org")}}}
	after := &munin.Master{Hosts: []munin.Host{{Group: "db", Name: "fenrir", Address: munin.NameAddress("fenrir.example.org"), Port: 4950}}}
	for _, change := range munin.Diff(before, after) {
		fmt.Println(change)
	}
	// Output:
	// web;fenrir: moved to db;fenrir
	// db;fenrir: port: 4950
}
