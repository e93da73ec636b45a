package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

const (
	typeSOA     = wire.Type(dns.TypeSOA)
	typeDNSKEY  = wire.Type(dns.TypeDNSKEY)
	typeCDS     = wire.Type(dns.TypeCDS)
	typeCDNSKEY = wire.Type(dns.TypeCDNSKEY)
	typeRRSIG   = wire.Type(dns.TypeRRSIG)
	typeNSEC    = wire.Type(dns.TypeNSEC)
)

// source is a zone before it is signed, and where it comes from.
type source struct {
	zone *zone.Zone // as it is to be signed; nil when there is none yet
	base *zone.Zone // the file that updates were made to, nil without updates
	path string     // the file
	// baseless is that base is there, but cannot be read.
	baseless bool
	file     fileMark // as it was read
	// found is the keys that the zone came with, signed by somebody else; asFound is
	// that zone, nil when it came unsigned.
	found   []rollover.AvailableKey
	asFound *zone.Zone
	// fetched is when the primary was last heard, tried when it was last asked.
	fetched, tried time.Time
}

// fileMark tells versions of a file apart.
type fileMark struct {
	size     int64
	modified time.Time
	inode    uint64
}

func markOf(path string) (fileMark, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileMark{}, err
	}
	return fileMark{size: info.Size(), modified: info.ModTime(), inode: inode(info)}, nil
}

// restore reads what was kept of an earlier run. When the zone with its updates is
// lost, or a crash came before the first one was kept, it is as it was last signed.
func (s *source) restore(store Store, origin wire.Name, signed *zone.Zone) error {
	kept, err := store.loadZone(origin, sourceFile)
	if err != nil {
		err = fmt.Errorf("manager: %w: the zone is taken as it was last signed", err)
	}
	base, baseErr := store.loadZone(origin, baseFile)
	if baseErr != nil {
		err = errors.Join(err, fmt.Errorf("manager: %w: edits of the zone's file since then are not seen, make them again", baseErr))
	}
	if kept == nil && (base != nil || baseErr != nil) && signed != nil {
		var plainErr error
		kept, plainErr = plain(signed)
		err = errors.Join(err, plainErr)
	}
	if kept == nil {
		base = nil // the file is all there is
	}
	s.zone, s.base, s.file, s.baseless = kept, base, fileMark{}, kept != nil && baseErr != nil
	return err
}

// readFile reads the master file, when it changed.
func (s *source) readFile(store Store, path string, origin wire.Name) error {
	mark, err := markOf(path)
	if err == nil && mark == s.file {
		return nil
	}
	if err != nil {
		return fmt.Errorf("manager: zone %s: %w", origin, err)
	}
	z, _, err := zone.ReadFile(path, origin)
	if err != nil {
		return err
	}
	asFound := z
	if z, err = plain(z); err != nil {
		return err
	}
	if s.baseless {
		s.base, s.baseless = z, false
	}
	if s.base != nil {
		merged, err := merge(s.zone, s.base, z)
		if err != nil {
			return fmt.Errorf("manager: zone %s: %s does not go together with the updates that the zone has had: %w", origin, path, err)
		}
		if err := store.saveZone(merged, sourceFile); err != nil {
			return err
		}
		if err := store.saveZone(z, baseFile); err != nil {
			return err
		}
		s.base, z = z, merged
	}
	s.zone, s.file = z, mark
	s.find(asFound)
	return nil
}

// merge changes a zone as its file was changed.
func merge(z, base, file *zone.Zone) (*zone.Zone, error) {
	d := zone.Diff(base, file)
	if d.Len() == 2 && d.FromSerial() == d.ToSerial() {
		return z, nil
	}
	e := z.Edit()
	for _, owned := range d.Deleted {
		for rdata := range owned.Data.All() {
			e.Remove(owned.Owner, owned.Type, rdata)
		}
	}
	for _, owned := range d.Added {
		for rdata := range owned.Data.All() {
			e.Add(owned.Owner, owned.Type, owned.TTL, rdata)
		}
	}
	if int32(d.ToSerial()-z.SOA().Serial) >= 0 {
		e.RemoveSet(z.Origin, typeSOA)
		e.Add(z.Origin, typeSOA, d.To.TTL, d.To.Data.First())
	}
	return e.Zone()
}

// updated takes over what an update made of the zone, and keeps it for good.
func (s *source) updated(store Store, next *zone.Zone) error {
	if s.base == nil {
		if err := store.saveZone(s.zone, baseFile); err != nil {
			return err
		}
		s.base = s.zone
	}
	if err := store.saveZone(next, sourceFile); err != nil {
		return err
	}
	s.zone = next
	return nil
}

