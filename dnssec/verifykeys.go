package dnssec

import (
	"crypto"
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
)

// verifyKey is a key that signatures are checked with.
type verifyKey struct {
	PublicKey
	tag    uint16
	crypto crypto.PublicKey
}

// readKeys reads the zone's keys. Those of algorithms that are not supported are
// passed over, as validators do (RFC 4035 section 5.2).
func (v *verifier) readKeys() {
	set := v.zone.Apex().Set(typeDNSKEY)
	if set == nil {
		v.find(v.zone.Origin, typeDNSKEY, "the zone has no keys: it is not signed")
		return
	}
	for rdata := range set.Data.All() {
		key, err := ParsePublicKey(rdata)
		if err != nil {
			v.find(v.zone.Origin, typeDNSKEY, "%v", err)
			continue
		}
		if key.Flags&FlagZone == 0 {
			continue // no key for zone data (RFC 4034 section 2.1.1)
		}
		v.published = append(v.published, key)
		public, err := publicKey(key.Algorithm, key.Key)
		switch {
		case err == nil:
			v.keys = append(v.keys, verifyKey{PublicKey: key, tag: key.Tag(), crypto: public})
		case isSupported(key.Algorithm):
			v.find(v.zone.Origin, typeDNSKEY, "key %s: %v", key, err)
		}
	}
	if len(v.keys) == 0 {
		v.find(v.zone.Origin, typeDNSKEY, "none of the keys can be used: their algorithms are not supported, or they are malformed")
	}
	v.requireAlgorithms()
}

func isSupported(a Algorithm) bool { return a.curve() != nil || a == RSASHA256 || a == ED25519 }

// requireAlgorithms finds the algorithms that have to sign every set (RFC 4035
// section 2.2): those that sign the keys or the SOA record, with success or not.
// Keys of another algorithm stand by. When there are no such signatures, it is
// all algorithms.
func (v *verifier) requireAlgorithms() {
	v.required, v.hasEntry = map[Algorithm]bool{}, map[Algorithm]bool{}
	all := map[Algorithm]bool{}
	for _, key := range v.keys {
		if key.Flags&FlagRevoke == 0 {
			all[key.Algorithm] = true
			v.hasEntry[key.Algorithm] = v.hasEntry[key.Algorithm] || key.Flags&FlagSEP != 0
		}
	}
	for _, t := range []wire.Type{typeDNSKEY, typeSOA} {
		for rdata := range v.zone.Apex().Set(t).Signatures.All() {
			if algorithm := parseRRSIG(rdata).algorithm; all[algorithm] {
				v.required[algorithm] = true
			}
		}
	}
	if len(v.required) == 0 {
		v.required = all
	}
}

// isEntry reports whether the parent may have a DS record of a key: of one with
// the SEP flag, or of any key where no key of its algorithm has that.
func (v *verifier) isEntry(key *verifyKey) bool {
	return key.Flags&FlagRevoke == 0 && (key.Flags&FlagSEP != 0 || !v.hasEntry[key.Algorithm])
}

// checkParentKeys checks that what the zone asks its parent for is there, and not
// revoked (RFC 7344 section 4.1). A request to delete all (RFC 8078 section 4) is
// algorithm 0.
func (v *verifier) checkParentKeys() {
	apex := v.zone.Apex()
	if set := apex.Set(typeCDNSKEY); set != nil {
		for rdata := range set.Data.All() {
			if rdata[3] != 0 && !v.hasKey(func(k PublicKey) bool { return string(k.RDATA()) == string(rdata) }) {
				v.find(v.zone.Origin, typeCDNSKEY, "asks for a key that the zone does not have (RFC 7344 section 4.1)")
			}
		}
	}
	if set := apex.Set(typeCDS); set != nil {
		for rdata := range set.Data.All() {
			digest := DigestType(rdata[3])
			if rdata[2] == 0 || digest != SHA256 && digest != SHA384 {
				continue
			}
			if !v.hasKey(func(k PublicKey) bool { return string(k.DS(v.zone.Origin, digest)) == string(rdata) }) {
				v.find(v.zone.Origin, typeCDS, "asks for a key that the zone does not have (RFC 7344 section 4.1)")
			}
		}
	}
}

func (v *verifier) hasKey(is func(PublicKey) bool) bool {
	return slices.ContainsFunc(v.published, func(k PublicKey) bool { return k.Flags&FlagRevoke == 0 && is(k) })
}
