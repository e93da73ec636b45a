package zonesign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

// keys has the keys made that are missing, and gives the signer those that there
// is something to do for.
func (j *Job) keys(outcome *Outcome, in input, generate func(keystore.Spec, time.Time) (keystore.Key, error)) error {
	present, live := in.keys, in.previous
	own := slices.DeleteFunc(slices.Clone(present), func(k keystore.Key) bool { return k.Algorithm != j.Algorithm })
	if err := j.checkLive(live, own, present); err != nil {
		return err
	}
	keepUses(live, own)
	if len(own) == 0 && len(present) > 0 {
		j.Warn("%s holds keys of %s for algorithm %s: those for %s are others, and so is their DS set", j.Keys.Path, j.Origin, present[0].Algorithm, j.Algorithm)
	}
	missing := j.missing(own)
	if len(missing) > 0 { // none are made for what is not signed then
		if err := j.Signer.Check(in.source, j.Now); err != nil {
			return err
		}
	}
	for _, use := range missing {
		key, err := generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: use}, j.Now)
		if err != nil {
			return err
		}
		own = append(own, key)
		outcome.Made++
	}
	return j.useKeys(outcome, own)
}

// keepUses has keys go on with what they did in the live zone, when their files say
// that no key does that: a key that is new to the zone cannot take it over at once
// (RFC 6781 section 4.1.1).
func keepUses(live *zone.Zone, keys []keystore.Key) {
	if live == nil {
		return
	}
	for use, t := range map[dnssec.Use]wire.Type{dnssec.SignKeys: wire.Type(dns.TypeDNSKEY), dnssec.SignZone: wire.Type(dns.TypeSOA)} {
		if slices.ContainsFunc(keys, func(k keystore.Key) bool { return k.Use&use != 0 }) {
			continue
		}
		for _, key := range signedBy(live, t) {
			for i := range keys {
				if sameKey(keys[i].PublicKey, key) {
					keys[i].Use |= use
				}
			}
		}
	}
}

// missing returns the uses for which there are no keys, as when a run was cut off
// that made them.
func (j *Job) missing(keys []keystore.Key) []dnssec.Use {
	var have dnssec.Use
	for _, key := range keys {
		if key.Flags&dnssec.FlagRevoke == 0 {
			have |= key.Use
		}
	}
	if j.CSK {
		if have&dnssec.SignKeys == 0 {
			return []dnssec.Use{dnssec.CSK}
		}
		return nil
	}
	var uses []dnssec.Use
	if have&dnssec.SignKeys == 0 {
		uses = append(uses, dnssec.KSK)
	}
	if have&dnssec.SignZone == 0 {
		uses = append(uses, dnssec.ZSK)
	}
	return uses
}

// useKeys gives the signer the keys as their times have them.
func (j *Job) useKeys(outcome *Outcome, keys []keystore.Key) error {
	j.Signer.Keys = nil
	var have dnssec.Use
	for _, key := range keys {
		key.Key = key.At(j.Now)
		if key.Use&dnssec.SignKeys != 0 && key.Flags&dnssec.FlagRevoke == 0 {
			if j.CSK {
				key.Use |= dnssec.CSK
			}
			if j.CDS {
				key.Use |= dnssec.InParent
			}
		}
		if key.Flags&dnssec.FlagRevoke == 0 {
			have |= key.Use
		}
		if key.Use != 0 {
			outcome.Keys = append(outcome.Keys, key)
			j.Signer.Keys = append(j.Signer.Keys, key.Key)
		}
	}
	var errs []error
	if have&dnssec.SignKeys == 0 {
		errs = append(errs, j.noKey("the keys", dnssec.SignKeys, keys))
	}
	if have&dnssec.SignZone == 0 {
		errs = append(errs, j.noKey("the zone", dnssec.SignZone, keys))
	}
	return errors.Join(errs...)
}

