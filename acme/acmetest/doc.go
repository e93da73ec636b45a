// Package acmetest tests implementations of acme.Provider, and simulates the
// DNS that they change.
//
//	func TestProvider(t *testing.T) {
//		acmetest.Provider(t, acmetest.Subject{
//			Provider: provider,
//			Zone:     "example.org.",
//			Lookup:   func(name string) []string { ... }, // what the servers serve
//		})
//	}
//
// [Provider] is the conformance suite. [Internet] is a root of the DNS in this
// process: zones with any number of servers on addresses of their own,
// delegations, aliases, wildcards, slow publication, faults, and a recursive
// resolver. It uses loopback sockets and no privileges.
//
// # Standards
//
// RFC 1034 (zone cuts, aliases), RFC 4592 (wildcards).
//
// # What it will not do
//
// No DNSSEC, no zone transfer, no cache in the resolver.
//
// # Stability
//
// The package is before version 1: names may change with a minor version, and
// the suite may get stricter.
package acmetest
