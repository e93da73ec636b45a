// Package keystore keeps DNSSEC keys in a directory, in BIND's files: .key,
// .private and .state.
//
//	store := keystore.Dir{Path: "/var/lib/dns/keys"}
//	keys, err := store.Keys(origin)
//	if err != nil {
//		return err
//	}
//	if len(keys) == 0 {
//		key, err := store.Generate(keystore.Spec{Origin: origin, Algorithm: dnssec.ECDSAP256SHA256, Use: dnssec.CSK}, time.Now())
//		...
//	}
//	signer.Keys = append(signer.Keys, keys[0].At(time.Now()))
//
// With a [Secret], from a file with a passphrase or a key, private keys are
// sealed at rest: NAME.private.sealed takes the place of NAME.private, which
// BIND could read. The key is made with Argon2id (RFC 9106 section 4, second
// recommended option) or HKDF with SHA-256 (RFC 5869), the file is sealed with
// XChaCha20-Poly1305, and belongs to its name. [Dir.Seal] seals keys that are not.
//
// Private keys and secrets are refused when group or others may read them. A key
// without a private file is offline: it comes without a Signer. A key is known
// by its DNSKEY record, not by its tag: new keys get tags that neither the keys
// of the directory have nor these when they are revoked (RFC 5011 section 2.1).
//
// Files are written beside their place, synced, and renamed. Nothing is ever
// deleted but a private key in the clear once it is sealed. It does not use PKCS#11; give dnssec.Key such a Signer.
//
// It needs no privileges and no servers. RFCs: 3110, 4034, 5011, 5702, 6605,
// 8080, 9106.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package keystore
