// Package rfc2136 changes the records of a DNS server by dynamic update,
// authenticated with TSIG: BIND, Knot DNS, PowerDNS and others.
//
//	provider := &rfc2136.Provider{
//		Server: "[2001:db8::53]:53", // the primary
//		Key:    rfc2136.Key{Name: "acme.", Secret: "MDEyMzQ1Njc4OWFiY2RlZg=="},
//	}
//	solver := &acme.Solver{Provider: provider}
//
// Each change adds or removes exactly one record, so hooks on several hosts can
// share a name. A key that may do no more than that is enough:
//
//	# BIND, in the zone
//	update-policy { grant acme. name _acme-challenge.example.org. TXT; };
//
//	# Knot DNS, in an acl of the zone
//	action: update
//	update-type: [TXT]
//	update-owner: name
//	update-owner-match: equal
//	update-owner-name: [_acme-challenge]
//
// # Needs
//
// TCP to the primary server, and clocks that differ by less than five minutes.
//
// # Standards
//
// RFC 2136 (dynamic update; sections 2.5.1, 2.5.2 and 2.5.4 for what it sends),
// RFC 8945 (TSIG), RFC 7766 (TCP).
//
// # What it will not do
//
// No GSS-TSIG (Kerberos), no SIG(0), no HMAC-MD5, no updates by UDP.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package rfc2136
