package dnssec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// run is the making of one signed zone.
type run struct {
	*config
	origin   wire.Name
	source   *zone.Zone
	previous *zone.Zone

	names  []zone.Node
	kinds  []kind // of names
	hashed []zone.Node

	result  Result
	changed bool   // from previous, SOA and ZONEMD aside
	soonest uint32 // expiration of the first signature to end that can be made anew
	lapse   uint32 // and of the first that cannot: its key is offline
}

// newRun copies what is to be signed from the zone, and adds what the keys make.
func newRun(c *config, z, previous *zone.Zone) *run {
	r := &run{config: c, origin: z.Origin, source: z, previous: previous, soonest: c.expiry, lapse: c.expiry}
	count := len(apexTypes) + z.Names.Len()
	for _, node := range z.Names.All() {
		count += len(node.Sets)
	}
	sets := make([]zone.RRset, 0, count)
	r.names = make([]zone.Node, 0, z.Names.Len())
	for i, node := range z.Names.All() {
		start := len(sets)
		for _, set := range node.Sets {
			if len(set.Data) == 0 || set.Type == typeNSEC || i == 0 && r.replaces(set.Type) {
				continue
			}
			set.Signatures = nil
			sets = append(sets, set)
		}
		if i == 0 {
			sets = append(sets, r.apexSets()...)
			slices.SortFunc(sets, compareSets)
		}
		if len(sets) == start {
			continue
		}
		sets = append(sets, zone.RRset{}) // room for NSEC
		copied := *node
		copied.Sets = sets[start : len(sets)-1 : len(sets)]
		r.names = append(r.names, copied)
	}
	r.kinds = classify(r.names)
	r.warnKeys()
	r.warnStranger()
	return r
}

func compareSets(a, b zone.RRset) int { return int(a.Type) - int(b.Type) }

// apexTypes is the sets of the apex that the signer may make.
var apexTypes = []wire.Type{typeDNSKEY, typeCDS, typeCDNSKEY, typeNSEC3PARAM, typeZONEMD}

// replaces reports whether the signer makes the set of the apex, so that the
// zone's own is dropped.
func (r *run) replaces(t wire.Type) bool {
	switch t {
	case typeDNSKEY, typeNSEC3PARAM, typeZONEMD:
		return true
	case typeCDS, typeCDNSKEY:
		return slices.ContainsFunc(r.keys, func(k *signingKey) bool { return k.Use&InParent != 0 })
	}
	return false
}

// apexSets makes the sets of the apex that keys and settings ask for.
func (r *run) apexSets() []zone.RRset {
	var keys, cds, cdnskey wire.RDATA
	for _, key := range r.keys {
		if key.Use&Publish != 0 {
			keys = keys.Append(key.RDATA())
		}
		if key.Use&InParent != 0 {
			cds = cds.Append(key.DS(r.origin, SHA256))
			cdnskey = cdnskey.Append(key.RDATA())
		}
	}
	sets := []zone.RRset{{Type: typeDNSKEY, TTL: r.keyTTL, Data: keys.Sorted()}}
	if cds != nil {
		sets = append(sets,
			zone.RRset{Type: typeCDS, TTL: r.keyTTL, Data: cds.Sorted()},
			zone.RRset{Type: typeCDNSKEY, TTL: r.keyTTL, Data: cdnskey.Sorted()})
	}
	if r.Denial != NSEC {
		// SHA-1, no flags, no iterations, no salt (RFC 5155 section 4, RFC 9276 section 3.1).
		sets = append(sets, zone.RRset{Type: typeNSEC3PARAM, TTL: 0, Data: wire.RDATA(nil).Append([]byte{1, 0, 0, 0, 0})})
	}
	if r.ZONEMD {
		sets = append(sets, zone.RRset{Type: typeZONEMD, TTL: r.source.Apex().Set(typeSOA).TTL, Data: wire.RDATA(nil).Append(zonemdRDATA(0, nil))})
	}
	return sets
}

