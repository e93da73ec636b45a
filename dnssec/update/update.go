package update

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	typeANY   = wire.Type(dns.TypeANY)
	typeCNAME = wire.Type(dns.TypeCNAME)
	typeNS    = wire.Type(dns.TypeNS)
	typeSOA   = wire.Type(dns.TypeSOA)
)

// signed is the types that a signer makes.
var signed = []wire.Type{
	wire.Type(dns.TypeDNSKEY), wire.Type(dns.TypeCDS), wire.Type(dns.TypeCDNSKEY), wire.Type(dns.TypeRRSIG),
	wire.Type(dns.TypeNSEC), wire.Type(dns.TypeNSEC3), wire.Type(dns.TypeNSEC3PARAM), wire.Type(dns.TypeZONEMD),
}

// besideCNAME is the types that may be at the name of a CNAME record: they are no
// conflict (RFC 2136 section 3.4.2.2 as DNSSEC changed it, RFC 4034 section 4).
var besideCNAME = append([]wire.Type{typeCNAME}, signed...)

// Error says why an update is not carried out.
type Error struct {
	Rcode  int    // for the answer (RFC 2136 section 2.2)
	Reason string // for the log, the answer has no place for it; sections are RFC 2136's
}

func (e *Error) Error() string {
	return fmt.Sprintf("update: %s: %s", dns.RcodeToString[e.Rcode], e.Reason)
}

// Rcode returns the response code for an error of [Apply].
func Rcode(err error) int {
	if err == nil {
		return dns.RcodeSuccess
	}
	if refused := (*Error)(nil); errors.As(err, &refused) {
		return refused.Rcode
	}
	return dns.RcodeServerFailure
}

func fail(rcode int, format string, args ...any) error {
	return &Error{Rcode: rcode, Reason: fmt.Sprintf(format, args...)}
}

// Apply returns the zone as the message has it updated, or z itself when nothing
// changes. key is the name of the TSIG key that signed the message. z stays as it
// is; an error is an [*Error].
func Apply(z *zone.Zone, message *dns.Msg, key string, grants []Grant) (*zone.Zone, error) {
	if err := checkZone(z, message); err != nil {
		return nil, err
	}
	u := &updater{Editor: z.Edit(), zone: z}
	if err := u.prerequisites(message.Answer); err != nil {
		return nil, err
	}
	changes, err := u.prescan(message.Ns)
	if err != nil {
		return nil, err
	}
	if err := permit(changes, key, grants); err != nil {
		return nil, err
	}
	for _, c := range changes {
		u.carryOut(c)
	}
	if !u.changed {
		return z, nil
	}
	next, err := u.Zone()
	if err != nil {
		return nil, fail(dns.RcodeRefused, "the zone would be wrong: %v", err)
	}
	return next, nil
}

// checkZone checks the zone section (RFC 2136 section 3.1).
func checkZone(z *zone.Zone, m *dns.Msg) error {
	if len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeSOA {
		return fail(dns.RcodeFormatError, "the zone section is not one SOA record (section 3.1.1)")
	}
	name, err := wire.ParseName(m.Question[0].Name)
	if err != nil || name != z.Origin || m.Question[0].Qclass != dns.ClassINET {
		return fail(dns.RcodeNotAuth, "%s is not the zone %s (section 3.1.2)", m.Question[0].Name, z.Origin)
	}
	return nil
}

type updater struct {
	*zone.Editor
	zone    *zone.Zone
	changed bool
}

// set is one type of a name.
type set struct {
	owner wire.Name
	t     wire.Type
}

// prerequisites checks the prerequisite section (RFC 2136 section 3.2).
func (u *updater) prerequisites(section []dns.RR) error {
	wanted := map[set]wire.RDATA{}
	for _, rr := range section {
		h := rr.Header()
		owner, err := u.owner(rr)
		if err != nil {
			return err
		}
		if h.Ttl != 0 {
			return fail(dns.RcodeFormatError, "a prerequisite on %s has a TTL (section 3.2.1)", owner)
		}
		switch h.Class {
		case dns.ClassANY, dns.ClassNONE:
			err = u.existence(owner, h)
		case dns.ClassINET:
			err = gather(wanted, owner, rr)
		default:
			err = fail(dns.RcodeFormatError, "a prerequisite on %s has class %s (section 3.2.4)", owner, dns.Class(h.Class))
		}
		if err != nil {
			return err
		}
	}
	for s, data := range wanted {
		if present := u.Set(s.owner, s.t); present == nil || !bytes.Equal(present.Data, data.Sorted()) {
			return fail(dns.RcodeNXRrset, "%s %s is not as the prerequisite has it (section 3.2.3)", s.owner, s.t)
		}
	}
	return nil
}

// owner returns the owner of a record, which must be in the zone.
func (u *updater) owner(rr dns.RR) (wire.Name, error) {
	owner, err := wire.ParseName(rr.Header().Name)
	if err != nil {
		return "", fail(dns.RcodeFormatError, "owner %q: %v", rr.Header().Name, err)
	}
	if !owner.Under(u.zone.Origin) {
		return "", fail(dns.RcodeNotZone, "%s is not in the zone", owner)
	}
	return owner, nil
}

