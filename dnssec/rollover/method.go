package rollover

import "github.com/berryrack/berryrack/dnssec"

// method is what the way of rolling over asks for beyond the validity rules.
type method struct {
	record        Record
	to            RecordState
	name, section string
	text          string
	allows        func(s *step, key *Key) bool
}

// methods is pre-publication for zone signing keys, Double-KSK for key signing
// keys, and the conservative way for algorithms.
var methods = []method{
	{ZRRSIG, Rumoured, "pre-publication", "RFC 7583 section 3.2.1",
		"a key signs the zone once its DNSKEY is omnipresent, but the first one of its algorithm at once",
		func(s *step, key *Key) bool {
			return key.Records[DNSKEY].State == Omnipresent || !s.signedWith(key.Public.Algorithm)
		}},
	{DNSKEY, Rumoured, "conservative algorithm rollover", "RFC 6781 section 4.1.4",
		"keys of another algorithm are published once the zone is signed with it, as far as resolvers know",
		func(s *step, key *Key) bool {
			return s.insecure() || s.omnipresent(ZRRSIG, key.Public.Algorithm)
		}},
	{DNSKEY, Rumoured, "keys", "RFC 4035 section 2.2",
		"the first keys of an algorithm are published together, and sign",
		func(s *step, key *Key) bool { return s.complete && s.able(key, KRRSIG) && s.able(key, ZRRSIG) }},
	{KRRSIG, Rumoured, "Double-KSK", "RFC 7583 section 3.3.1",
		"a key signs the keys once it is one of them",
		func(s *step, key *Key) bool { return key.Records[DNSKEY].State.in() }},
	{DS, Rumoured, "Double-KSK", "RFC 7583 section 3.3.1",
		"the DS record is lodged once every resolver knows the key, and the signatures made with it",
		func(s *step, key *Key) bool {
			return key.Records[DNSKEY].State == Omnipresent && key.Records[KRRSIG].State == Omnipresent &&
				s.omnipresent(ZRRSIG, key.Public.Algorithm)
		}},
	{KRRSIG, Unretentive, "signing", "RFC 4035 section 2.2",
		"an algorithm signs the keys for as long as it is published",
		func(s *step, key *Key) bool { return s.spares(key, KRRSIG) }},
	{ZRRSIG, Unretentive, "signing", "RFC 4035 section 2.2",
		"an algorithm signs the zone for as long as it is published",
		func(s *step, key *Key) bool { return s.spares(key, ZRRSIG) }},
}

// signedWith reports whether any resolver may know a key of the algorithm that
// signs the zone.
func (s *step) signedWith(algorithm dnssec.Algorithm) bool {
	for i := range s.Keys {
		key := &s.Keys[i]
		if key.Public.Algorithm == algorithm && key.Records[ZRRSIG].State.in() && key.Records[DNSKEY].State != Hidden {
			return true
		}
	}
	return false
}

// able reports whether a key of the algorithm has such signatures, or may have.
func (s *step) able(key *Key, record Record) bool {
	for i := range s.Keys {
		other := &s.Keys[i]
		if other.Public.Algorithm == key.Public.Algorithm && other.Role.Has(record) &&
			(other.Records[record].State.in() || !other.Missing && !other.Retiring) {
			return true
		}
	}
	return false
}

// spares reports whether a key need not sign any more: another one of its
// algorithm does, or none of them is published.
func (s *step) spares(key *Key, record Record) bool {
	published := false
	for i := range s.Keys {
		other := &s.Keys[i]
		if other.Public.Algorithm != key.Public.Algorithm {
			continue
		}
		if other.ID != key.ID && other.Records[record].State.in() {
			return true
		}
		published = published || other.Records[DNSKEY].State.in()
	}
	return !published
}

// omnipresent reports whether every resolver has such a record of a key of the
// algorithm: of one key, or of one that goes and one that came before it went.
func (s *step) omnipresent(record Record, algorithm dnssec.Algorithm) bool {
	for _, set := range s.versions([]Record{record}, int(algorithm)) {
		if set == 0 {
			return false
		}
	}
	return true
}
