// Package munin writes, reads and compares the configuration of munin's master:
// munin.conf with its includedir.
//
//	m := &munin.Master{Hosts: []munin.Host{{
//		Group:   "web",
//		Name:    "fenrir.example.org",
//		Address: munin.IPAddress(netip.MustParseAddr("2001:db8::6712")),
//	}}}
//	if err := m.Validate(); err != nil {
//		log.Fatal(err) // every problem, with its host and its rule
//	}
//	text, err := m.AppendText(nil) // a munin.conf
//
// An IPv6 address stands in brackets, a port has a key of its own, and no text
// from an inventory can become a command that the master runs. [Master.Validate]
// refuses what would stop all collection (munin-update reads no host at all
// when one of them has an illegal character) and what only one of munin's two
// parsers understands: munin-update has one, munin-html, munin-graph and
// munin-limits share another. [Parse] reads any munin.conf byte for byte, with
// its comments and with keys that it does not know; [Decode] says what munin
// makes of it; [Diff] says what is different.
//
// The package needs no privileges, and no munin on the machine. Package
// [github.com/berryrack/berryrack/munin/includedir] installs a configuration, and
// package [github.com/berryrack/berryrack/munin/node] has munin-node.conf and the
// protocol between master and node.
//
// The dialect is munin 2.0's, as in Debian 12; the format has no standard, and
// every rule here was tried on that program. Addresses are written as in
// RFC 5952, section 4, with zones as in RFC 6874, section 2.
//
// It will not write RRDs or pages, run munin, edit plugins, or guess which
// hosts exist.
//
// Until version 1 the API may change between minor versions.
package munin
