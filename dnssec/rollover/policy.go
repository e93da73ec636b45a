package rollover

import (
	"time"

	"github.com/berryrack/berryrack/dnssec"
)

// Unlimited, as a lifetime, is that a key never rolls over by itself.
const Unlimited = time.Duration(-1)

// Parent is how DS records get into the parent.
type Parent uint8

// The ways to the parent.
const (
	ByPerson    Parent = iota // a person lodges them: KSKs roll over only when told to
	ByRegistrar               // a program lodges them (Registrar in package manager)
	ByCDS                     // the parent was seen to follow the CDS records (RFC 7344, RFC 8078)
)

// Policy is how the keys of a zone are to be. It may change at any time. The
// defaults are those of BIND where it has the option. A negative interval is zero.
type Policy struct {
	// Algorithm is ECDSAP256SHA256 when zero.
	Algorithm dnssec.Algorithm
	// CSK is one key for all instead of KSK and ZSK.
	CSK bool
	// Parent is ByPerson when zero.
	Parent Parent
	// KSKLifetime, of CSKs too, is Unlimited when zero. ZSKLifetime is 90 days. A
	// lifetime that is too short for a rollover is taken as the shortest possible.
	KSKLifetime, ZSKLifetime time.Duration

	// KeyTTL is the TTL of the DNSKEY set (TTLkey), 1 hour.
	KeyTTL time.Duration
	// ZoneTTL is the highest TTL of the zone (TTLsig). When zero, it is what was
	// observed, and 1 day when nothing was. An observed one that is higher counts.
	ZoneTTL time.Duration
	// DSTTL is the TTL of the DS set (TTLds), 1 day. An observed one takes its place.
	DSTTL time.Duration
	// ZonePropagation is how long a new version of the zone takes to all of its
	// servers (Dprp), 5 minutes. ParentPropagation is that of the parent (DprpP), 1
	// hour.
	ZonePropagation, ParentPropagation time.Duration
	// PublishSafety and RetireSafety are margins for what comes and what goes, 1 hour.
	PublishSafety, RetireSafety time.Duration
	// SignDelay is how long it takes until all signatures are made with a new key
	// (Dsgn). It is zero: dnssec.Signer makes them all at once.
	SignDelay time.Duration
	// Purge is how long keys are kept once all of their records are hidden, 90 days.
	Purge time.Duration
}

const day = 24 * time.Hour

// withDefaults fills in the defaults.
func (p Policy) withDefaults() Policy {
	if p.Algorithm == 0 {
		p.Algorithm = dnssec.ECDSAP256SHA256
	}
	if p.KSKLifetime == 0 {
		p.KSKLifetime = Unlimited
	}
	if p.ZSKLifetime == 0 {
		p.ZSKLifetime = 90 * day
	}
	for _, field := range []struct {
		value   *time.Duration
		without time.Duration
	}{
		{&p.KeyTTL, time.Hour}, {&p.ZoneTTL, 0}, {&p.DSTTL, day},
		{&p.ZonePropagation, 5 * time.Minute}, {&p.ParentPropagation, time.Hour},
		{&p.PublishSafety, time.Hour}, {&p.RetireSafety, time.Hour},
		{&p.SignDelay, 0}, {&p.Purge, 90 * day},
	} {
		if *field.value == 0 {
			*field.value = field.without
		}
		*field.value = max(0, *field.value)
	}
	return p
}

// roles returns the roles that the zone needs a key for.
func (p *Policy) roles() []Role {
	if p.CSK {
		return []Role{CSK}
	}
	return []Role{KSK, ZSK}
}

// lifetime returns that of a role, negative when it is unlimited.
func (p *Policy) lifetime(role Role) time.Duration {
	if role == ZSK {
		return p.ZSKLifetime
	}
	return p.KSKLifetime
}
