package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// headerLen is the octets of a record between its owner and its RDATA.
const headerLen = 10

// Pack returns the canonical RDATA of a record of package dns.
func Pack(rr dns.RR) (Type, []byte, error) {
	t := Type(rr.Header().Rrtype)
	if relay, ok := rr.(*dns.AMTRELAY); ok && relay.GatewayType&discoveryOptional != 0 {
		return packRelay(*relay)
	}
	buf := make([]byte, dns.Len(rr)+MaxName)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return t, nil, errors.New("cannot be packed: " + err.Error())
	}
	_, start, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		return t, nil, err
	}
	rdata := buf[start+headerLen : end]
	return t, rdata, canonical(t, rdata)
}

// discoveryOptional is a flag beside the type of an AMTRELAY record's relay (RFC
// 8777 section 4.2.2).
const discoveryOptional = 0x80

// packRelay packs a record with that flag, of which package dns would lose the
// relay.
func packRelay(relay dns.AMTRELAY) (Type, []byte, error) {
	relay.GatewayType &^= discoveryOptional
	t, rdata, err := Pack(&relay)
	if err == nil {
		rdata[1] |= discoveryOptional
	}
	return t, rdata, err
}

// unpack returns a record of package dns.
func unpack(owner Name, t Type, ttl uint32, rdata []byte) (dns.RR, error) {
	wire := make([]byte, 0, len(owner)+headerLen+len(rdata))
	wire = append(wire, owner...)
	wire = binary.BigEndian.AppendUint16(wire, uint16(t))
	wire = binary.BigEndian.AppendUint16(wire, dns.ClassINET)
	wire = binary.BigEndian.AppendUint32(wire, ttl)
	wire = binary.BigEndian.AppendUint16(wire, uint16(len(rdata)))
	wire = append(wire, rdata...)
	rr, end, err := dns.UnpackRR(wire, 0)
	if err == nil && end != len(wire) {
		err = errors.New("octets after the record")
	}
	return rr, err
}

// Unpack returns records of package dns; what that package cannot read it
// returns as records of an unknown type.
func Unpack(owner Name, t Type, ttl uint32, data RDATA) []dns.RR {
	var list []dns.RR
	for rdata := range data.All() {
		rr, err := unpack(owner, t, ttl, rdata)
		if err != nil {
			rr = &dns.RFC3597{
				Hdr:   dns.RR_Header{Name: owner.String(), Rrtype: uint16(t), Class: dns.ClassINET, Ttl: ttl},
				Rdata: fmt.Sprintf("%x", rdata),
			}
		}
		list = append(list, rr)
	}
	return list
}
