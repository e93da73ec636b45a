// Package mythicbeasts changes the records of zones at Mythic Beasts, over
// version 2 of its DNS API or, for zones that have only a password, version 1.
//
//	provider := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{
//		{KeyID: id, Secret: secret},
//	}}
//	solver := &acme.Solver{Provider: provider}
//
// [ReadCredentials] and [ReadAliases] read the two configuration files of the
// Mythic Beasts hook for dehydrated, dnsapi.config.txt and
// dnsapi.cname-map.txt.
//
// A key that may change nothing but TXT records of one name is enough: every
// request is about one name and one type.
//
// # Needs
//
// HTTPS to api.mythic-beasts.com (version 2) or dnsapi.mythic-beasts.com
// (version 1). Keys are sent with each request (HTTP Basic), not exchanged for a
// token: tokens are bound to the client's address, which changes on a host with
// IPv4 and IPv6.
//
// # Standards
//
// https://www.mythic-beasts.com/support/api/dnsv2 and .../support/api/primary;
// RFC 7617 (Basic).
//
// # What it will not do
//
// No templates, no generated records, no DYNAMIC_IP; addresses by version 2 only.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package mythicbeasts
