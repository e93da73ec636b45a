package dnssec

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// Finding is what is wrong with a signed zone.
type Finding struct {
	Owner wire.Name // of the records that it is about
	// Type is 0 when the finding is about no single set.
	Type   wire.Type
	Reason string // in a few words
}

// String returns the finding as one line.
func (f Finding) String() string {
	if f.Type == 0 {
		return fmt.Sprintf("%s: %s", f.Owner, f.Reason)
	}
	return fmt.Sprintf("%s %s: %s", f.Owner, f.Type, f.Reason)
}

// Verify checks a signed zone as it is at now: every signature, the chain of
// NSEC or NSEC3 records with every bitmap, what must not be signed, the ZONEMD
// digest, and the CDS and CDNSKEY sets. It decides for itself what each of them
// has to be, and shares nothing of that with Sign. What validators pass over is no
// finding: keys that stand by, keys and signatures of other algorithms beside
// those that hold, signatures that are no longer or not yet valid beside others,
// chains of NSEC3 records in the making. The findings are in canonical order; none
// means that a validating resolver that trusts the DS records of the zone's secure
// entry points, or of its keys when none has the SEP flag, gets every answer. The
// error is ctx's.
func Verify(ctx context.Context, z *zone.Zone, now time.Time) ([]Finding, error) {
	v := &verifier{zone: z, now: now, cuts: map[wire.Name]bool{}, redirects: map[wire.Name]bool{}}
	v.survey()
	v.readKeys()
	if err := v.checkSets(ctx); err != nil {
		return nil, fmt.Errorf("dnssec: verify %s: %w", z.Origin, err)
	}
	v.checkDenial()
	v.checkZONEMD()
	v.checkParentKeys()
	slices.SortFunc(v.findings, func(a, b Finding) int {
		return cmp.Or(a.Owner.Compare(b.Owner), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.CompactFunc(v.findings, func(a, b Finding) bool { return a == b }), nil
}

type verifier struct {
	zone      *zone.Zone
	now       time.Time
	cuts      map[wire.Name]bool // own NS records, the origin not
	redirects map[wire.Name]bool // own a DNAME record
	published []PublicKey        // all zone keys, of whatever algorithm
	keys      []verifyKey        // those that can be used
	required  map[Algorithm]bool // algorithms that must sign every set
	hasEntry  map[Algorithm]bool // algorithms with secure entry points

	mutex    sync.Mutex
	findings []Finding
}

func (v *verifier) find(owner wire.Name, t wire.Type, format string, args ...any) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.findings = append(v.findings, Finding{Owner: owner, Type: t, Reason: fmt.Sprintf(format, args...)})
}

func (v *verifier) survey() {
	for _, node := range v.zone.Names.All() {
		if node.Set(typeNS) != nil && node.Name != v.zone.Origin {
			v.cuts[node.Name] = true
		}
		if node.Set(typeDNAME) != nil {
			v.redirects[node.Name] = true
		}
	}
}

// hidden reports whether the zone does not answer for a name: because there is a
// zone cut or a DNAME above it.
func (v *verifier) hidden(name wire.Name) bool {
	for name != v.zone.Origin {
		name = name.Parent()
		if v.cuts[name] || v.redirects[name] {
			return true
		}
	}
	return false
}

// wantsSignature reports whether a set of a name is the zone's to sign.
func (v *verifier) wantsSignature(name wire.Name, t wire.Type) bool {
	if v.hidden(name) {
		return false
	}
	if v.cuts[name] {
		return t == typeDS || t == typeNSEC || t == typeNSEC3
	}
	return true
}

// checkSets checks the signatures of all sets.
func (v *verifier) checkSets(ctx context.Context) error {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for k := range workers {
		group.Go(func() {
			for _, nodes := range []zone.Nodes{v.zone.Names, v.zone.Hashed} {
				for i := k; i < nodes.Len() && ctx.Err() == nil; i += workers {
					node := nodes.At(i)
					for j := range node.Sets {
						v.checkSet(node.Name, &node.Sets[j])
					}
				}
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

func (v *verifier) checkSet(owner wire.Name, set *zone.RRset) {
	if len(set.Data) == 0 {
		v.find(owner, set.Type, "a signature covers records that are not there")
		return
	}
	// An NSEC3 record's owner is no name that could be below a cut.
	if set.Type != typeNSEC3 && !v.wantsSignature(owner, set.Type) {
		if len(set.Signatures) > 0 {
			v.find(owner, set.Type, "is signed, but is not the zone's to sign (RFC 4035 section 2.2)")
		}
		return
	}
	v.checkSignatures(owner, set)
	if set.Type == typeDS && !v.cuts[owner] {
		v.find(owner, typeDS, "is not at a zone cut: validators would look for a zone there (RFC 4035 section 2.4)")
	}
}

// checkSignatures sees that each algorithm has a signature that holds. Others that
// are of no use are no harm beside these, unless they are damaged.
func (v *verifier) checkSignatures(owner wire.Name, set *zone.RRset) {
	good := map[Algorithm]bool{}
	var unusable []string
	isKeys := set.Type == typeDNSKEY && owner == v.zone.Origin
	for rdata := range set.Signatures.All() {
		r := parseRRSIG(rdata)
		key, err := v.checkSignature(owner, set, &r)
		switch {
		case errors.As(err, new(errUnusable)):
			unusable = append(unusable, fmt.Sprintf("signature by %03d+%05d: %v", r.algorithm, r.tag, err))
		case err != nil:
			v.find(owner, set.Type, "signature by %03d+%05d: %v", r.algorithm, r.tag, err)
		case !isKeys || v.isEntry(key):
			good[r.algorithm] = true
		}
	}
	missing := false
	for algorithm := range v.required {
		if good[algorithm] {
			continue
		}
		missing = true
		by := ""
		if isKeys && v.hasEntry[algorithm] {
			by = " by a key that a DS record is made of, with the SEP flag"
		}
		v.find(owner, set.Type, "no valid signature of algorithm %s%s (RFC 4035 section 2.2)", algorithm, by)
	}
	for _, reason := range unusable {
		if missing {
			v.find(owner, set.Type, "%s", reason)
		}
	}
}

// errUnusable is why a validator makes nothing of a signature, and goes on to the
// next one (RFC 4035 section 5.3.1).
type errUnusable string

func (e errUnusable) Error() string { return string(e) }

// checkSignature checks a signature as a validator does (RFC 4035 section 5.3.1),
// and returns its key.
func (v *verifier) checkSignature(owner wire.Name, set *zone.RRset, r *rrsig) (*verifyKey, error) {
	labels := owner.Labels()
	if len(owner) > 2 && owner[0] == 1 && owner[1] == '*' {
		labels--
	}
	now := uint32(v.now.Unix())
	switch {
	case r.signer != v.zone.Origin:
		return nil, fmt.Errorf("its signer is %s, not the zone", r.signer)
	case int(r.labels) != labels:
		return nil, fmt.Errorf("it has %d labels, not %d (RFC 4034 section 3.1.3)", r.labels, labels)
	case r.ttl != set.TTL:
		return nil, fmt.Errorf("its original TTL is %d, the set's %d", r.ttl, set.TTL)
	case int32(r.expiration-r.inception) < 0:
		return nil, fmt.Errorf("it ends before it begins")
	case int32(now-r.inception) < 0:
		return nil, errUnusable(fmt.Sprintf("it begins at %v", timeNear(r.inception, v.now)))
	case int32(r.expiration-now) < 0:
		return nil, errUnusable(fmt.Sprintf("it ended at %v", timeNear(r.expiration, v.now)))
	}
	var err error = errUnusable("no key of the zone that can be used")
	for i := range v.keys {
		// Tags do not tell keys apart: each one that fits is tried (RFC 4035 section 5.3.1).
		key := &v.keys[i]
		if key.tag != r.tag || key.Algorithm != r.algorithm {
			continue
		}
		if key.Flags&FlagRevoke != 0 && (set.Type != typeDNSKEY || owner != v.zone.Origin) {
			err = fmt.Errorf("its key is revoked (RFC 5011 section 2.1)")
			continue
		}
		message := appendRecords(r.appendHead(nil), owner, set.Type, set.TTL, set.Data)
		if err = verifySignature(key.Algorithm, key.crypto, message, r.signature); err == nil {
			return key, nil
		}
	}
	return nil, err
}

// checkZONEMD checks the digests that it knows (RFC 8976 section 4).
func (v *verifier) checkZONEMD() {
	set := v.zone.Apex().Set(typeZONEMD)
	if set == nil {
		return
	}
	known, good := false, false
	reason := "no digest of a known scheme and hash"
	for rdata := range set.Data.All() {
		if len(rdata) < 6 || rdata[4] != zonemdSimple || rdata[5] != zonemdSHA384 && rdata[5] != zonemdSHA512 {
			continue
		}
		known = true
		switch {
		case binary.BigEndian.Uint32(rdata) != v.zone.SOA().Serial:
			reason = "is of another serial than the SOA record"
		case string(rdata[6:]) != string(zonemdDigest(v.zone, rdata[5])):
			reason = "digest does not fit the zone"
		default:
			good = true
		}
	}
	if known && !good {
		v.find(v.zone.Origin, typeZONEMD, "%s", reason)
	}
}
