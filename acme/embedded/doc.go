// Package embedded is an authoritative DNS server in this process for zones
// that hold nothing but challenges: dns-01 without an account anywhere.
//
//	responder := &embedded.Responder{
//		Zones:      []string{"_acme-challenge.example.org."},
//		Nameserver: "ns.example.org.",
//	}
//	go responder.ListenAndServe(ctx, ":53")
//	solver := &acme.Solver{Provider: responder}
//
// Delegate the zone to this host, once:
//
//	_acme-challenge.example.org.  NS    ns.example.org.
//	ns.example.org.               AAAA  2001:db8::53
//
// Or delegate one zone for all, and point each name into it:
//
//	acme.example.net.             NS    ns.example.org.
//	_acme-challenge.example.org.  CNAME example-org.acme.example.net.
//
// # Needs
//
// Port 53, UDP and TCP, of an address that the Internet reaches: root,
// CAP_NET_BIND_SERVICE, or sockets passed to [Responder.Serve]. TXT records are
// kept in memory and end with the process.
//
// # Standards
//
// RFC 1034 and 1035, RFC 2181, RFC 2308 (negative answers, which may be kept for
// one second), RFC 6891 (EDNS), RFC 8482 (ANY), RFC 9210 (TCP).
//
// # What it will not do
//
// No recursion, no transfer, no update over the network, no DNSSEC, no records
// but SOA, NS, the name server's own addresses and TXT.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package embedded
