package dnssec

import (
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

const (
	zonemdSimple = 1 // RFC 8976 section 2.2.2
	zonemdSHA384 = 1 // RFC 8976 section 2.2.3
	zonemdSHA512 = 2
)

// zonemdRDATA returns the RDATA of a ZONEMD record (RFC 8976 section 2.2).
func zonemdRDATA(serial uint32, digest []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, serial), append([]byte{zonemdSimple, zonemdSHA384}, digest...)...)
}

// zonemdDigest returns the digest of the zone (RFC 8976 section 3): of all
// records in canonical form and order, but for the apex's ZONEMD set and its
// signatures.
func zonemdDigest(z *zone.Zone, algorithm uint8) []byte {
	d := zoneDigest{zone: z, hash: sha512.New384()}
	if algorithm == zonemdSHA512 {
		d.hash = sha512.New()
	}
	i, j := 0, 0
	for i < z.Names.Len() || j < z.Hashed.Len() {
		switch {
		case j == z.Hashed.Len():
			d.node(z.Names.At(i), nil)
			i++
		case i == z.Names.Len():
			d.node(z.Hashed.At(j), nil)
			j++
		default:
			switch c := z.Names.At(i).Compare(z.Hashed.At(j)); {
			case c < 0:
				d.node(z.Names.At(i), nil)
				i++
			case c > 0:
				d.node(z.Hashed.At(j), nil)
				j++
			default:
				d.node(z.Names.At(i), z.Hashed.At(j))
				i++
				j++
			}
		}
	}
	return d.hash.Sum(nil)
}

type zoneDigest struct {
	zone *zone.Zone
	hash hash.Hash
	sets []*zone.RRset
	buf  []byte
}

// node adds the sets of a name, and of the same name as the owner of an NSEC3 record.
func (d *zoneDigest) node(node, hashed *zone.Node) {
	d.sets, d.buf = d.sets[:0], d.buf[:0]
	for _, n := range []*zone.Node{node, hashed} {
		if n == nil {
			continue
		}
		for i := range n.Sets {
			if n.Sets[i].Type != typeZONEMD || n.Name != d.zone.Origin {
				d.sets = append(d.sets, &n.Sets[i])
			}
		}
	}
	if hashed != nil {
		slices.SortFunc(d.sets, func(a, b *zone.RRset) int { return int(a.Type) - int(b.Type) })
	}
	signed := false
	for _, set := range d.sets {
		if set.Type > typeRRSIG && !signed {
			d.signatures(node.Name)
			signed = true
		}
		d.buf = appendRecords(d.buf, node.Name, set.Type, set.TTL, set.Data)
	}
	if !signed {
		d.signatures(node.Name)
	}
	d.hash.Write(d.buf)
}

// signatures adds the RRSIG set of the name, whose order is that of what it covers.
func (d *zoneDigest) signatures(owner wire.Name) {
	for _, set := range d.sets {
		d.buf = appendRecords(d.buf, owner, typeRRSIG, set.TTL, set.Signatures)
	}
}
