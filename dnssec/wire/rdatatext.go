package wire

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxRDATA is the longest RDATA in octets (RFC 1035 section 3.2.1).
const maxRDATA = math.MaxUint16

var (
	errMissingField = errors.New("RDATA ends too early")
	base32Hex       = base32.HexEncoding.WithPadding(base32.NoPadding)
)

// Reader turns the text of RDATA into canonical wire form.
type Reader struct {
	Words   []Word // those that are left
	Origin  Name   // is appended to names without a dot at the end
	scratch []byte
}

// Append reads the RDATA of a record of type t, which is all of the words.
func (r *Reader) Append(dst []byte, t Type) ([]byte, error) {
	start := len(dst)
	fields := layouts[t]
	var err error
	switch {
	case len(r.Words) > 0 && string(r.Words[0].Text) == `\#` && !r.Words[0].Quoted:
		dst, err = r.generic(dst)
		if err == nil {
			err = canonical(t, dst[start:])
		}
	case fields == "" || strings.ContainsAny(string(fields), "6g"):
		dst, err = r.foreign(dst, t)
	default:
		for i := 0; i < len(fields) && err == nil; i++ {
			dst, err = r.field(dst, fields[i])
		}
	}
	switch {
	case err != nil:
		return dst, err
	case len(r.Words) > 0:
		return dst, fmt.Errorf("%q is too much", r.Words[0].Text)
	case len(dst)-start > maxRDATA:
		return dst, fmt.Errorf("RDATA of %d octets is longer than %d", len(dst)-start, maxRDATA)
	}
	return dst, nil
}

func (r *Reader) word() ([]byte, error) {
	if len(r.Words) == 0 {
		return nil, errMissingField
	}
	word := r.Words[0].Text
	r.Words = r.Words[1:]
	return word, nil
}

// generic reads the form for unknown types (RFC 3597 section 5).
func (r *Reader) generic(dst []byte) ([]byte, error) {
	r.Words = r.Words[1:]
	length, err := r.number(16)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	if dst, err = r.rest(dst, 'x'); err == nil && uint64(len(dst)-start) != length {
		err = fmt.Errorf(`\# says %d octets, but %d follow`, length, len(dst)-start)
	}
	return dst, err
}

// foreign leaves the RDATA to package dns.
func (r *Reader) foreign(dst []byte, t Type) ([]byte, error) {
	line := fmt.Appendf(nil, ". 0 IN %s ", t)
	for _, word := range r.Words {
		if !word.Joined {
			line = append(line, ' ')
		}
		if word.Quoted {
			line = append(append(append(line, '"'), word.Text...), '"')
			continue
		}
		line = append(line, word.Text...)
	}
	r.Words = nil
	parser := dns.NewZoneParser(strings.NewReader(string(line)+"\n"), r.Origin.String(), "")
	rr, ok := parser.Next()
	if !ok {
		if err := parser.Err(); err != nil {
			return dst, errors.New(strings.TrimPrefix(err.Error(), "dns: "))
		}
		return dst, errMissingField
	}
	_, rdata, err := Pack(rr)
	return append(dst, rdata...), err
}

func (r *Reader) field(dst []byte, field byte) ([]byte, error) {
	switch field {
	case 'm':
		return r.bitmap(dst)
	case 'S':
		return r.strings(dst)
	case 'x', 'B':
		return r.rest(dst, field)
	case '1', '2', '4':
		bits := 8 * int(field-'0')
		value, err := r.number(bits)
		return appendNumber(dst, bits, value), err
	}
	word, err := r.word()
	if err != nil {
		return dst, err
	}
	switch field {
	case 'n', 'N':
		return appendName(dst, word, r.Origin, field == 'n')
	case 'a', 'q':
		return appendAddress(dst, word, field == 'a')
	case 's', 'c':
		return appendString(dst, word)
	case 'o':
		return appendUnescaped(dst, word)
	case 'A':
		return appendAlgorithm(dst, word)
	case 'T':
		t, ok := ReadType(word)
		if !ok {
			err = fmt.Errorf("unknown type %q", word)
		}
		return binary.BigEndian.AppendUint16(dst, uint16(t)), err
	case 'i':
		value, ok := ReadTTL(word)
		if !ok {
			err = fmt.Errorf("bad time value %q", word)
		}
		return binary.BigEndian.AppendUint32(dst, value), err
	case 't':
		return appendTime(dst, word)
	case 'X':
		return r.lengthThenHex(dst, word)
	case 'H':
		return r.lengthThenBase32(dst, word)
	}
	return dst, fmt.Errorf("field %q cannot be read", field)
}

func (r *Reader) number(bits int) (uint64, error) {
	word, err := r.word()
	if err != nil {
		return 0, err
	}
	value, ok := parseNumber(word, 1<<bits-1)
	if !ok {
		return 0, fmt.Errorf("%q is no number of at most %d", word, uint64(1)<<bits-1)
	}
	return value, nil
}

func parseNumber(word []byte, limit uint64) (uint64, bool) {
	value := uint64(0)
	for _, c := range word {
		if !isDigit(c) {
			return 0, false
		}
		if value = value*10 + uint64(c-'0'); value > limit {
			return 0, false
		}
	}
	return value, len(word) > 0
}

