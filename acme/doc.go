// Package acme proves the control of domain names to a certificate authority
// by dns-01: it publishes the TXT records that the authority looks for, waits
// until every authoritative server has them, and takes them away again.
//
//	solver := &acme.Solver{
//		Provider: &rfc2136.Provider{Server: "[2001:db8::53]:53", Key: key},
//		Journal:  &acme.Journal{Dir: "/var/lib/berryrack/dns01hook"},
//	}
//	challenge := acme.Challenge{Domain: "*.example.org", Value: digest}
//	if err := solver.Publish(ctx, challenge); err != nil {
//		return err
//	}
//	defer solver.Withdraw(ctx, challenge)
//	// tell the authority to look
//
// [Hook] does the same for dehydrated, certbot and lego, which call it as a
// program. Package acme/manager orders and renews certificates by itself.
//
// A [Provider] is an account at a DNS host, or a DNS server. The ones here are
// packages of their own: acme/rfc2136 (dynamic update with TSIG),
// acme/mythicbeasts, acme/embedded (a responder in this process, which needs no
// account anywhere) and acme/legodns (the providers of go-acme/lego). Package
// acme/acmetest has the suite that every provider must pass.
//
// # Needs
//
// The checker asks a recursive resolver, and port 53 of the authoritative
// servers of the zones concerned, over UDP and TCP. The journal is a directory
// that this process may write; its locks need a Unix system. Nothing needs root.
//
// # Standards
//
// RFC 8555 section 8.4 (dns-01), RFC 1034 and 1035 (zone cuts, messages),
// RFC 2308 (negative answers), RFC 4592 (wildcards), RFC 5891 (IDNA),
// RFC 7766 (TCP).
//
// # What it will not do
//
// No OCSP, no http-01 or tls-alpn-01, no validation of DNSSEC, no records other
// than TXT for challenges (some providers also replace addresses, see
// [RecordSetter]). It guesses nothing about propagation: there is no fixed sleep.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package acme