// transferred takes over what came from the primary.
func (s *source) transferred(store Store, next *zone.Zone) error {
	z, err := plain(next)
	if err != nil {
		return err
	}
	if err := store.saveZone(z, sourceFile); err != nil {
		return err
	}
	s.zone = z
	s.find(next)
	return nil
}

// find takes in which keys a zone came with.
func (s *source) find(z *zone.Zone) {
	s.found, s.asFound = keysIn(z), nil
	if len(s.found) > 0 {
		s.asFound = z
	}
}

// plain takes away what the signer makes.
func plain(z *zone.Zone) (*zone.Zone, error) {
	apex := map[wire.Type]bool{
		typeDNSKEY: true, typeCDS: true, typeCDNSKEY: true, wire.Type(dns.TypeNSEC3PARAM): true, wire.Type(dns.TypeZONEMD): true,
	}
	e := z.Edit()
	for i, node := range z.Names.All() {
		for _, set := range node.Sets {
			if set.Type == typeNSEC || i == 0 && apex[set.Type] {
				e.RemoveSet(node.Name, set.Type)
				continue
			}
			for rdata := range set.Signatures.All() {
				e.Remove(node.Name, typeRRSIG, rdata)
			}
		}
	}
	for _, node := range z.Hashed.All() {
		e.RemoveSet(node.Name, wire.Type(dns.TypeNSEC3))
	}
	return e.Zone()
}

// keysIn returns the keys that a zone publishes.
func keysIn(z *zone.Zone) (keys []rollover.AvailableKey) {
	set := z.Apex().Set(typeDNSKEY)
	if set == nil {
		return nil
	}
	for rdata := range set.Data.All() {
		public, err := dnssec.ParsePublicKey(rdata)
		if err != nil {
			continue
		}
		key := rollover.AvailableKey{Public: public, Served: dnssec.Publish}
		if signs(z, public, typeDNSKEY) {
			key.Served |= dnssec.SignKeys
		}
		if signs(z, public, typeSOA) {
			key.Served |= dnssec.SignZone
		}
		switch {
		case public.Flags&dnssec.FlagSEP == 0:
			key.Role = rollover.ZSK
		case key.Served&dnssec.SignZone != 0:
			key.Role = rollover.CSK
		default:
			key.Role = rollover.KSK
		}
		keys = append(keys, key)
	}
	return keys
}

// signs reports whether a set of the apex has a signature by a key's tag.
func signs(z *zone.Zone, key dnssec.PublicKey, t wire.Type) bool {
	set := z.Apex().Set(t)
	if set == nil {
		return false
	}
	for _, rr := range set.RRSIGs(z.Origin) {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.KeyTag == key.Tag() && sig.Algorithm == uint8(key.Algorithm) {
			return true
		}
	}
	return false
}

// highestTTL returns the highest TTL of a zone's own data.
func highestTTL(zones ...*zone.Zone) time.Duration {
	highest := uint32(0)
	for _, z := range zones {
		if z == nil {
			continue
		}
		for _, node := range z.Names.All() {
			for i := range node.Sets {
				if t := node.Sets[i].Type; t != typeDNSKEY && t != typeCDS && t != typeCDNSKEY {
					highest = max(highest, node.Sets[i].TTL)
				}
			}
		}
	}
	return time.Duration(highest) * time.Second
}

// withSerial returns the zone with another serial.
func withSerial(z *zone.Zone, serial uint32) (*zone.Zone, error) {
	soa, ok := z.Apex().Set(typeSOA).RRs(z.Origin)[0].(*dns.SOA)
	if !ok {
		return nil, errors.New("manager: SOA record is malformed")
	}
	soa.Serial = serial
	_, rdata, err := wire.Pack(soa)
	if err != nil {
		return nil, fmt.Errorf("manager: SOA record: %w", err)
	}
	e := z.Edit()
	e.RemoveSet(z.Origin, typeSOA)
	e.Add(z.Origin, typeSOA, soa.Hdr.Ttl, rdata)
	return e.Zone()
}

// withDeletion returns the zone with the CDS and CDNSKEY records that ask for the
// DS set to be deleted (RFC 8078 section 4).
func withDeletion(z *zone.Zone, ttl time.Duration) (*zone.Zone, error) {
	e := z.Edit()
	e.Add(z.Origin, typeCDS, uint32(ttl/time.Second), []byte{0, 0, 0, 0, 0})
	e.Add(z.Origin, typeCDNSKEY, uint32(ttl/time.Second), []byte{0, 0, 3, 0, 0})
	return e.Zone()
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
