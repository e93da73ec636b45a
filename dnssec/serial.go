package dnssec

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// SerialPolicy is how a signed zone gets its serial. But for KeepSerial, the
// serial grows (RFC 1982) past the zone's and the previous zone's when anything
// changed, and stays the previous one when nothing did. 0 is left out.
type SerialPolicy uint8

// The serial policies.
const (
	KeepSerial      SerialPolicy = iota // the zone's
	IncrementSerial                     // one more
	UnixSerial                          // seconds since 1970, or one more when that is not more
	DateSerial                          // YYYYMMDDnn (RFC 1912 section 2.2), or one more
)

// setSerial decides on the serial, all but SOA and ZONEMD being signed.
func (r *run) setSerial(soa *zone.RRset) {
	serial := r.source.SOA().Serial
	var old *zone.RRset
	if r.previous != nil {
		old = r.previous.Apex().Set(typeSOA)
	}
	hadDigest := old != nil && r.previous.Apex().Set(typeZONEMD) != nil
	switch {
	case r.Serial == KeepSerial:
	case old != nil && !r.changed && hadDigest == r.ZONEMD && sameButSerial(soa, old) && r.holds(old):
		serial = r.previous.SOA().Serial
	default:
		if old != nil && before(serial, r.previous.SOA().Serial) {
			serial = r.previous.SOA().Serial
		}
		serial = r.Serial.next(serial, r.now)
	}
	r.result.Serial = serial
	rdata := bytes.Clone(soa.Data.First())
	binary.BigEndian.PutUint32(rdata[len(rdata)-20:], serial)
	soa.Data = wire.RDATA(nil).Append(rdata)
	if r.Serial != KeepSerial || old == nil {
		return
	}
	switch was := r.previous.SOA().Serial; {
	case before(serial, was):
		r.warn(typeSOA, "serial %d is before the previous zone's %d: secondaries will not fetch it (RFC 1982)", serial, was)
	case serial == was && (r.changed || !sameSet(soa, old)):
		r.warn(typeSOA, "the zone changed, but keeps its serial %d: secondaries will not fetch it", serial)
	}
}

// holds reports whether no key needs to sign the old SOA set anew.
func (r *run) holds(old *zone.RRset) bool {
	w := &worker{run: r}
	for _, key := range r.zoneKeys {
		if w.reusable(r.origin, old, old, key) == nil {
			return false
		}
	}
	return old.Signatures.Len() == len(r.zoneKeys)
}

func sameButSerial(a, b *zone.RRset) bool {
	x, y := a.Data.First(), b.Data.First()
	return a.TTL == b.TTL && len(x) == len(y) && bytes.Equal(x[:len(x)-20], y[:len(y)-20]) && bytes.Equal(x[len(x)-16:], y[len(y)-16:])
}

// next returns the serial that follows.
func (p SerialPolicy) next(serial uint32, now time.Time) uint32 {
	wanted := serial + 1
	switch p {
	case UnixSerial:
		wanted = uint32(now.Unix())
	case DateSerial:
		year, month, day := now.UTC().Date()
		wanted = uint32(year*1000000 + int(month)*10000 + day*100)
	}
	if !before(serial, wanted) {
		wanted = serial + 1
	}
	if wanted == 0 {
		wanted = 1
	}
	return wanted
}
