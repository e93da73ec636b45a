package dnssec

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// Denial is how a zone proves that names and types do not exist.
type Denial uint8

// The ways of denial. NSEC3 has no salt and no additional iterations (RFC 9276
// section 3.1).
const (
	NSEC        Denial = iota // RFC 4034 section 4
	NSEC3                     // RFC 5155
	NSEC3OptOut               // RFC 5155 section 6: insecure delegations have no NSEC3 record
)

const (
	defaultValidity = 14 * 24 * time.Hour
	defaultJitter   = 12 * time.Hour
	defaultKeyTTL   = time.Hour
	// backdate is the default of Backdate.
	backdate = time.Hour
	// maxValidity keeps times within reach of each other (RFC 4034 section 3.1.5).
	maxValidity = 1<<31*time.Second - 48*time.Hour
)

// Signer signs zones. Its zero value lacks only Keys. It is not changed by its
// methods, which may run at the same time.
type Signer struct {
	// Keys is all keys of the zone. DNSKEY records that the zone has of its own
	// are dropped. Every algorithm that is published must sign keys and zone (RFC
	// 4035 section 2.2).
	Keys []Key
	// Denial is NSEC when zero.
	Denial Denial
	// Serial is KeepSerial when zero.
	Serial SerialPolicy
	// ZONEMD adds a digest of the whole zone (RFC 8976), SIMPLE with SHA-384. A
	// zone's own ZONEMD record is dropped, as it no longer fits.
	ZONEMD bool
	// KeyTTL is the TTL of the sets DNSKEY, CDS and CDNSKEY, one hour when zero.
	KeyTTL time.Duration

	// Validity is how long signatures last from now, 14 days when zero.
	Validity time.Duration
	// Refresh is how long before its end a signature is made anew, a third of
	// Validity when zero.
	Refresh time.Duration
	// Jitter is how much sooner than Validity signatures may end, each by its own
	// share that a hash of its owner and type gives, so that they do not all fall
	// due at once. It is 12 hours when zero, but at most a tenth of Validity.
	// Negative is none.
	Jitter time.Duration
	// Backdate is how long before now signatures begin, for clocks that are slow: one
	// hour when zero.
	Backdate time.Duration
	// Inception and Expiry, when set, are those of every signature, instead of an
	// hour before now and of what Validity and Jitter give: others are not used
	// again, but those of offline keys.
	Inception, Expiry time.Time

	// VerifyReused has each signature of the previous zone verified before it is
	// used again, for a zone that comes from where it may have been damaged. Without
	// it, only those are whose key's tag is not its own.
	VerifyReused bool

	// Workers is how many signatures are made at once, as many as there are cores
	// when zero.
	Workers int
	// Progress, when set, is told how many signatures are done, of how many at
	// most. It is called by one goroutine at a time.
	Progress func(done, total int)
}

// Result is a signed zone, and how it came about.
type Result struct {
	Zone *zone.Zone // with its signatures and denial records
	// Signed and Reused count the signatures that were made and taken over.
	Signed, Reused int
	// Unchanged says that the zone is as the previous one, serial and all.
	Unchanged bool
	Serial    uint32 // of the SOA record
	// Expiry is when the first signature ends, Due when the first one is to be made
	// anew, for which those of offline keys do not count.
	Expiry, Due time.Time
	// Warnings is what is odd, but no error.
	Warnings []*zone.Problem

	lapse        uint32 // when the first signature of an offline key ends
	schedule     schedule
	scheduleOnce sync.Once
}

// config is a signer with its defaults, ready for one run.
type config struct {
	Signer
	now                time.Time
	inception, expiry  uint32
	refresh, jitter    uint32
	keyTTL             uint32
	keys               []*signingKey
	zoneKeys, keysKeys []*signingKey // that sign the zone, and its keys
	validKeysKeys      []*signingKey // keysKeys that are not revoked
}

// signingKey is a key made ready.
type signingKey struct {
	Key
	tag    uint16
	public crypto.PublicKey
	// verify says that signatures of this algorithm and tag may be another key's,
	// so that they must be tried before they are used again.
	verify bool
}