// existence checks that a name or set is there (class ANY, sections 2.4.1 and
// 2.4.4) or is not (class NONE, sections 2.4.3 and 2.4.5).
func (u *updater) existence(owner wire.Name, h *dns.RR_Header) error {
	if h.Rdlength != 0 {
		return fail(dns.RcodeFormatError, "a prerequisite of class %s on %s has data (sections 3.2.1, 3.2.2)", dns.Class(h.Class), owner)
	}
	t, wanted := wire.Type(h.Rrtype), h.Class == dns.ClassANY
	if t == typeANY {
		inUse := slices.ContainsFunc(u.Sets(owner), func(s zone.RRset) bool { return len(s.Data) > 0 })
		switch {
		case wanted && !inUse:
			return fail(dns.RcodeNameError, "%s is not in use (section 3.2.1)", owner)
		case !wanted && inUse:
			return fail(dns.RcodeYXDomain, "%s is in use (section 3.2.2)", owner)
		}
		return nil
	}
	exists := u.Set(owner, t) != nil
	switch {
	case wanted && !exists:
		return fail(dns.RcodeNXRrset, "%s has no %s (section 3.2.1)", owner, t)
	case !wanted && exists:
		return fail(dns.RcodeYXRrset, "%s has %s (section 3.2.2)", owner, t)
	}
	return nil
}

// gather adds a record to the sets that must be there with just these records.
func gather(wanted map[set]wire.RDATA, owner wire.Name, rr dns.RR) error {
	t, rdata, err := wire.Pack(rr)
	if err != nil || !t.IsData() {
		return fail(dns.RcodeFormatError, "a prerequisite on %s: %s is malformed", owner, t)
	}
	wanted[set{owner, t}] = wanted[set{owner, t}].Append(rdata)
	return nil
}

// change is a record of the update section.
type change struct {
	set
	class uint16
	ttl   uint32
	rdata []byte // none in class ANY
}

// prescan reads the update section (RFC 2136 section 3.4.1).
func (u *updater) prescan(section []dns.RR) ([]change, error) {
	var changes []change
	for _, rr := range section {
		h := rr.Header()
		owner, err := u.owner(rr)
		if err != nil {
			return nil, err
		}
		c := change{set: set{owner, wire.Type(h.Rrtype)}, class: h.Class, ttl: h.Ttl}
		if c.ttl > 1<<31-1 {
			c.ttl = 0 // RFC 2181 section 8
		}
		malformed := fail(dns.RcodeFormatError, "%s %s of class %s is no update (section 3.4.1.2)", owner, c.t, dns.Class(h.Class))
		switch h.Class {
		case dns.ClassINET:
		case dns.ClassNONE, dns.ClassANY:
			if h.Ttl != 0 {
				return nil, malformed
			}
		default:
			return nil, malformed
		}
		if h.Class == dns.ClassANY {
			if h.Rdlength != 0 || c.t != typeANY && !c.t.IsData() {
				return nil, malformed
			}
		} else if _, c.rdata, err = wire.Pack(rr); err != nil || !c.t.IsData() || h.Class == dns.ClassINET && h.Rdlength == 0 {
			return nil, malformed
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// carryOut makes one change (RFC 2136 section 3.4.2).
func (u *updater) carryOut(c change) {
	switch {
	case c.class == dns.ClassINET:
		u.add(c)
	case c.class == dns.ClassNONE:
		u.deleteRecord(c)
	case c.t == typeANY:
		for _, s := range slices.Clone(u.Sets(c.owner)) {
			u.deleteSet(set{c.owner, s.Type})
		}
	default:
		u.deleteSet(c.set)
	}
}

func (u *updater) isApex(s set, types ...wire.Type) bool {
	return s.owner == u.zone.Origin && slices.Contains(types, s.t)
}

// deleteSet deletes a set, but for those that the apex must have (section 3.4.2.3).
func (u *updater) deleteSet(s set) {
	if u.Set(s.owner, s.t) == nil || u.isApex(s, typeSOA, typeNS) {
		return
	}
	u.RemoveSet(s.owner, s.t)
	u.changed = true
}

// deleteRecord deletes a record, but for the SOA record and the last name server
// (section 3.4.2.4).
func (u *updater) deleteRecord(c change) {
	if c.t == typeSOA || u.isApex(c.set, typeNS) && u.Set(c.owner, typeNS).Data.Len() == 1 {
		return
	}
	u.changed = u.Remove(c.owner, c.t, c.rdata) || u.changed
}

// add adds a record (section 3.4.2.2).
func (u *updater) add(c change) {
	if u.conflicts(c) {
		return
	}
	present := u.Set(c.owner, c.t)
	switch {
	case present != nil && present.TTL == c.ttl && slices.ContainsFunc(slices.Collect(present.Data.All()), func(r []byte) bool { return bytes.Equal(r, c.rdata) }):
		return
	case c.t == typeSOA, c.t == typeCNAME, c.t == wire.Type(dns.TypeDNAME):
		u.RemoveSet(c.owner, c.t) // there is one at most
	}
	u.Add(c.owner, c.t, c.ttl, c.rdata)
	u.changed = true
}

// conflicts reports whether a record to add is to be ignored.
func (u *updater) conflicts(c change) bool {
	if c.t == typeSOA {
		present := u.Set(c.owner, typeSOA)
		return present == nil || int32(serial(c.rdata)-serial(present.Data.First())) <= 0
	}
	if c.t == typeCNAME {
		return slices.ContainsFunc(u.Sets(c.owner), func(s zone.RRset) bool {
			return len(s.Data) > 0 && !slices.Contains(besideCNAME, s.Type)
		})
	}
	return u.Set(c.owner, typeCNAME) != nil
}

// serial reads that of a SOA record, which is 20 octets before its end.
func serial(soa []byte) uint32 { return binary.BigEndian.Uint32(soa[len(soa)-20:]) }
