// Package manager keeps zones signed: it reads them, makes their keys and rolls
// them over, signs, signs again in time, serves, and asks the parent.
//
//	m := &manager.Manager{Dir: "/var/lib/dns", Server: &server.Server{}, Parent: &parent.Servers{}}
//	err := m.Configure([]manager.Zone{{Origin: origin, File: "example.org.zone"}})
//	...
//	go m.Server.Serve(ctx, udp, tcp)
//	err = m.Run(ctx, nil) // until ctx ends
//
// and, in this process or another one, once:
//
//	err = m.Do(ctx, origin, manager.Order{Signed: true}) // the green button
//
// What is decided, package rollover decides, and explains; [Manager.Status] hands
// its reasons on. A zone comes from a master file, which is read again when it
// changed and the manager is woken, or from a hidden primary, by AXFR and IXFR,
// when that sends NOTIFY or its SOA record's times have passed. Dynamic updates
// are merged with a master file: an edit of the file changes what it changes, and
// leaves the rest. Secondaries are notified, and are asked for their serial; what
// they do not serve yet does not count as published.
//
// # Files
//
// Below Dir, for each zone a directory: state.json (the state of the keys),
// signed.zone, source.zone and base.zone (the zone with its updates, and the file
// that they were made to), keys, purged, orders, and report.json for Status. State
// is saved before its effects, and each file is written beside its place, synced
// and renamed: after a crash at any point the next turn goes on. One process runs
// the zones of a Dir at a time; orders of others are left in files for it.
//
// # Needs
//
// The directory, the port of the server, and for what happens at the parent the
// DNS. It needs no privileges.
//
// # Limits
//
// Whole zones are in memory, twice but for what the two have in common, and are
// written whole when they change: ten thousand zones of ten records take well
// under 1 GB, and zones with millions of records that change each second are not
// for it. Serving at scale is for secondaries.
//
// # Standards
//
// RFCs: 1995, 1996, 2136, 5936, 6781, 7344, 7583, 8078, 8945.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package manager