// configure checks the signer and fills in its defaults.
func (s *Signer) configure(origin wire.Name, now time.Time) (*config, error) {
	c := &config{Signer: *s, now: now}
	if err := errors.Join(c.setTimes(), c.setKeys(), c.checkAlgorithms(), c.checkSettings(origin)); err != nil {
		return nil, fmt.Errorf("dnssec: %w", err)
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	return c, nil
}

func (c *config) checkSettings(origin wire.Name) error {
	var errs []error
	if c.Denial > NSEC3OptOut {
		errs = append(errs, fmt.Errorf("denial %d is unknown", c.Denial))
	}
	if c.Denial != NSEC && len(origin)+1+hashLabel > 255 {
		errs = append(errs, fmt.Errorf("origin %s is too long for NSEC3: use NSEC", origin))
	}
	if c.Serial > DateSerial {
		errs = append(errs, fmt.Errorf("serial policy %d is unknown", c.Serial))
	}
	return errors.Join(errs...)
}

func (c *config) setTimes() error {
	if c.Validity == 0 {
		c.Validity = defaultValidity
	}
	begin, end := c.now.Add(-cmp.Or(c.Backdate, backdate)), c.now.Add(c.Validity)
	if !c.Inception.IsZero() {
		begin = c.Inception
	}
	if !c.Expiry.IsZero() {
		end, c.Jitter = c.Expiry, -1
	}
	left := end.Sub(c.now)
	if c.Refresh == 0 {
		c.Refresh = left / 3
	}
	c.Refresh = c.Refresh.Truncate(time.Second) // as signatures count: what is due is so at Due
	if c.Jitter == 0 {
		c.Jitter = min(defaultJitter, left/10)
	}
	c.Jitter = max(0, c.Jitter)
	ttl := c.KeyTTL
	if ttl == 0 {
		ttl = defaultKeyTTL
	}
	c.inception, c.expiry = uint32(begin.Unix()), uint32(end.Unix())
	c.refresh, c.jitter, c.keyTTL = uint32(c.Refresh/time.Second), uint32(c.Jitter/time.Second), uint32(ttl/time.Second)
	switch {
	case ttl < 0 || ttl >= 1<<31*time.Second:
		return fmt.Errorf("TTL of keys %v is not within 0 and 2^31-1 seconds", ttl)
	case !end.After(begin):
		return fmt.Errorf("signatures would end at %v, before they begin at %v", end.UTC(), begin.UTC())
	case left <= 0:
		return fmt.Errorf("signatures would have ended at %v already", end.UTC())
	case end.Sub(begin) > maxValidity:
		return fmt.Errorf("signatures would last from %v to %v: more than 68 years (RFC 4034 section 3.1.5)", begin.UTC(), end.UTC())
	case c.Refresh < 0 || c.Refresh+c.Jitter >= left:
		return fmt.Errorf("signatures that last %v are due at once: with a refresh of %v and a jitter of %v", left, c.Refresh, c.Jitter)
	}
	return nil
}

func (c *config) setKeys() error {
	var errs []error
	for i, key := range c.Keys {
		ready, err := makeReady(key)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", key, err))
			continue
		}
		for _, other := range c.Keys[:i] {
			if other.Equal(key.PublicKey) {
				errs = append(errs, fmt.Errorf("key %s is there twice", key))
			}
			if other.Algorithm == key.Algorithm && other.Tag() == ready.tag {
				ready.verify = true
			}
		}
		c.keys = append(c.keys, ready)
		if key.Use&SignZone != 0 {
			c.zoneKeys = append(c.zoneKeys, ready)
		}
		if key.Use&SignKeys != 0 {
			c.keysKeys = append(c.keysKeys, ready)
			if key.Flags&FlagRevoke == 0 {
				c.validKeysKeys = append(c.validKeysKeys, ready)
			}
		}
	}
	for i, key := range c.keys {
		for _, later := range c.keys[i+1:] {
			key.verify = key.verify || later.verify && later.tag == key.tag
		}
	}
	return errors.Join(errs...)
}

