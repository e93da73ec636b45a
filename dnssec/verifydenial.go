package dnssec

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// maxIterations is the most additional iterations of a hash that validators take
// part in (RFC 9276 section 3.2): Unbound stops at 150, others sooner.
const maxIterations = 150

// checkDenial checks every chain that the apex says the zone has: each NSEC3PARAM
// record that servers obey is of a chain of NSEC3 records (RFC 5155 section 4.1.2),
// and an NSEC record is of one of these. Records of no such chain are in the
// making or on their way out (RFC 5155 sections 10.4 and 10.5).
func (v *verifier) checkDenial() {
	apex := v.zone.Apex()
	chains := 0
	if set := apex.Set(typeNSEC3PARAM); set != nil {
		for params := range set.Data.All() {
			if params[0] == 1 && params[1] == 0 {
				chains++
				v.checkNSEC3(params)
			}
		}
		if chains == 0 && apex.Set(typeNSEC) == nil {
			v.find(v.zone.Origin, typeNSEC3PARAM, "is not of SHA-1, or has flags (RFC 5155 section 4.1)")
		}
	}
	if chains == 0 || apex.Set(typeNSEC) != nil {
		v.checkNSEC()
		return
	}
	for _, node := range v.zone.Names.All() {
		if node.Set(typeNSEC) != nil {
			v.find(node.Name, typeNSEC, "is of no chain: the zone has NSEC3, and its apex no NSEC record")
		}
	}
}

// wantedTypes is what a bitmap must have of a name.
func (v *verifier) wantedTypes(node *zone.Node, nsec bool) []wire.Type {
	types := map[wire.Type]bool{}
	for i := range node.Sets {
		t := node.Sets[i].Type
		if len(node.Sets[i].Data) == 0 || t == typeNSEC && !nsec {
			continue
		}
		if v.wantsSignature(node.Name, t) {
			types[typeRRSIG] = true
			types[t] = true
		} else if t == typeNS {
			types[t] = true
		}
	}
	var list []wire.Type
	for t := range types {
		list = append(list, t)
	}
	slices.Sort(list)
	return list
}

func (v *verifier) checkBitmap(owner wire.Name, t wire.Type, bitmap []byte, want []wire.Type) {
	have := wire.BitmapTypes(bitmap)
	if t == typeNSEC3 {
		// NSEC records come and go beside it (RFC 5155 section 10).
		have = slices.DeleteFunc(have, func(t wire.Type) bool { return t == typeNSEC })
	}
	if !slices.Equal(have, want) {
		v.find(owner, t, "has the types %v, the name %v", have, want)
	}
}

// checkNSEC follows the chain from the apex. It is whole when it only ever goes
// forward, comes back to the apex, and has met as many names as the zone answers
// for.
func (v *verifier) checkNSEC() {
	want := map[wire.Name]*zone.Node{}
	for _, node := range v.zone.Names.All() {
		set := node.Set(typeNSEC)
		if v.hidden(node.Name) {
			if set != nil {
				v.find(node.Name, typeNSEC, "is below a zone cut or a DNAME (RFC 4035 section 2.3)")
			}
			continue
		}
		want[node.Name] = node
		if set == nil {
			v.find(node.Name, typeNSEC, "is missing (RFC 4035 section 2.3)")
			continue
		}
		if set.Data.Len() != 1 {
			v.find(node.Name, typeNSEC, "there are %d records, not one", set.Data.Len())
		}
		if ttl := v.zone.NegativeTTL(); set.TTL != ttl {
			v.find(node.Name, typeNSEC, "TTL is %d, not %d (RFC 9077 section 3)", set.TTL, ttl)
		}
		_, bitmap := splitNSEC(set.Data.First())
		v.checkBitmap(node.Name, typeNSEC, bitmap, v.wantedTypes(node, true))
	}
	name := v.zone.Origin
	for met := 1; ; met++ {
		node := want[name]
		if node == nil || node.Set(typeNSEC) == nil {
			return // found above
		}
		next, _ := splitNSEC(node.Set(typeNSEC).Data.First())
		switch {
		case next == v.zone.Origin:
			if met != len(want) {
				v.find(name, typeNSEC, "the chain ends here after %d of %d names", met, len(want))
			}
			return
		case want[next] == nil:
			v.find(name, typeNSEC, "next name %s is none that the zone answers for", next)
			return
		case name.Compare(next) >= 0:
			v.find(name, typeNSEC, "next name %s does not come after it", next)
			return
		}
		name = next
	}
}

// splitNSEC returns the next name and the bitmap of a well-formed NSEC record.
func splitNSEC(rdata []byte) (next wire.Name, bitmap []byte) {
	next, bitmap, _ = wire.NameFromWire(rdata)
	return next, bitmap
}

// hashedSet is an NSEC3 record by what it says.
type hashedSet struct {
	owner  wire.Name
	flags  byte
	next   string
	bitmap []byte
	used   bool
}

