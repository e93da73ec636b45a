package server

import (
	"iter"

	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

// maxVersions is how many differences are kept of a zone.
const maxVersions = 100

// journal is the differences that lead to the zone that is served, oldest first.
// Together they are no larger than the zone (RFC 1995 section 5).
type journal []*zone.Difference

// extended returns the journal as it is once z takes the place of its zone.
func (s *Server) extended(z *zone.Zone) journal {
	s.mutex.RLock()
	old, kept := s.zones[z.Origin], s.journals[z.Origin]
	s.mutex.RUnlock()
	if old == z {
		return kept
	}
	if old == nil || s.Permit == nil && len(s.TransferKeys) == 0 || int32(z.SOA().Serial-old.SOA().Serial) <= 0 {
		return nil
	}
	extended := append(kept[:len(kept):len(kept)], zone.Diff(old, z))
	return extended.within(size(z))
}

// within drops the oldest differences beyond the limits.
func (j journal) within(records int) journal {
	total := 0
	for i := len(j) - 1; i >= 0; i-- {
		total += j[i].Len()
		if total > records || len(j)-i > maxVersions {
			return j[i+1:]
		}
	}
	return j
}

// size counts the records and signatures of a zone.
func size(z *zone.Zone) int {
	n := 0
	for _, nodes := range []zone.Nodes{z.Names, z.Hashed} {
		for _, node := range nodes.All() {
			for i := range node.Sets {
				n += node.Sets[i].Data.Len() + node.Sets[i].Signatures.Len()
			}
		}
	}
	return n
}

// differences returns those that lead from a serial to the zone, nil when they are
// not kept.
func (s *Server) differences(z *zone.Zone, serial uint32) journal {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.zones[z.Origin] != z {
		return nil // it has changed since
	}
	list := s.journals[z.Origin]
	for i, d := range list {
		if d.FromSerial() == serial {
			return list[i:]
		}
	}
	return nil
}

// incremental yields the records of an incremental transfer (RFC 1995 section 4).
func incremental(z *zone.Zone, list journal) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		if !yield(soaRecord(z)) {
			return
		}
		for _, d := range list {
			for rr := range d.Records(z.Origin) {
				if !yield(rr) {
					return
				}
			}
		}
		yield(soaRecord(z))
	}
}