func makeReady(key Key) (*signingKey, error) {
	public, err := publicKey(key.Algorithm, key.PublicKey.Key)
	if err != nil {
		return nil, err
	}
	if key.Flags&FlagZone == 0 {
		return nil, errors.New("no zone key: its flags lack 256 (RFC 4034 section 2.1.1)")
	}
	if key.Flags&FlagRevoke != 0 && key.Use&(SignZone|InParent) != 0 {
		return nil, errors.New("a revoked key signs the DNSKEY set alone (RFC 5011 section 2.1)")
	}
	if key.Signer != nil {
		equal, ok := key.Signer.Public().(interface{ Equal(crypto.PublicKey) bool })
		if !ok || !equal.Equal(public) {
			return nil, errors.New("private key does not belong to the public one")
		}
	}
	return &signingKey{Key: key, tag: key.Tag(), public: public}, nil
}

// checkAlgorithms sees to it that each published algorithm signs everything (RFC
// 4035 section 2.2). Revoked keys do not count.
func (c *config) checkAlgorithms() error {
	uses := map[Algorithm]Use{}
	var order []Algorithm
	for _, key := range c.Keys {
		if key.Flags&FlagRevoke != 0 {
			continue
		}
		if _, ok := uses[key.Algorithm]; !ok {
			order = append(order, key.Algorithm)
		}
		uses[key.Algorithm] |= key.Use
	}
	published := false
	var errs []error
	for _, algorithm := range order {
		if uses[algorithm]&Publish == 0 {
			continue
		}
		published = true
		if uses[algorithm]&SignKeys == 0 {
			errs = append(errs, fmt.Errorf("algorithm %s is published, but no key of it signs the keys (RFC 4035 section 2.2)", algorithm))
		}
		if uses[algorithm]&SignZone == 0 {
			errs = append(errs, fmt.Errorf("algorithm %s is published, but no key of it signs the zone (RFC 4035 section 2.2)", algorithm))
		}
	}
	if !published {
		errs = append(errs, errors.New("no key is published"))
	}
	return errors.Join(errs...)
}

// Check finds why Sign would refuse z, whatever the keys: for who is about to make
// keys for it.
func (s *Signer) Check(z *zone.Zone, now time.Time) error {
	c := &config{Signer: *s, now: now}
	r := &run{config: c, names: make([]zone.Node, 0, z.Names.Len())}
	for _, node := range z.Names.All() {
		r.names = append(r.names, *node)
	}
	r.kinds = classify(r.names)
	if err := errors.Join(c.setTimes(), c.checkSettings(z.Origin), r.checkDS()); err != nil {
		return fmt.Errorf("dnssec: %w", err)
	}
	return nil
}

// Sign returns z signed. It takes over the signatures of previous, which may be
// nil, and may be z itself, where their set is the same and they are not due. All
// else that signing adds is made afresh: what z has of it is dropped. With Serial
// other than KeepSerial, a zone that did not change keeps its serial. Every error
// of keys and settings comes at once; z and previous stay as they are.
func (s *Signer) Sign(ctx context.Context, z, previous *zone.Zone, now time.Time) (*Result, error) {
	c, err := s.configure(z.Origin, now)
	if err != nil {
		return nil, err
	}
	if previous != nil && previous.Origin != z.Origin {
		return nil, fmt.Errorf("dnssec: previous zone is %s, not %s", previous.Origin, z.Origin)
	}
	c.distrust(previous)
	r := newRun(c, z, previous)
	if err := errors.Join(r.checkDS(), r.deny()); err != nil {
		return nil, fmt.Errorf("dnssec: %w", err)
	}
	if err := r.signAll(ctx); err != nil {
		return nil, fmt.Errorf("dnssec: sign %s: %w", z.Origin, err)
	}
	return r.finish()
}

// distrust finds keys whose signatures in the previous zone cannot be told by
// algorithm and tag alone: those that it does not have, and those of one tag.
func (c *config) distrust(previous *zone.Zone) {
	var old *zone.RRset
	if previous != nil {
		old = previous.Apex().Set(typeDNSKEY)
	}
	for _, key := range c.keys {
		known := false
		if old != nil {
			for rdata := range old.Data.All() {
				other, err := ParsePublicKey(rdata)
				switch {
				case err != nil:
				case other.Equal(key.PublicKey):
					known = true
				case other.Algorithm == key.Algorithm && other.Tag() == key.tag:
					key.verify = true
				}
			}
		}
		key.verify = key.verify || !known || c.VerifyReused
	}
}