// warnKeys tells of DNSKEY records of the zone that no key of the signer is.
func (r *run) warnKeys() {
	set := r.source.Apex().Set(typeDNSKEY)
	if set == nil {
		return
	}
	for rdata := range set.Data.All() {
		key, err := ParsePublicKey(rdata)
		if err == nil && slices.ContainsFunc(r.keys, func(k *signingKey) bool { return k.Equal(key) }) {
			continue
		}
		r.warn(typeDNSKEY, "key %s of the zone is not among the signer's: dropped", key)
	}
}

// warnStranger tells of a previous zone that none of the signer's keys was in:
// resolvers that have its keys, or its DS records, find the new one bogus.
func (r *run) warnStranger() {
	if r.previous == nil {
		return
	}
	set := r.previous.Apex().Set(typeDNSKEY)
	if set == nil {
		return
	}
	for rdata := range set.Data.All() {
		key, err := ParsePublicKey(rdata)
		key.Flags |= FlagRevoke
		if err == nil && slices.ContainsFunc(r.keys, func(k *signingKey) bool {
			known := k.PublicKey
			known.Flags |= FlagRevoke
			return known.Equal(key)
		}) {
			return
		}
	}
	r.warn(typeDNSKEY, "the previous zone has none of the signer's keys: who trusts its keys finds this one bogus")
}

func (r *run) warn(t wire.Type, format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, &zone.Problem{Owner: r.origin, Type: t, Text: fmt.Sprintf(format, args...)})
}

// kind is what the zone is to a name of it.
type kind uint8

const (
	authoritative kind = iota
	delegation         // owns the NS records of a zone cut
	occluded           // below a zone cut or a DNAME: glue, or of no use
)

// classify tells what the names are. They come in canonical order, so all that is
// below a name follows it without a gap.
func classify(names []zone.Node) []kind {
	kinds := make([]kind, len(names))
	var above *zone.Node
	for i := range names {
		node := &names[i]
		if above != nil && node.Under(above) {
			kinds[i] = occluded
			continue
		}
		above = nil
		if i > 0 && node.Set(typeNS) != nil {
			kinds[i], above = delegation, node
		} else if node.Set(typeDNAME) != nil {
			above = node // RFC 6672 section 2.4
		}
	}
	return kinds
}

// checkDS finds DS records where no zone begins: once they are signed, validators
// look for that zone's keys, and find all below it bogus.
func (r *run) checkDS() error {
	var errs []error
	for i := range r.names {
		if r.kinds[i] == authoritative && r.names[i].Set(typeDS) != nil && len(errs) < maxErrors {
			errs = append(errs, fmt.Errorf("%s DS: is not at a zone cut: remove it, or add the NS records (RFC 4035 section 2.4)", r.names[i].Name))
		}
	}
	return errors.Join(errs...)
}

// signs reports whether the zone signs the set: not what is below a cut, and of
// a cut only the sets that belong to the parent (RFC 4035 section 2.2).
func (k kind) signs(t wire.Type) bool {
	return k == authoritative || k == delegation && (t == typeDS || t == typeNSEC)
}

// worker signs a share of the nodes.
type worker struct {
	*run
	message []byte
	block   []byte
	made    int
	reused  int
	changed bool
	soonest uint32 // as run's
	lapse   uint32
	errs    []error
}

const (
	// nodesAtOnce is how many nodes a worker takes at a time.
	nodesAtOnce = 32
	// maxErrors is how many errors a worker collects before it gives up.
	maxErrors = 20
)

// signAll signs all nodes but for the sets that finish makes.
func (r *run) signAll(ctx context.Context) error {
	progress := meter{tell: r.Progress, total: len(r.hashed) * len(r.zoneKeys)}
	for i := range r.names {
		for j := range r.names[i].Sets {
			if t := r.names[i].Sets[j].Type; r.kinds[i].signs(t) {
				progress.total += len(r.signersOf(r.names[i].Name, t))
			}
		}
	}
	var oldNames, oldHashed zone.Nodes
	if r.previous != nil {
		oldNames, oldHashed = r.previous.Names, r.previous.Hashed
	}
	err := r.parallel(ctx, r.names, oldNames, &progress, func(w *worker, i int, old *zone.Node) {
		w.node(&r.names[i], r.kinds[i], old)
	})
	if err != nil {
		return err
	}
	return r.parallel(ctx, r.hashed, oldHashed, &progress, func(w *worker, i int, old *zone.Node) {
		w.node(&r.hashed[i], authoritative, old)
	})
}

