// Package frontend lets IPv4 clients (and IPv6 ones) reach servers that have
// only IPv6: a reverse proxy that routes TLS by its server name, without
// decrypting it, and HTTP by its Host.
//
//	f, err := frontend.New(frontend.Config{
//		Listen: frontend.Listen{TLS: []string{"0.0.0.0:443", "[::]:443"}, HTTP: []string{"0.0.0.0:80", "[::]:80"}},
//		Allow:  []netip.Prefix{netip.MustParsePrefix("2001:db8:84::/64")},
//		Sites:  []frontend.Site{{Names: []string{"www.example.org"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8:84::2")}}},
//	})
//	...
//	err = f.ListenAndServe(ctx) // until ctx ends and the connections are drained
//
// It needs the privileges of its ports. [SourceAddress] needs more: a route
// such as `ip -6 route add local 2001:db8:46::/96 dev lo` on this machine, and
// a way back to it from the backends.
//
// Clients are told to backends by the PROXY protocol, version 2, or by IPv6
// source addresses that embed theirs (RFC 6052), and over HTTP by
// X-Forwarded-For. Server names are those of RFC 6066, section 3. Several
// backends of a site share its connections, least busy first, among those that
// answer. [Frontend.Update] changes sites and backends under load: what is
// connected stays so until it ends.
//
// TLS connections are relayed in the kernel (splice) on Linux. An idle one
// holds two descriptors and no buffer and no pipe.
//
// What it will not do: terminate TLS, cache, rewrite, or trust PROXY headers
// of clients. It never connects to what is not both configured and allowed.
// With Encrypted Client Hello, the name that it sees is the outer one. Loops
// through another proxy are detected over HTTP only (by Via).
//
// The API is not yet stable: it may change until the module is tagged v1.
package frontend
