package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"fmt"
	"slices"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// hashLabel is the octets of a SHA-1 hash as a label in base32.
const hashLabel = 32

var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// deny adds the chain of denial to what is to be signed.
func (r *run) deny() error {
	if r.Denial == NSEC {
		r.denyByNSEC()
		return nil
	}
	return r.denyByNSEC3()
}

// types lists what the bitmap of a name has: at a zone cut what belongs to the
// parent, and NS (RFC 4034 section 4.1.2, RFC 5155 section 7.1).
func (r *run) types(dst []wire.Type, i int, denial ...wire.Type) []wire.Type {
	dst = append(dst[:0], denial...)
	signed := len(denial) > 0
	for j := range r.names[i].Sets {
		t := r.names[i].Sets[j].Type
		isSigned := r.kinds[i].signs(t)
		if isSigned || t == typeNS {
			dst = append(dst, t)
		}
		signed = signed || isSigned
	}
	if signed {
		dst = append(dst, typeRRSIG)
	}
	slices.Sort(dst)
	return dst
}

// denyByNSEC adds an NSEC record to each name that the zone answers for (RFC 4035
// section 2.3).
func (r *run) denyByNSEC() {
	ttl := r.source.NegativeTTL()
	w := worker{run: r}
	next := r.origin
	var types []wire.Type
	for i := len(r.names) - 1; i >= 0; i-- {
		if r.kinds[i] == occluded {
			continue
		}
		types = r.types(types, i, typeNSEC)
		w.message = wire.AppendBitmap(append(append(w.message[:0], 0, 0), next...), types)
		length := len(w.message) - 2
		w.message[0], w.message[1] = byte(length>>8), byte(length)
		set := zone.RRset{Type: typeNSEC, TTL: ttl, Data: append(w.take(len(w.message)), w.message...)}
		r.names[i].Sets = insertSet(r.names[i].Sets, set)
		next = r.names[i].Name
	}
}

// insertSet puts a set in its place by type, in the room behind the sets.
func insertSet(sets []zone.RRset, set zone.RRset) []zone.RRset {
	at, _ := slices.BinarySearchFunc(sets, set, compareSets)
	return slices.Insert(sets, at, set)
}

// hashedName is an NSEC3 record in the making.
type hashedName struct {
	hash   [sha1.Size]byte
	bitmap []byte
	owner  wire.Name
}

// denyByNSEC3 makes the NSEC3 records (RFC 5155 section 7.1).
func (r *run) denyByNSEC3() error {
	chain := r.hashedNames()
	slices.SortFunc(chain, func(a, b hashedName) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	ttl := r.source.NegativeTTL()
	flags := byte(0)
	if r.Denial == NSEC3OptOut {
		flags = 1
	}
	sets := make([]zone.RRset, len(chain))
	r.hashed = make([]zone.Node, len(chain))
	w := worker{run: r}
	for i, this := range chain {
		next := chain[(i+1)%len(chain)]
		if len(chain) > 1 && this.hash == next.hash {
			return fmt.Errorf("%s and %s have the same NSEC3 hash: use NSEC (RFC 5155 section 7.1)", this.owner, next.owner)
		}
		rdata := append([]byte{1, flags, 0, 0, 0, sha1.Size}, next.hash[:]...)
		sets[i] = zone.RRset{Type: typeNSEC3, TTL: ttl, Data: wire.RDATA(w.take(2 + len(rdata) + len(this.bitmap))).Append(append(rdata, this.bitmap...))}
		label := base32Hex.AppendEncode([]byte{hashLabel}, this.hash[:])
		owner := wire.Name(bytes.ToLower(label)) + r.origin
		r.hashed[i] = zone.MakeNode(owner, sets[i:i+1:i+1])
	}
	return nil
}

// hashedNames lists what has an NSEC3 record: the names that the zone answers for,
// and the empty non-terminals above them. With opt-out, insecure delegations have
// none, nor have empty non-terminals above nothing else (RFC 5155 section 7.1).
func (r *run) hashedNames() []hashedName {
	list := make([]hashedName, 0, len(r.names)+len(r.names)/8)
	w := worker{run: r}
	var types []wire.Type
	var last wire.Name
	for i := range r.names {
		node := &r.names[i]
		if r.kinds[i] == occluded || r.Denial == NSEC3OptOut && r.kinds[i] == delegation && node.Set(typeDS) == nil {
			continue
		}
		for above := node.Name; last != "" && !last.Under(above.Parent()); {
			above = above.Parent()
			list = append(list, hashedName{hash: sha1.Sum([]byte(above)), owner: above})
		}
		types = r.types(types, i)
		w.message = wire.AppendBitmap(w.message[:0], types)
		list = append(list, hashedName{
			hash: sha1.Sum([]byte(node.Name)), owner: node.Name,
			bitmap: append(w.take(len(w.message)), w.message...),
		})
		last = node.Name
	}
	return list
}
