package rollover

import "time"

// wait is how long after a change it is certain to be known everywhere.
type wait struct {
	name, section string
	// formula is in the terms of RFC 7583, for people.
	formula string
	delay   func(*Policy) time.Duration
	ttl     func(*TTLs) *TTL
	safety  func(*Policy) time.Duration
}

func keyTTL(t *TTLs) *TTL                         { return &t.Key }
func zoneTTL(t *TTLs) *TTL                        { return &t.Zone }
func dsTTL(t *TTLs) *TTL                          { return &t.DS }
func publishSafety(p *Policy) time.Duration       { return p.PublishSafety }
func retireSafety(p *Policy) time.Duration        { return p.RetireSafety }
func zoneDelay(p *Policy) time.Duration           { return p.ZonePropagation }
func zoneAndSigningDelay(p *Policy) time.Duration { return p.ZonePropagation + p.SignDelay }
func parentDelay(p *Policy) time.Duration         { return p.ParentPropagation }

// waits is by record: first before it is omnipresent, then before it is hidden.
type waits [Records][2]wait

var rfc7583 = waits{
	DNSKEY: {
		{"Ipub", "RFC 7583 section 3.2.1", "waits for Ipub = Dprp + TTLkey + publish-safety", zoneDelay, keyTTL, publishSafety},
		{"TTLkey", "RFC 7583 section 3.2.1", "waits for TTLkey = Dprp + TTLkey + retire-safety", zoneDelay, keyTTL, retireSafety},
	},
	KRRSIG: {
		{"IpubC", "RFC 7583 section 3.3.1", "waits for IpubC = DprpC + TTLkey + publish-safety", zoneDelay, keyTTL, publishSafety},
		{"TTLkey", "RFC 7583 section 3.3.1", "waits for TTLkey = DprpC + TTLkey + retire-safety", zoneDelay, keyTTL, retireSafety},
	},
	ZRRSIG: {
		{"Iret", "RFC 7583 section 3.2.1", "waits for Iret = Dsgn + Dprp + TTLsig + retire-safety", zoneAndSigningDelay, zoneTTL, retireSafety},
		{"Iret", "RFC 7583 section 3.2.1", "waits for Iret = Dsgn + Dprp + TTLsig + retire-safety", zoneAndSigningDelay, zoneTTL, retireSafety},
	},
	DS: {
		{"Iret", "RFC 7583 section 3.3.1", "waits for Iret = DprpP + TTLds + retire-safety", parentDelay, dsTTL, retireSafety},
		{"Iret", "RFC 7583 section 3.3.1", "waits for Iret = DprpP + TTLds + retire-safety", parentDelay, dsTTL, retireSafety},
	},
}

// of returns the wait before a record gets to a state, Omnipresent or Hidden.
func (w *waits) of(record Record, to RecordState) *wait {
	if to == Omnipresent {
		return &w[record][0]
	}
	return &w[record][1]
}

// end returns when a change that was out at seen is known everywhere.
func (w *wait) end(seen time.Time, policy *Policy, ttls *TTLs, emergency bool) time.Time {
	rest := w.delay(policy)
	if !emergency {
		rest += w.safety(policy)
	}
	return w.ttl(ttls).expiry(seen).Add(rest)
}

// expiry returns when the last copy of a set expires that was served until seen.
func (t *TTL) expiry(seen time.Time) time.Time {
	end := seen.Add(t.Value)
	if t.Earlier == 0 {
		return end
	}
	earlier := seen
	if !t.Lowered.IsZero() {
		earlier = t.Lowered
	}
	return later(end, earlier.Add(t.Earlier))
}

// set changes the TTL. A higher one is kept in mind until its copies are gone.
func (t *TTL) set(value time.Duration) {
	if value < t.Value {
		t.Earlier = max(t.Earlier, t.Value)
		t.Lowered = time.Time{}
	}
	t.Value = value
}

// served takes in that the TTL is what all servers serve at now.
func (t *TTL) served(now time.Time, delay time.Duration) {
	switch {
	case t.Earlier == 0:
	case t.Lowered.IsZero():
		t.Lowered = now
	case now.After(t.Lowered.Add(t.Earlier + delay)):
		t.Earlier, t.Lowered = 0, time.Time{}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sooner returns the earlier of two times; zero ones do not count.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
