package dnssecd

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	simulatedDSTTL = 24 * time.Hour
	// parentScan is how often the simulated parent looks for CDS records.
	parentScan = 6 * time.Hour
)

// cds returns the CDS records of the zone as it is served.
func (s *simulation) cds() (records [][]byte) {
	if s.signed == nil {
		return nil
	}
	if set := s.signed.Zone.Apex().Set(wire.Type(dns.TypeCDS)); set != nil {
		records = slices.Collect(set.Data.All())
	}
	return records
}

// simulatedParent has the DS set of the zone, and follows its CDS records (RFC 7344
// section 6).
type simulatedParent struct {
	ds   [][]byte
	scan time.Time // the next one
}

func (p *simulatedParent) follow(cds [][]byte, now time.Time) (changed bool) {
	if now.Before(p.scan) || cds == nil {
		return false
	}
	p.scan = now.Add(parentScan)
	if slices.EqualFunc(p.ds, cds, bytes.Equal) {
		return false
	}
	p.ds = cds
	return true
}

func (p *simulatedParent) answers(origin wire.Name) []rollover.DSAnswer {
	return []rollover.DSAnswer{{Server: "the parent of " + origin.String(), TTL: simulatedDSTTL, Records: p.ds}}
}

// resolver has cached every set that was ever served, for as long as its TTL says,
// and validates with another DNSSEC implementation than the one that signed.
type resolver struct {
	ds    []cached[[]dns.RR]
	zones []cached[*zone.Zone]
	stale bool            // something is new
	known map[string]bool // signatures that were tried: by set, signature and key
}

// cached is a set that is served until a time, zero while it is.
type cached[T any] struct {
	set   T
	until time.Time
}

func (r *resolver) sawDS(records [][]byte, now time.Time) {
	set := zone.RRset{Type: wire.Type(dns.TypeDS), TTL: uint32(simulatedDSTTL / time.Second)}
	for _, record := range records {
		set.Data = set.Data.Append(record)
	}
	r.ds = replace(r.ds, set.RRs(wire.Root), now)
	r.stale = true
}

func (r *resolver) sawZone(z *zone.Zone, now time.Time) {
	r.zones = replace(r.zones, z, now)
	r.stale = true
}

func replace[T any](list []cached[T], set T, now time.Time) []cached[T] {
	if n := len(list); n > 0 {
		list[n-1].until = now
	}
	return append(list, cached[T]{set: set})
}

// expire drops what no resolver has any more.
func expire[T any](list []cached[T], ttl time.Duration, now time.Time) []cached[T] {
	return slices.DeleteFunc(list, func(c cached[T]) bool { return !c.until.IsZero() && c.until.Add(ttl).Before(now) })
}

// validate tries every DS set with every DNSKEY set and every other set that may be
// cached, when there is anything new, and returns how many it tried.
func (r *resolver) validate(origin wire.Name, now time.Time) (tried int, err error) {
	if !r.stale {
		return 0, nil
	}
	r.stale = false
	r.ds = expire(r.ds, simulatedDSTTL, now)
	r.zones = expire(r.zones, time.Hour, now)
	for _, ds := range r.ds {
		for _, keys := range r.zones {
			anchors, err := r.trust(origin, ds.set, keys.set, now)
			if err != nil {
				return tried, err
			}
			for _, data := range r.zones {
				tried++
				if !r.validates(data.set, anchors, now) {
					return tried, fmt.Errorf("bogus: serial %d does not validate with the keys of serial %d", data.set.SOA().Serial, keys.set.SOA().Serial)
				}
			}
		}
	}
	return tried, nil
}

// trust returns the keys of a DNSKEY set that a DS set vouches for.
func (r *resolver) trust(origin wire.Name, ds []dns.RR, z *zone.Zone, now time.Time) ([]*dns.DNSKEY, error) {
	set := z.Apex().Set(wire.Type(dns.TypeDNSKEY))
	if set == nil {
		return nil, fmt.Errorf("bogus: the parent has a DS record, and serial %d no keys", z.SOA().Serial)
	}
	var keys []*dns.DNSKEY
	for _, rr := range set.RRs(origin) {
		keys = append(keys, rr.(*dns.DNSKEY))
	}
	for _, rr := range ds {
		want := rr.(*dns.DS)
		at := slices.IndexFunc(keys, func(k *dns.DNSKEY) bool {
			have := k.ToDS(want.DigestType)
			return have != nil && have.KeyTag == want.KeyTag && have.Digest == want.Digest && r.signedBy(origin, set, k, now)
		})
		if at >= 0 {
			return keys, nil
		}
	}
	return nil, fmt.Errorf("bogus: no DS record leads to a key of serial %d", z.SOA().Serial)
}

// validates reports whether each signed set at the apex and below has a signature
// by one of the keys.
func (r *resolver) validates(z *zone.Zone, keys []*dns.DNSKEY, now time.Time) bool {
	for _, node := range z.Names.All() {
		for i := range node.Sets {
			set := &node.Sets[i]
			if len(set.Signatures) == 0 || set.Type == wire.Type(dns.TypeDNSKEY) {
				continue
			}
			if !slices.ContainsFunc(keys, func(k *dns.DNSKEY) bool { return r.signedBy(node.Name, set, k, now) }) {
				return false
			}
		}
	}
	return z.Apex().Set(wire.Type(dns.TypeDNSKEY)) != nil
}

// signedBy reports whether a key signed a set, as a signature says that holds now.
func (r *resolver) signedBy(owner wire.Name, set *zone.RRset, key *dns.DNSKEY, now time.Time) bool {
	for _, rr := range set.RRSIGs(owner) {
		sig := rr.(*dns.RRSIG)
		if sig.KeyTag != key.KeyTag() || sig.Algorithm != key.Algorithm || !sig.ValidityPeriod(now) {
			continue
		}
		id := string(set.Data) + sig.Signature + key.PublicKey
		good, tried := r.known[id]
		if !tried {
			good = sig.Verify(key, set.RRs(owner)) == nil
			if r.known == nil {
				r.known = map[string]bool{}
			}
			r.known[id] = good
		}
		if good {
			return true
		}
	}
	return false
}
