package server

import (
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"strings"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

// addDenial adds an NSEC or NSEC3 set once.
func (r *response) addDenial(node *zone.Node, t wire.Type) {
	if node == nil || r.denied[node.Name] {
		return
	}
	if set := node.Set(t); set != nil {
		r.denied[node.Name] = true
		r.add(&r.Ns, node.Name, set)
	}
}

// proveNodata proves that a name lacks a type (RFC 4035 sections 3.1.3.1 and
// 3.1.3.4, RFC 5155 sections 7.2.3 to 7.2.5).
func (r *response) proveNodata(name, wildcard wire.Name) {
	switch {
	case !r.dnssec:
	case !r.hashed():
		r.addNSEC(name) // of an empty non-terminal: the one that spans it
		if wildcard != "" {
			r.addNSEC(wildcard) // last: Unbound 1.17 takes the last wildcard's for the one that matches
		}
	case wildcard != "":
		r.proveEncloser(name)
		if node := r.matching(wildcard); node != nil {
			r.addDenial(node, typeNSEC3)
			return
		}
		r.addDenial(r.spanning(wildcard), typeNSEC3) // opted out
	case r.matching(name) != nil:
		r.addDenial(r.matching(name), typeNSEC3)
	default: // opted out
		r.proveEncloser(name)
	}
}

// proveNXDOMAIN proves that there is neither a name nor a wildcard for it (RFC
// 4035 section 3.1.3.2, RFC 5155 section 7.2.2).
func (r *response) proveNXDOMAIN(name wire.Name) {
	if !r.dnssec {
		return
	}
	if !r.hashed() {
		r.addNSEC(name)
		if wildcard := r.encloser(name).Wildcard(); wildcard != "" {
			r.addNSEC(wildcard)
		}
		return
	}
	if wildcard := r.proveEncloser(name).Wildcard(); wildcard != "" {
		r.addDenial(r.spanning(wildcard), typeNSEC3)
	}
}

// proveWildcard proves that the name is not there itself, nor a closer wildcard
// (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
func (r *response) proveWildcard(name wire.Name) {
	switch {
	case !r.dnssec:
	case !r.hashed():
		r.addNSEC(name)
	default:
		closer := name.Ancestor(r.encloser(name).Labels() + 1)
		r.addDenial(r.spanning(closer), typeNSEC3)
	}
}

// proveNoDS proves that a delegation is insecure (RFC 4035 section 3.1.4, RFC 5155
// section 7.2.7).
func (r *response) proveNoDS(name wire.Name) {
	switch {
	case !r.hashed():
		r.addNSEC(name)
	case r.matching(name) != nil:
		r.addDenial(r.matching(name), typeNSEC3)
	default:
		r.proveEncloser(name)
	}
}

// addNSEC adds the NSEC set of the name, or the one that spans it.
func (r *response) addNSEC(name wire.Name) {
	if r.zone.Apex().Set(typeNSEC) == nil {
		return // the zone is not signed
	}
	i, found := r.zone.Names.Search(name)
	if !found {
		i--
	}
	// Glue and other occluded names have none.
	for ; i >= 0; i-- {
		if node := r.zone.Names.At(i); node.Set(typeNSEC) != nil {
			r.addDenial(node, typeNSEC)
			return
		}
	}
}

// hashed reports whether the zone denies with NSEC3.
func (r *response) hashed() bool { return r.zone.Hashed.Len() > 0 }

var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// hashedName returns the owner of the name's NSEC3 record (RFC 5155 section 5).
func (r *response) hashedName(name wire.Name) wire.Name {
	iterations, salt := uint16(0), []byte(nil)
	if params := r.zone.Apex().Set(wire.Type(dns.TypeNSEC3PARAM)); params != nil {
		rdata := params.Data.First()
		iterations, salt = binary.BigEndian.Uint16(rdata[2:]), rdata[5:]
	}
	hash := sha1.Sum(append([]byte(name), salt...))
	for range iterations {
		hash = sha1.Sum(append(hash[:], salt...))
	}
	return wire.Name("\x20"+strings.ToLower(base32Hex.EncodeToString(hash[:]))) + r.zone.Origin
}

// matching returns the node of the name's NSEC3 record, nil when it has none.
func (r *response) matching(name wire.Name) *zone.Node { return r.zone.Hashed.Find(r.hashedName(name)) }

// spanning returns the node of the NSEC3 record that spans the name's hash.
func (r *response) spanning(name wire.Name) *zone.Node {
	i, found := r.zone.Hashed.Search(r.hashedName(name))
	if found {
		return nil // the name is there
	}
	return r.zone.Hashed.At((i + r.zone.Hashed.Len() - 1) % r.zone.Hashed.Len())
}

// proveEncloser adds the closest encloser proof (RFC 5155 section 7.2.1), and
// returns the closest encloser that can be proved: with opt-out, names above
// insecure delegations cannot.
func (r *response) proveEncloser(name wire.Name) wire.Name {
	closer := name
	for name != r.zone.Origin {
		closer, name = name, name.Parent()
		if node := r.matching(name); node != nil {
			r.addDenial(node, typeNSEC3)
			break
		}
	}
	r.addDenial(r.spanning(closer), typeNSEC3)
	return name
}