// checkNSEC3 looks up the record of each name that must have one, and sees that
// there is no other and that they are one circle.
func (v *verifier) checkNSEC3(params []byte) {
	if iterations := binary.BigEndian.Uint16(params[2:]); iterations > maxIterations {
		v.find(v.zone.Origin, typeNSEC3PARAM, "%d iterations: above %d validators take the zone for insecure, or for bogus (RFC 9276 section 3.2)", iterations, maxIterations)
		return
	}
	chain := v.readNSEC3(params)
	hashes := slices.Sorted(maps.Keys(chain))
	v.checkCircle(chain, hashes)
	iterations, salt := int(binary.BigEndian.Uint16(params[2:])), params[5:]
	for _, name := range v.coveredNames() {
		hash := nsec3Hash(name.name, iterations, salt)
		record := chain[string(hash)]
		if record == nil {
			if !name.optional || !coveredByOptOut(chain, hashes, string(hash)) {
				v.find(name.name, typeNSEC3, "is missing (RFC 5155 section 7.1)")
			}
			continue
		}
		record.used = true
		var want []wire.Type
		if name.node != nil {
			want = v.wantedTypes(name.node, false)
		}
		v.checkBitmap(name.name, typeNSEC3, record.bitmap, want)
	}
	for _, record := range chain {
		if !record.used {
			v.find(record.owner, typeNSEC3, "is the hash of no name of the zone")
		}
	}
}

// readNSEC3 returns the records with the parameters, by hash.
func (v *verifier) readNSEC3(params []byte) map[string]*hashedSet {
	chain := map[string]*hashedSet{}
	for _, node := range v.zone.Hashed.All() {
		set := node.Set(typeNSEC3)
		if set == nil {
			continue
		}
		label := strings.ToUpper(string(node.Name[1:max(1, min(len(node.Name), 1+int(node.Name[0])))]))
		hash, err := base32Hex.DecodeString(label)
		if err != nil || node.Name.Parent() != v.zone.Origin {
			v.find(node.Name, typeNSEC3, "owner is no hash below the zone's origin")
			continue
		}
		for rdata := range set.Data.All() {
			saltEnd := 5 + int(rdata[4])
			end := saltEnd + 1 + int(rdata[saltEnd])
			if rdata[0] != params[0] || !bytes.Equal(rdata[2:saltEnd], params[2:]) || rdata[1] > 1 {
				continue // of another chain, or ignored for its flags (RFC 5155 section 8.2)
			}
			if ttl := v.zone.NegativeTTL(); set.TTL != ttl {
				v.find(node.Name, typeNSEC3, "TTL is %d, not %d (RFC 9077 section 3)", set.TTL, ttl)
			}
			if chain[string(hash)] != nil {
				v.find(node.Name, typeNSEC3, "there is more than one record")
			}
			chain[string(hash)] = &hashedSet{owner: node.Name, flags: rdata[1], next: string(rdata[saltEnd+1 : end]), bitmap: rdata[end:]}
		}
	}
	return chain
}

// checkCircle sees that each record's next hash is the next one there is.
func (v *verifier) checkCircle(chain map[string]*hashedSet, hashes []string) {
	for i, hash := range hashes {
		if chain[hash].next != hashes[(i+1)%len(hashes)] {
			v.find(chain[hash].owner, typeNSEC3, "next hash is not the next one of the zone")
		}
	}
}

// coveredByOptOut reports whether the record before the hash allows insecure
// delegations (RFC 5155 section 6). The hashes are sorted; the hash is none of them.
func coveredByOptOut(chain map[string]*hashedSet, hashes []string, hash string) bool {
	if len(hashes) == 0 {
		return false
	}
	at, _ := slices.BinarySearch(hashes, hash)
	return chain[hashes[(at+len(hashes)-1)%len(hashes)]].flags&1 != 0
}

// coveredName is a name that has an NSEC3 record, or may have one.
type coveredName struct {
	name     wire.Name
	node     *zone.Node // nil for an empty non-terminal
	optional bool       // when opted out: an insecure delegation, or above these alone
}

func (v *verifier) coveredNames() []coveredName {
	var list []coveredName
	empty := map[wire.Name]bool{} // whether optional
	for _, node := range v.zone.Names.All() {
		if v.hidden(node.Name) {
			continue
		}
		optional := v.cuts[node.Name] && node.Set(typeDS) == nil
		list = append(list, coveredName{node.Name, node, optional})
		for above := node.Name; above != v.zone.Origin; {
			above = above.Parent()
			if known, ok := empty[above]; !ok || known && !optional {
				empty[above] = optional
			}
		}
	}
	for name, optional := range empty {
		if v.zone.Names.Find(name) == nil {
			list = append(list, coveredName{name, nil, optional})
		}
	}
	return list
}

// nsec3Hash hashes a name (RFC 5155 section 5).
func nsec3Hash(name wire.Name, iterations int, salt []byte) []byte {
	hash := sha1.Sum(append([]byte(name), salt...))
	for range iterations {
		hash = sha1.Sum(append(hash[:], salt...))
	}
	return hash[:]
}
