// Package dnssec signs DNS zones, and verifies signed ones.
//
//	z, _, err := zone.ReadFile("example.org.zone", origin)
//	if err != nil {
//		return err
//	}
//	signer := dnssec.Signer{Keys: []dnssec.Key{{PublicKey: public, Signer: private, Use: dnssec.CSK}}}
//	result, err := signer.Sign(ctx, z, nil, time.Now())
//	if err != nil {
//		return err
//	}
//	_, err = result.Zone.WriteTo(os.Stdout)
//
// [Signer.Sign] signs with RSA and SHA-256, ECDSA P-256 and P-384, and Ed25519;
// it denies with NSEC, NSEC3, and NSEC3 with opt-out; it adds DNSKEY, CDS,
// CDNSKEY and ZONEMD records. What it makes of the same zone, keys, times and
// previous zone is the same to the octet, with keys that sign deterministically.
// Given the previous signed zone, it takes over the signatures that still hold.
// [Signer.Resign] makes anew what falls due later, in work that is in proportion.
// Each [Key] says what it does, so that keys can be rolled over in any way.
//
// [Verify] checks a signed zone, whoever signed it, and shares no decision with
// the signer.
//
// Package dnssec/zone reads and writes zones, on dnssec/wire, the canonical form of
// names and RDATA; dnssec/keystore keeps keys, and dnssec/server answers from
// signed zones.
//
// It needs no privileges and no servers. All zones are in memory: a name with two
// addresses takes about one kilobyte once signed. It does not decide when keys
// are rolled over, knows no SHA-1 and no GOST, and makes no NSEC3 with salt or
// iterations (RFC 9276), though it verifies them.
//
// RFCs: 3110, 4034, 4035, 4509, 5011, 5155, 5702, 6605, 6672, 6840, 7344, 8078,
// 8080, 8976, 9077, 9276.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package dnssec
