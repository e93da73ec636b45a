// Package nat64 lets a machine that has only IPv6 reach the IPv4 internet
// through a NAT64 that it finds by itself, and keeps programs from being led
// through one to where they must not go.
//
//	dialer := &nat64.Dialer{Guard: &nat64.Guard{}} // the guard keeps it on the public internet
//	client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
//	response, err := client.Get("http://ipv4.example.org/") // or http://ADDRESS/: no IPv4 route is needed
//
// [Prefix] and [Table] embed IPv4 addresses in IPv6 and take them out again
// (RFC 6052, RFC 8215). [Discoverer] learns the network's prefixes from Router
// Advertisements (RFC 8781, preferred by RFC 9872), which on Linux needs no
// privilege, and from the DNS (RFC 7050), again before they expire. [Dialer]
// connects as RFC 8305 and its successor's draft say, to literals, to names,
// and to hosts whose AAAA records are wrong. [Guard] refuses addresses that
// are not public, however they are written. Package check says what of all
// this works on the machine that it runs on.
//
// Nothing here needs privileges. Dialing through a prefix needs a translator
// in the network, such as TAYGA or Jool, and discovery needs its
// announcements or its DNS64; package dns64 is one.
//
// What it will not do: translate packets (RFC 7915, RFC 6146), be a CLAT
// (RFC 6877), or validate DNSSEC, the validation of RFC 7050, section 3.1,
// included: whom the network's resolver can deceive, the network can.
//
// The API is not yet stable: it may change until the module is tagged v1.
package nat64
