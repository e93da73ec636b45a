// Package parent is what there is to do with the parent of a signed zone: it sees DS
// records at all servers of the parent, and has them lodged by a program.
//
//	answers, err := new(parent.Servers).DS(ctx, origin)
//	...
//	hook := parent.Hook{Command: []string{"/usr/local/bin/lodge-ds"}}
//	err = hook.Lodge(ctx, origin, []dnssec.PublicKey{key})
//
// Both are for dnssec/manager: [Servers] as its Parent, [Hook] as its Registrar.
//
// Only authoritative answers count. A server is asked three times, and over TCP when
// the answer does not fit. The parent is the closest name above with name servers.
//
// It needs a resolver, or to be told the servers. Limits: 64 addresses of servers, 3
// seconds for an answer, 2 minutes for a program, of whose output 4 KiB are kept.
// It does not validate answers: what it sees decides when to go on, and a parent
// that lies can make the zone bogus anyway.
//
// RFCs: 1034 section 4.2.1, 4034 section 5, 7583 section 3.3.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package parent
