// Package dns64 answers for IPv6-only clients: where a name has only IPv4
// addresses, it makes AAAA records of them that lead through a NAT64.
//
//	handler := &dns64.Handler{
//		Table:    nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96")),
//		Upstream: &dns64.Forwarder{Servers: []string{"192.0.2.53:53"}},
//		Allow:    []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/48")},
//	}
//	server := &dns64.Server{Handler: handler}
//	err := server.ListenAndServe(ctx, "[::]:53")
//
// A [Handler] is a dns.Handler of github.com/miekg/dns and stands between
// clients and a recursive resolver, which it asks by an [Upstream]. It needs
// no privileges beyond those of its port.
//
// It follows RFC 6147, RFC 8880 for ipv4only.arpa, and RFC 6052 for the
// addresses. Where RFC 6147 leaves a choice:
//
//   - An IP6.ARPA name in a prefix is answered with a CNAME to IN-ADDR.ARPA if
//     a PTR record is right there, and with the PTR records themselves if a
//     CNAME is in between (section 5.3.1).
//   - It does not validate. It never sets AD, and with CD and DO set it
//     synthesizes nothing, so that a validating client can (section 5.5).
//     A failed validation upstream (SERVFAIL that CD undoes) stays SERVFAIL:
//     forged or broken AAAA records must not lead to synthesis.
//
// What it will not do: cache (put it in front of a cache or behind one that
// knows DNS64), resolve by itself, validate, or transfer zones.
//
// The API is not yet stable: it may change until the module is tagged v1.
package dns64
