package poetest

import (
	"encoding/asn1"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The tags of SNMP v2c (RFC 1157 section 4, RFC 3416 section 3).
const (
	tagInteger        = 0x02
	tagOctets         = 0x04
	tagNull           = 0x05
	tagOID            = 0x06
	tagSequence       = 0x30
	tagCounter32      = 0x41
	tagGauge32        = 0x42
	tagNoSuchInstance = 0x81
	tagEndOfMIBView   = 0x82

	pduGet      = 0xa0
	pduGetNext  = 0xa1
	pduResponse = 0xa2
	pduSet      = 0xa3
	pduGetBulk  = 0xa5
)

// maxBindings is how many variables a request may name.
const maxBindings = 128

// oid is an object identifier.
type oid []uint32

// mustOID reads the dotted text of a constant.
func mustOID(text string, more ...uint32) oid {
	var o oid
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseUint(arc, 10, 32)
		if err != nil {
			panic("poetest: object identifier " + text)
		}
		o = append(o, uint32(n))
	}
	return append(o, more...)
}

// binding is a variable and its value.
type binding struct {
	name  oid
	tag   byte
	value []byte // the content of its encoding
}

// request is an SNMP v2c message from a client. In a GETBULK the two numbers
// are non-repeaters and max-repetitions (RFC 3416 section 3).
type request struct {
	community string
	kind      byte
	id        int32
	numbers   [2]int32
	bindings  []binding
}

var errBER = errors.New("poetest: not an SNMP v2c request")

// parseRequest reads a datagram. It never looks beyond it.
func parseRequest(datagram []byte) (r request, err error) {
	message, rest, ok := element(datagram, tagSequence)
	if !ok || len(rest) != 0 {
		return r, errBER
	}
	version, message, ok := element(message, tagInteger)
	if !ok || len(version) != 1 || version[0] != 1 {
		return r, errBER
	}
	community, message, ok := element(message, tagOctets)
	if !ok || len(message) == 0 {
		return r, errBER
	}
	r.community, r.kind = string(community), message[0]
	pdu, rest, ok := element(message, r.kind)
	if !ok || len(rest) != 0 || !slices.Contains([]byte{pduGet, pduGetNext, pduSet, pduGetBulk}, r.kind) {
		return r, errBER
	}
	for _, n := range []*int32{&r.id, &r.numbers[0], &r.numbers[1]} {
		if *n, pdu, ok = integer(pdu); !ok {
			return r, errBER
		}
	}
	r.bindings, ok = parseBindings(pdu)
	if !ok {
		return r, errBER
	}
	return r, nil
}

func parseBindings(list []byte) ([]binding, bool) {
	list, rest, ok := element(list, tagSequence)
	if !ok || len(rest) != 0 {
		return nil, false
	}
	var all []binding
	for len(list) > 0 && len(all) < maxBindings {
		var pair, name []byte
		if pair, list, ok = element(list, tagSequence); !ok {
			return nil, false
		}
		if name, pair, ok = element(pair, tagOID); !ok || len(pair) == 0 {
			return nil, false
		}
		value, rest, ok := element(pair, pair[0])
		o, okName := parseOID(name)
		if !ok || !okName || len(rest) != 0 {
			return nil, false
		}
		all = append(all, binding{o, pair[0], value})
	}
	return all, len(list) == 0
}

// element takes the element with the tag off the front.
func element(b []byte, tag byte) (content, rest []byte, ok bool) {
	var raw asn1.RawValue
	if len(b) == 0 || b[0] != tag {
		return nil, nil, false
	}
	rest, err := asn1.Unmarshal(b, &raw)
	return raw.Bytes, rest, err == nil
}

func integer(b []byte) (n int32, rest []byte, ok bool) {
	content, rest, ok := element(b, tagInteger)
	if !ok {
		return 0, nil, false
	}
	n, ok = int32Of(content)
	return n, rest, ok
}

func int32Of(content []byte) (int32, bool) {
	if len(content) == 0 || len(content) > 4 {
		return 0, false
	}
	n := int32(int8(content[0]))
	for _, b := range content[1:] {
		n = n<<8 | int32(b)
	}
	return n, true
}

// parseOID reads an object identifier's content (X.690 section 8.19).
func parseOID(b []byte) (oid, bool) {
	if len(b) == 0 || len(b) > 128 {
		return nil, false
	}
	var o oid
	var arc uint64
	for _, c := range b {
		if arc = arc<<7 | uint64(c&0x7f); arc > math.MaxUint32 {
			return nil, false
		}
		if c&0x80 == 0 {
			if o == nil {
				first := min(arc/40, 2)
				o, arc = oid{uint32(first)}, arc-40*first
			}
			o, arc = append(o, uint32(arc)), 0
		}
	}
	return o, b[len(b)-1]&0x80 == 0
}

// encode returns an element.
func encode(tag byte, contents ...[]byte) []byte {
	content := slices.Concat(contents...)
	n := len(content)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, content...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, content...)
	}
	return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
}

// number returns the shortest content of an integer (X.690 section 8.3).
func number(n int64) []byte {
	b := []byte{byte(n)}
	for n > 127 || n < -128 {
		n >>= 8
		b = append([]byte{byte(n)}, b...)
	}
	return b
}

func encodeOID(o oid) []byte {
	b := []byte{byte(40*o[0] + o[1])}
	for _, arc := range o[2:] {
		at := len(b)
		b = append(b, byte(arc&0x7f))
		for arc >>= 7; arc > 0; arc >>= 7 {
			b = slices.Insert(b, at, byte(arc&0x7f|0x80))
		}
	}
	return b
}

func (b binding) encode() []byte {
	return encode(tagSequence, encode(tagOID, encodeOID(b.name)), encode(b.tag, b.value))
}

// response returns the answer to a request.
func (r request) response(status, index int, bindings [][]byte) []byte {
	pdu := encode(pduResponse, encode(tagInteger, number(int64(r.id))), encode(tagInteger, number(int64(status))),
		encode(tagInteger, number(int64(index))), encode(tagSequence, bindings...))
	return encode(tagSequence, encode(tagInteger, []byte{1}), encode(tagOctets, []byte(r.community)), pdu)
}