// meter tells how far the signing is.
type meter struct {
	mutex       sync.Mutex
	done, total int
	tell        func(done, total int)
}

func (m *meter) add(n int) {
	if m.tell == nil || n == 0 {
		return
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.done += n
	m.tell(m.done, m.total)
}

// parallel calls do for each node, with the node of the same name of old if
// there is one, from as many goroutines as there are workers.
func (r *run) parallel(ctx context.Context, nodes []zone.Node, old zone.Nodes, progress *meter, do func(w *worker, i int, old *zone.Node)) error {
	var next atomic.Int64
	var group sync.WaitGroup
	workers := make([]*worker, r.Workers)
	for k := range workers {
		w := &worker{run: r, soonest: r.expiry, lapse: r.expiry}
		workers[k] = w
		group.Go(func() {
			for ctx.Err() == nil && len(w.errs) < maxErrors {
				end := int(next.Add(nodesAtOnce))
				start := end - nodesAtOnce
				if start >= len(nodes) {
					return
				}
				done := w.made + w.reused
				w.share(nodes, start, min(end, len(nodes)), old, do)
				progress.add(w.made + w.reused - done)
			}
		})
	}
	group.Wait()
	r.changed = r.changed || old.Len() != len(nodes)
	return errors.Join(ctx.Err(), r.collect(workers))
}

// share goes through a stretch of the nodes and of the old ones beside them.
func (w *worker) share(nodes []zone.Node, start, end int, old zone.Nodes, do func(w *worker, i int, old *zone.Node)) {
	at := 0
	if old.Len() > 0 {
		at, _ = old.Search(nodes[start].Name)
	}
	for i := start; i < end; i++ {
		for at < old.Len() && old.At(at).Compare(&nodes[i]) < 0 {
			at++
		}
		var before *zone.Node
		if at < old.Len() && old.At(at).Name == nodes[i].Name {
			before = old.At(at)
		}
		do(w, i, before)
	}
}

// collect adds up what the workers did.
func (r *run) collect(workers []*worker) error {
	var errs []error
	for _, w := range workers {
		r.result.Signed += w.made
		r.result.Reused += w.reused
		r.changed = r.changed || w.changed
		r.soonest, r.lapse = earlier(r.soonest, w.soonest), earlier(r.lapse, w.lapse)
		errs = append(errs, w.errs...)
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// node signs the sets of a node, the apex's SOA and ZONEMD sets not: they are
// finish's. old is the same node of the previous zone.
func (w *worker) node(node *zone.Node, kind kind, old *zone.Node) {
	isApex := node.Name == w.origin
	same := old != nil && len(old.Sets) == len(node.Sets)
	for i := range node.Sets {
		set := &node.Sets[i]
		if isApex && (set.Type == typeSOA || set.Type == typeZONEMD) {
			continue
		}
		before := oldSet(old, i, set.Type)
		if kind.signs(set.Type) {
			w.sign(node.Name, set, before)
		}
		same = same && before != nil && sameSet(set, before) && bytes.Equal(set.Signatures, before.Signatures)
	}
	w.changed = w.changed || !same
}

// oldSet returns the set of a type, which is the i-th when nothing changed.
func oldSet(old *zone.Node, i int, t wire.Type) *zone.RRset {
	if old == nil {
		return nil
	}
	if i < len(old.Sets) && old.Sets[i].Type == t {
		return &old.Sets[i]
	}
	return old.Set(t)
}

func sameSet(a, b *zone.RRset) bool { return a.TTL == b.TTL && bytes.Equal(a.Data, b.Data) }

// signersOf returns the keys that sign a set. The apex's sets of keys are signed by
// keys that the parent knows (RFC 7344 section 4.1), of which revoked ones sign
// the DNSKEY set alone (RFC 5011 section 2.1).
func (r *run) signersOf(owner wire.Name, t wire.Type) []*signingKey {
	switch {
	case owner != r.origin:
		return r.zoneKeys
	case t == typeDNSKEY:
		return r.keysKeys
	case t == typeCDS, t == typeCDNSKEY:
		return r.validKeysKeys
	}
	return r.zoneKeys
}

// sign gives the set its signatures: those of the old set that still hold, and
// new ones.
func (w *worker) sign(owner wire.Name, set, old *zone.RRset) {
	keys := w.signersOf(owner, set.Type)
	if old != nil && !sameSet(set, old) {
		old = nil
	}
	signatures := wire.RDATA(w.take(len(keys) * w.signatureRoom()))
	for _, key := range keys {
		if rdata := w.reusable(owner, set, old, key); rdata != nil {
			signatures = signatures.Append(rdata)
			w.reused++
			continue
		}
		var err error
		if signatures, err = w.append(signatures, owner, set, key); err != nil {
			w.errs = append(w.errs, fmt.Errorf("%s %s: key %s: %w", owner, set.Type, key, err))
			return
		}
		w.made++
	}
	if len(keys) > 1 {
		signatures = signatures.Sorted()
	}
	set.Signatures = signatures
	for rdata := range signatures.All() {
		if r := parseRRSIG(rdata); w.canRenew(&r) {
			w.soonest = earlier(w.soonest, r.expiration)
		} else {
			w.lapse = earlier(w.lapse, r.expiration)
		}
	}
}

// canRenew reports whether a key that is not offline can make the signature anew.
func (c *config) canRenew(r *rrsig) bool {
	return slices.ContainsFunc(c.keys, func(k *signingKey) bool {
		return k.Signer != nil && k.tag == r.tag && k.Algorithm == r.algorithm
	})
}

// reusable returns the key's signature of the old set, which is the same set, if
// it is still good: not due, or, when the key is offline, not at its end.
func (w *worker) reusable(owner wire.Name, set, old *zone.RRset, key *signingKey) []byte {
	if old == nil {
		return nil
	}
	now := uint32(w.now.Unix())
	var best []byte
	var last uint32
	for rdata := range old.Signatures.All() {
		r := parseRRSIG(rdata)
		if r.algorithm != key.Algorithm || r.tag != key.tag || r.signer != w.origin ||
			r.labels != signatureLabels(owner) || r.ttl != set.TTL || before(now, r.inception) {
			continue
		}
		left := int32(r.expiration - now)
		if left <= 0 || key.Signer != nil && (left <= int32(w.refresh) || !w.hasTimes(&r)) {
			continue
		}
		if key.verify {
			w.message = appendRecords(r.appendHead(w.message[:0]), owner, set.Type, set.TTL, set.Data)
			if verifySignature(key.Algorithm, key.public, w.message, r.signature) != nil {
				continue
			}
		}
		if best == nil || before(last, r.expiration) {
			best, last = rdata, r.expiration
		}
	}
	return best
}

// hasTimes reports whether a signature has the times that are asked for.
func (c *config) hasTimes(r *rrsig) bool {
	return (c.Inception.IsZero() || r.inception == c.inception) && (c.Expiry.IsZero() || r.expiration == c.expiry)
}

var errOffline = errors.New("its private half is not here, and the previous zone has no signature of it that fits and is valid")

// append makes a signature.
func (w *worker) append(dst wire.RDATA, owner wire.Name, set *zone.RRset, key *signingKey) (wire.RDATA, error) {
	if key.Signer == nil {
		return dst, errOffline
	}
	r := rrsig{
		covered: set.Type, algorithm: key.Algorithm, labels: signatureLabels(owner), ttl: set.TTL,
		expiration: w.expiry - w.share32(owner, set.Type), inception: w.inception, tag: key.tag, signer: w.origin,
	}
	w.message = r.appendHead(w.message[:0])
	head := len(w.message)
	w.message = appendRecords(w.message, owner, set.Type, set.TTL, set.Data)
	start := len(dst)
	dst = append(append(dst, 0, 0), w.message[:head]...)
	signed, err := sign(dst, key.Algorithm, key.Signer, w.message)
	if err != nil {
		return dst[:start], err
	}
	length := len(signed) - start - 2
	signed[start], signed[start+1] = byte(length>>8), byte(length)
	return signed, nil
}

// share32 is how many seconds sooner than others the signature of a set ends.
// Sets that are signed by the keys' keys, or with every change, end last.
func (c *config) share32(owner wire.Name, t wire.Type) uint32 {
	switch t {
	case typeDNSKEY, typeCDS, typeCDNSKEY, typeSOA, typeZONEMD:
		return 0
	}
	if c.jitter == 0 {
		return 0
	}
	hash := fnv.New64a()
	hash.Write([]byte(owner))
	hash.Write([]byte{byte(t >> 8), byte(t)})
	return uint32(hash.Sum64() % uint64(c.jitter))
}

// signatureRoom is the octets that most signatures fit in.
func (w *worker) signatureRoom() int { return 2 + rrsigFixed + len(w.origin) + 64 }

// The first block of a worker is small, as most zones are; each is twice as large
// as the one before.
const firstBlock, blockSize = 1 << 10, 64 << 10

// take returns an empty slice with room for n octets, from memory of the worker's.
func (w *worker) take(n int) []byte {
	if n > cap(w.block)-len(w.block) {
		w.block = make([]byte, 0, max(n, firstBlock, min(blockSize, 2*cap(w.block))))
	}
	start := len(w.block)
	w.block = w.block[:start+n]
	return w.block[start : start : start+n]
}

// finish makes what depends on all the rest: the serial, the SOA record, the
// zone's digest, and their signatures.
func (r *run) finish() (*Result, error) {
	return r.finishWith(&zone.Zone{Origin: r.origin, Names: zone.MakeNodes(r.names), Hashed: zone.MakeNodes(r.hashed)})
}

// finishWith finishes a zone whose apex is not shared with another one.
func (r *run) finishWith(z *zone.Zone) (*Result, error) {
	apex := z.Apex()
	soa := apex.Set(typeSOA)
	r.setSerial(soa)
	if err := r.signApex(z, soa); err != nil {
		return nil, err
	}
	if digest := apex.Set(typeZONEMD); digest != nil {
		digest.Data = wire.RDATA(nil).Append(zonemdRDATA(r.result.Serial, zonemdDigest(z, zonemdSHA384)))
		if err := r.signApex(z, digest); err != nil {
			return nil, err
		}
	}
	r.result.Zone = z
	r.result.Unchanged = r.previous != nil && !r.changed
	r.setTimes()
	if left, expire := r.result.Expiry.Sub(r.now), z.SOA().Expire; left < time.Duration(expire)*time.Second {
		r.warn(typeSOA, "expire is %d seconds, but the first signature ends in %d: a secondary that cannot reach its primary would serve a bogus zone (RFC 6781 section 4.4.1)", expire, int(left.Seconds()))
	}
	return &r.result, nil
}

// setTimes says when the result ends, and when it is to be signed again, which
// offline keys have no part in.
func (r *run) setTimes() {
	r.result.lapse = r.lapse
	r.result.Expiry = timeNear(earlier(r.soonest, r.lapse), r.now)
	r.result.Due = timeNear(r.soonest, r.now).Add(-r.Refresh)
	if lapse := timeNear(r.lapse, r.now); !lapse.After(r.now.Add(r.Refresh)) {
		r.warn(0, "a signature of a key that is offline ends at %s: have it made anew where the key is", lapse.Format(time.RFC3339))
	}
	if r.Inception.After(r.now) {
		r.warn(0, "signatures begin at %s: the zone is bogus until then", r.Inception.UTC().Format(time.RFC3339))
	}
}

// signApex signs one set of the apex.
func (r *run) signApex(z *zone.Zone, set *zone.RRset) error {
	w := &worker{run: r, soonest: r.soonest, lapse: r.lapse}
	var old *zone.RRset
	if r.previous != nil {
		old = r.previous.Apex().Set(set.Type)
	}
	w.sign(r.origin, set, old)
	r.changed = r.changed || old == nil || !sameSet(set, old) || !bytes.Equal(set.Signatures, old.Signatures)
	if err := r.collect([]*worker{w}); err != nil {
		return fmt.Errorf("dnssec: sign %s: %w", z.Origin, err)
	}
	return nil
}

// timeNear returns the time that a 32-bit one means, the one nearest to now.
func timeNear(seconds uint32, now time.Time) time.Time {
	return now.Truncate(time.Second).Add(time.Duration(int32(seconds-uint32(now.Unix()))) * time.Second).UTC()
}