func appendNumber(dst []byte, bits int, value uint64) []byte {
	for bits > 0 {
		bits -= 8
		dst = append(dst, byte(value>>bits))
	}
	return dst
}

func appendAddress(dst, word []byte, four bool) ([]byte, error) {
	address, err := netip.ParseAddr(string(word))
	if err != nil || address.Is4() != four || address.Zone() != "" {
		family := "IPv6"
		if four {
			family = "IPv4"
		}
		return dst, fmt.Errorf("%q is no %s address", word, family)
	}
	return append(dst, address.AsSlice()...), nil
}

// strings reads character-strings to the end.
func (r *Reader) strings(dst []byte) ([]byte, error) {
	if len(r.Words) == 0 {
		return dst, errMissingField
	}
	var err error
	for _, word := range r.Words {
		if dst, err = appendString(dst, word.Text); err != nil {
			return dst, err
		}
	}
	r.Words = nil
	return dst, nil
}

func appendString(dst, word []byte) ([]byte, error) {
	length := len(dst)
	dst, err := appendUnescaped(append(dst, 0), word)
	if err != nil {
		return dst, err
	}
	if len(dst)-length-1 > 255 {
		return dst, errors.New("character-string longer than 255 octets")
	}
	dst[length] = byte(len(dst) - length - 1)
	return dst, nil
}

func appendUnescaped(dst, word []byte) ([]byte, error) {
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == '\\' {
			var err error
			if c, i, err = unescape(word, i); err != nil {
				return dst, err
			}
		}
		dst = append(dst, c)
	}
	return dst, nil
}

func appendAlgorithm(dst, word []byte) ([]byte, error) {
	if value, ok := parseNumber(word, 255); ok {
		return append(dst, byte(value)), nil
	}
	algorithm, ok := dns.StringToAlgorithm[strings.ToUpper(string(word))]
	if !ok {
		return dst, fmt.Errorf("unknown algorithm %q", word)
	}
	return append(dst, algorithm), nil
}

const timeLayout = "20060102150405"

// appendTime reads a time of a signature (RFC 4034 section 3.2), which counts
// modulo 2^32 (section 3.1.5).
func appendTime(dst, word []byte) ([]byte, error) {
	if value, ok := parseNumber(word, math.MaxUint32); ok && len(word) <= 10 {
		return binary.BigEndian.AppendUint32(dst, uint32(value)), nil
	}
	at, err := time.Parse(timeLayout, string(word))
	if err != nil || len(word) != len(timeLayout) {
		return dst, fmt.Errorf("%q is no time like YYYYMMDDHHMMSS", word)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(at.Unix())), nil
}

// rest reads all words that are left as one hexadecimal or base64 text.
func (r *Reader) rest(dst []byte, field byte) ([]byte, error) {
	r.scratch = r.scratch[:0]
	for _, word := range r.Words {
		r.scratch = append(r.scratch, word.Text...)
	}
	r.Words = nil
	var err error
	if field == 'x' {
		dst, err = hex.AppendDecode(dst, r.scratch)
	} else {
		dst, err = base64.StdEncoding.AppendDecode(dst, r.scratch)
	}
	return dst, err
}

func (r *Reader) lengthThenHex(dst, word []byte) ([]byte, error) {
	length := len(dst)
	dst = append(dst, 0)
	if string(word) == "-" {
		return dst, nil
	}
	dst, err := hex.AppendDecode(dst, word)
	if err == nil && len(dst)-length-1 > 255 {
		err = errors.New("salt longer than 255 octets")
	}
	dst[length] = byte(len(dst) - length - 1)
	return dst, err
}

func (r *Reader) lengthThenBase32(dst, word []byte) ([]byte, error) {
	length := len(dst)
	r.scratch = append(r.scratch[:0], word...)
	for i, c := range r.scratch {
		if c-'a' < 26 {
			r.scratch[i] = c - 'a' + 'A'
		}
	}
	dst, err := base32Hex.AppendDecode(append(dst, 0), r.scratch)
	if err == nil && (len(dst) == length+1 || len(dst)-length-1 > 255) {
		err = errors.New("hash is not of 1 to 255 octets")
	}
	dst[length] = byte(len(dst) - length - 1)
	return dst, err
}

func (r *Reader) bitmap(dst []byte) ([]byte, error) {
	types := make([]Type, 0, 16)
	for _, word := range r.Words {
		t, ok := ReadType(word.Text)
		if !ok {
			return dst, fmt.Errorf("unknown type %q", word.Text)
		}
		types = append(types, t)
	}
	r.Words = nil
	slices.Sort(types)
	return AppendBitmap(dst, slices.Compact(types)), nil
}

// ReadType reads a mnemonic or TYPE123.
func ReadType(word []byte) (Type, bool) {
	if t, ok := dns.StringToType[string(word)]; ok {
		return Type(t), word[0]-'A' < 26 && t != 0
	}
	upper := strings.ToUpper(string(word))
	if t, ok := dns.StringToType[upper]; ok {
		return Type(t), t != 0
	}
	digits, ok := strings.CutPrefix(upper, "TYPE")
	if !ok {
		return 0, false
	}
	value, ok := parseNumber([]byte(digits), math.MaxUint16)
	return Type(value), ok
}

