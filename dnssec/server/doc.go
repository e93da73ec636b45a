// Package server answers from signed zones: an authoritative server small enough
// to embed, so that a zone is seen working before any other server is touched.
//
//	var s server.Server
//	s.Set(result.Zone)
//	udp, err := net.ListenPacket("udp", "[::1]:5300")
//	...
//	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
//	...
//	err = s.Serve(ctx, udp, tcp) // until ctx ends
//
// [Server] is also a handler of package dns. It answers positively, from
// wildcards, and through CNAME and DNAME records of the zone, with NODATA and
// NXDOMAIN, and refers to delegated zones, with signatures and proofs when asked
// for (the DO bit). What does not fit comes back truncated. A zone is transferred
// only to clients of the allow-list that sign their query with one of the listed
// TSIG keys. [Server.Notify] tells secondaries of a new serial.
//
// Limits: answers of 1,232 octets over UDP; 128 TCP connections at a time, which
// are closed when they are idle for 8 seconds or leave an answer unread for 10;
// CNAME chains of 8 records; 100 differences kept of a zone, together no larger
// than the zone. A query of type ANY gets one set (RFC 8482 section 4.1), one of
// type RRSIG the signatures of one set.
//
// A zone that is set again with a later serial is transferred by its differences
// (IXFR) to those that have one of the last versions. Dynamic updates and NOTIFY of
// a primary are handed on: see the fields Update and Notified. Package
// dnssec/update carries updates out, dnssec/transfer fetches zones, and
// dnssec/manager has all of them work together.
//
// It does no recursion. It needs no privileges but those of its port.
//
// RFCs: 1034, 1995, 1996, 2136, 2308, 3225, 4035, 4592, 5155, 5936, 6672, 6891,
// 8482, 8945, 9077.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package server
