// Package manager keeps certificates: it orders them from an ACME certificate
// authority, renews them in time, and puts them where servers read them.
//
//	m := &manager.Manager{
//		Dir:          "/var/lib/berryrack/certd",
//		Email:        "root@example.org",
//		AgreeTerms:   true,
//		Solver:       &acme.Solver{Provider: provider, Journal: &acme.Journal{Dir: "/var/lib/berryrack/certd"}},
//		Certificates: []manager.Certificate{{Names: []string{"example.org", "*.example.org"}}},
//	}
//	go m.Run(ctx)
//	server := &http.Server{TLSConfig: &tls.Config{GetCertificate: m.GetCertificate}}
//
// A certificate for example.org is at OUTPUT/example.org/current/, as
// privkey.pem, cert.pem, chain.pem and fullchain.pem. "current" is a symbolic
// link that is replaced in one step: key and certificate always belong together.
//
// # Needs
//
// HTTPS to the authority, a directory of its own, and what the acme.Solver
// needs. With http-01 instead: port 80, or a directory of the web server's.
// Setting a group needs to be a member of it. One process runs a directory at
// a time; others wait for it.
//
// # Standards
//
// RFC 8555 (ACME), RFC 9773 (renewal information), draft-ietf-acme-profiles.
//
// # What it will not do
//
// No OCSP, no certificates on demand of a client's handshake, no tls-alpn-01,
// none for addresses (RFC 8738), no key that is used twice.
//
// Underneath is go-acme/lego. Its package log notes bad nonces on standard
// error, unless the program sets another log.Logger there.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package manager
