// Package update carries out dynamic updates (RFC 2136): it is what a primary
// server does with the message, as a pure function from one version of a zone to
// the next.
//
//	grants := []update.Grant{{Key: "acme.", Types: []wire.Type{wire.Type(dns.TypeTXT)}, Label: "_acme-challenge"}}
//	next, err := update.Apply(z, message, key, grants) // key signed it with TSIG
//	if err != nil {
//		return update.Rcode(err) // and the reason for the log
//	}
//
// All prerequisites (section 3.2) and all updates (section 3.4) are known. What
// section 3.4.2 has ignored is ignored. Each key may change what its grants say;
// nobody may change what a signer makes: the types DNSKEY, CDS, CDNSKEY, RRSIG,
// NSEC, NSEC3, NSEC3PARAM and ZONEMD. The serial is the signer's as well (section
// 3.6): an update may raise it, and need not.
//
// Who signed the message, and that the signature is right, is the server's to
// check (RFC 3007, RFC 8945): package dnssec/server does. Limit: what fits in a
// message, 65,535 octets. It needs no privileges and no servers.
//
// RFCs: 1982, 2136, 2181, 3007.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package update