// noKey tells why no key signs.
func (j *Job) noKey(what string, use dnssec.Use, keys []keystore.Key) error {
	var why []string
	for _, key := range keys {
		if key.Use&use == 0 {
			continue
		}
		t := key.Timing
		for _, at := range []struct {
			is  bool
			say string
			at  time.Time
		}{
			{j.Now.Before(t.Activate), "is not active before", t.Activate},
			{!t.Inactive.IsZero() && !j.Now.Before(t.Inactive), "is inactive since", t.Inactive},
			{!t.Delete.IsZero() && !j.Now.Before(t.Delete), "is deleted since", t.Delete},
			{!t.Revoke.IsZero() && !j.Now.Before(t.Revoke), "is revoked since", t.Revoke},
		} {
			if at.is {
				why = append(why, fmt.Sprintf("%s %s %s", key.Name(), at.say, at.at.Format(time.RFC3339)))
			}
		}
	}
	return fmt.Errorf("no key of algorithm %s in %s signs %s now (%s): dnssec-settime changes times, dnssec-keygen makes another key", j.Algorithm, j.Keys.Path, what, strings.Join(why, ", "))
}

// checkLive refuses to sign without the keys that have signed the live zone: those
// that know it would find it bogus.
func (j *Job) checkLive(live *zone.Zone, own, present []keystore.Key) error {
	if live == nil {
		return nil
	}
	var lost, other []string
	var algorithm dnssec.Algorithm // of the last one of other
	for _, key := range signedBy(live, wire.Type(dns.TypeDNSKEY), wire.Type(dns.TypeSOA)) {
		is := func(k keystore.Key) bool { return sameKey(k.PublicKey, key) }
		switch {
		case slices.ContainsFunc(own, is):
		case slices.ContainsFunc(present, is):
			other, algorithm = append(other, j.fileName(key)), key.Algorithm
		default:
			lost = append(lost, j.fileName(key))
		}
	}
	var errs []error
	if len(lost) > 0 {
		errs = append(errs, fmt.Errorf("%s was signed by keys that %s does not hold (%s): without them it would be bogus to all who know them. Put their files there; or, if the parent has had no DS record of the zone for longer than that lasts, move %s away to start afresh",
			j.previousName(), j.Keys.Path, strings.Join(lost, ", "), j.previousName()))
	}
	if len(other) > 0 {
		errs = append(errs, fmt.Errorf("%s was signed by keys of another algorithm than %s (%s): without their signatures it would be bogus to all who know them. To change the algorithm takes a rollover (RFC 6781 section 4.1.4), which dnssecd does; give --alg %d to sign as before",
			j.previousName(), j.Algorithm, strings.Join(other, ", "), algorithm))
	}
	return errors.Join(errs...)
}

// fileName is what the files of a key are called.
func (j *Job) fileName(key dnssec.PublicKey) string {
	named := keystore.Key{Origin: j.Origin, Key: dnssec.Key{PublicKey: key}}
	return named.Name()
}

// sameKey reports whether two keys are one, which may have been revoked since.
func sameKey(a, b dnssec.PublicKey) bool {
	a.Flags |= dnssec.FlagRevoke
	b.Flags |= dnssec.FlagRevoke
	return a.Equal(b)
}

// signedBy returns the keys, but for revoked ones, with signatures of sets of the
// zone's apex.
func signedBy(z *zone.Zone, types ...wire.Type) []dnssec.PublicKey {
	type tagged struct {
		algorithm dnssec.Algorithm
		tag       uint16
	}
	seen := map[tagged]bool{}
	for _, t := range types {
		set := z.Apex().Set(t)
		if set == nil {
			continue
		}
		for _, rr := range set.RRSIGs(z.Origin) {
			if signature, ok := rr.(*dns.RRSIG); ok {
				seen[tagged{dnssec.Algorithm(signature.Algorithm), signature.KeyTag}] = true
			}
		}
	}
	var keys []dnssec.PublicKey
	set := z.Apex().Set(wire.Type(dns.TypeDNSKEY))
	if set == nil {
		return nil
	}
	for rdata := range set.Data.All() {
		key, err := dnssec.ParsePublicKey(rdata)
		if err == nil && key.Flags&dnssec.FlagRevoke == 0 && seen[tagged{key.Algorithm, key.Tag()}] {
			keys = append(keys, key)
		}
	}
	return keys
}

// DS returns the DS set as text: a record for each key that signs the keys, those
// that are revoked left out.
func (o *Outcome) DS() []string {
	var lines []string
	for _, key := range o.Keys {
		if key.Use&dnssec.SignKeys != 0 && key.Flags&dnssec.FlagRevoke == 0 {
			set := zone.RRset{Type: wire.Type(dns.TypeDS), TTL: 3600, Data: wire.RDATA(nil).Append(key.DS(key.Origin, dnssec.SHA256))}
			lines = append(lines, string(set.AppendText(nil, key.Origin)))
		}
	}
	slices.Sort(lines)
	return lines
}
