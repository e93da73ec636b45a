package transfer

import (
	"errors"
	"fmt"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/miekg/dns"
)

var errCut = errors.New("the transfer is cut short (RFC 1995 section 4)")

// split reads the records of an answer to IXFR (RFC 1995 section 4): the
// differences in it, or that it is the whole zone.
func split(records []dns.RR) (list []*zone.Difference, whole bool, err error) {
	if len(records) == 0 || !isSOA(records[0]) {
		return nil, false, errors.New("it does not begin with a SOA record (RFC 1995 section 4)")
	}
	last := records[0].(*dns.SOA).Serial
	rest := records[1:]
	if len(rest) == 0 {
		return nil, false, errCut
	}
	if first, ok := rest[0].(*dns.SOA); !ok || first.Serial == last {
		return nil, true, closed(records)
	}
	for len(rest) > 1 {
		var d zone.Difference
		if d.From, d.Deleted, rest, err = half(rest); err != nil {
			return nil, false, err
		}
		if d.To, d.Added, rest, err = half(rest); err != nil {
			return nil, false, err
		}
		list = append(list, &d)
	}
	if len(rest) == 0 || !isSOA(rest[0]) || rest[0].(*dns.SOA).Serial != last || list[len(list)-1].ToSerial() != last {
		return nil, false, errCut
	}
	return list, false, nil
}

// closed checks that the whole zone ends as it begins.
func closed(records []dns.RR) error {
	end, ok := records[len(records)-1].(*dns.SOA)
	if !ok || end.Serial != records[0].(*dns.SOA).Serial {
		return errCut
	}
	return nil
}

// half reads a SOA record and the records up to the next one.
func half(records []dns.RR) (soa zone.RRset, list []zone.Owned, rest []dns.RR, err error) {
	if len(records) == 0 || !isSOA(records[0]) {
		return soa, nil, nil, errCut
	}
	end := 1
	for end < len(records) && !isSOA(records[end]) {
		end++
	}
	for i, rr := range records[:end] {
		owner, err := wire.ParseName(rr.Header().Name)
		if err != nil {
			return soa, nil, nil, fmt.Errorf("owner %q: %w", rr.Header().Name, err)
		}
		t, rdata, err := wire.Pack(rr)
		if err != nil {
			return soa, nil, nil, fmt.Errorf("%s %s: %w", owner, t, err)
		}
		set := zone.RRset{Type: t, TTL: rr.Header().Ttl, Data: wire.RDATA(nil).Append(rdata)}
		if i == 0 {
			soa = set
			continue
		}
		list = append(list, zone.Owned{Owner: owner, RRset: set})
	}
	return soa, list, records[end:], nil
}