// IsData reports whether records of the type can be in a zone (RFC 6895 section 3.1).
func (t Type) IsData() bool { return t != 0 && t != Type(dns.TypeOPT) && (t < 128 || t > 255) }

// ReadTTL reads a number of seconds, or one with units as in 1h30m.
func ReadTTL(word []byte) (uint32, bool) {
	if value, ok := parseNumber(word, math.MaxUint32); ok {
		return uint32(value), true
	}
	total, value, digits := uint64(0), uint64(0), false
	for _, c := range word {
		unit := uint64(0)
		switch c | 0x20 {
		case 's':
			unit = 1
		case 'm':
			unit = 60
		case 'h':
			unit = 3600
		case 'd':
			unit = 86400
		case 'w':
			unit = 604800
		default:
			if !isDigit(c) || value > math.MaxUint32 {
				return 0, false
			}
			value, digits = value*10+uint64(c-'0'), true
			continue
		}
		if !digits {
			return 0, false
		}
		if total += value * unit; total > math.MaxUint32 {
			return 0, false
		}
		value, digits = 0, false
	}
	return uint32(total), len(word) > 0 && !digits
}

// AppendText appends RDATA in canonical form as text.
func AppendText(dst []byte, t Type, rdata []byte) []byte {
	fields := layouts[t]
	if fields == "" || strings.ContainsAny(string(fields), "6g") {
		return appendForeign(dst, t, rdata)
	}
	for i, field := range []byte(fields) {
		if i > 0 {
			dst = append(dst, ' ')
		}
		length, err := fieldLen(field, rdata)
		if err != nil {
			return dst // not reached: RDATA was checked when it came in
		}
		dst = appendField(dst, field, rdata[:length])
		rdata = rdata[length:]
	}
	return dst
}

// appendForeign prints as package dns does, or as an unknown type where that
// would not lead back to the same RDATA.
func appendForeign(dst []byte, t Type, rdata []byte) []byte {
	if rr, err := unpack(Root, t, 0, rdata); err == nil && layouts[t] == "" {
		if text := strings.TrimPrefix(rr.String(), rr.Header().String()); !strings.HasPrefix(text, `\#`) {
			words := Scanner{Text: []byte(text)}
			if ok, err := words.Next(); ok && err == nil {
				reader := Reader{Words: words.Words, Origin: Root}
				if again, err := reader.Append(nil, t); err == nil && string(again) == string(rdata) {
					return append(dst, text...)
				}
			}
		}
	}
	dst = strconv.AppendInt(append(dst, `\# `...), int64(len(rdata)), 10)
	if len(rdata) > 0 {
		dst = hex.AppendEncode(append(dst, ' '), rdata)
	}
	return dst
}

func appendField(dst []byte, field byte, value []byte) []byte {
	switch field {
	case 'n', 'N':
		return AppendName(dst, string(value))
	case '1', '2', '4', 'A', 'i':
		number := uint64(0)
		for _, c := range value {
			number = number<<8 | uint64(c)
		}
		return strconv.AppendUint(dst, number, 10)
	case 'a', 'q':
		address, _ := netip.AddrFromSlice(value)
		return address.AppendTo(dst)
	case 't':
		return time.Unix(int64(binary.BigEndian.Uint32(value)), 0).UTC().AppendFormat(dst, timeLayout)
	case 'T':
		return append(dst, Type(binary.BigEndian.Uint16(value)).String()...)
	case 'x':
		return hex.AppendEncode(dst, value)
	case 'B':
		return base64.StdEncoding.AppendEncode(dst, value)
	case 'X':
		if len(value) == 1 {
			return append(dst, '-')
		}
		return hex.AppendEncode(dst, value[1:])
	case 'H':
		return base32Hex.AppendEncode(dst, value[1:])
	case 'o':
		return appendQuoted(dst, value)
	case 's', 'S':
		for len(value) > 0 {
			length := 1 + int(value[0])
			dst = appendQuoted(dst, value[1:length])
			if value = value[length:]; len(value) > 0 {
				dst = append(dst, ' ')
			}
		}
		return dst
	case 'c':
		if len(value) == 1 {
			return append(dst, `""`...)
		}
		return appendEscaped(dst, value[1:])
	case 'm':
		for i, t := range BitmapTypes(value) {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, t.String()...)
		}
	}
	return dst
}

func appendQuoted(dst, value []byte) []byte {
	dst = append(dst, '"')
	for _, c := range value {
		switch {
		case c < ' ' || c >= 0x7f:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			continue
		case c == '"' || c == '\\':
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// appendEscaped writes a character-string that has no quotes around it.
func appendEscaped(dst, value []byte) []byte {
	for _, c := range value {
		switch {
		case c <= ' ' || c >= 0x7f:
			dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			continue
		case strings.IndexByte(`"\;()@$`, c) >= 0:
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return dst
}
