package wire

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/miekg/dns"
)

// Type is the number of a type of records.
type Type uint16

// A layout is the fields of RDATA, a letter each:
//
//	n  name that canonical form turns into lower case    N  name that keeps its case
//	1  octet    A  octet, algorithm mnemonic or number   2  16 bits    4  32 bits
//	i  32 bits, interval with units    t  32 bits, time as YYYYMMDDHHMMSS
//	T  16 bits, type mnemonic          a  IPv4 address     q  IPv6 address
//	s  character-string                S  one or more of them, to the end
//	o  all that is left, as one quoted string
//	x  hexadecimal to the end          X  the same led by its length, "-" when empty
//	B  base64 to the end               H  base32hex led by its length
//	m  type bitmap (RFC 4034 section 4.1.2)
//	c  character-string without blanks, written without quotes
//	6  the A6 record's prefix, suffix and name (RFC 2874 section 3.1)
//	g  all that is left; a type with this or 6 is written as an unknown one is
type layout string

// layouts is the types whose text and canonical form are handled here: the common
// ones, and all with a name that canonical form changes (RFC 4034 section 6.2 as
// corrected by RFC 6840 section 5.1: HINFO has no names, NSEC's keeps its case).
// Package dns reads and prints the others, whose RDATA is canonical as it is.
var layouts = map[Type]layout{
	Type(dns.TypeA):          "a",
	Type(dns.TypeNS):         "n",
	Type(dns.TypeMD):         "n",
	Type(dns.TypeMF):         "n",
	Type(dns.TypeCNAME):      "n",
	Type(dns.TypeSOA):        "nn4iiii",
	Type(dns.TypeMB):         "n",
	Type(dns.TypeMG):         "n",
	Type(dns.TypeMR):         "n",
	Type(dns.TypePTR):        "n",
	Type(dns.TypeHINFO):      "ss",
	Type(dns.TypeMINFO):      "nn",
	Type(dns.TypeMX):         "2n",
	Type(dns.TypeTXT):        "S",
	Type(dns.TypeRP):         "nn",
	Type(dns.TypeAFSDB):      "2n",
	Type(dns.TypeX25):        "s",
	Type(dns.TypeRT):         "2n",
	Type(dns.TypeSIG):        "TA14tt2nB",
	Type(dns.TypeKEY):        "21AB",
	Type(dns.TypePX):         "2nn",
	Type(dns.TypeAAAA):       "q",
	Type(dns.TypeNXT):        "ng",
	Type(dns.TypeSRV):        "222n",
	Type(dns.TypeNAPTR):      "22sssn",
	Type(dns.TypeKX):         "2n",
	typeA6:                   "6",
	Type(dns.TypeDNAME):      "n",
	Type(dns.TypeDS):         "2A1x",
	Type(dns.TypeSSHFP):      "11x",
	Type(dns.TypeRRSIG):      "TA14tt2nB",
	Type(dns.TypeNSEC):       "Nm",
	Type(dns.TypeDNSKEY):     "21AB",
	Type(dns.TypeDHCID):      "B",
	Type(dns.TypeNSEC3):      "112XHm",
	Type(dns.TypeNSEC3PARAM): "112X",
	Type(dns.TypeTLSA):       "111x",
	Type(dns.TypeSMIMEA):     "111x",
	Type(dns.TypeCDS):        "2A1x",
	Type(dns.TypeCDNSKEY):    "21AB",
	Type(dns.TypeOPENPGPKEY): "B",
	Type(dns.TypeCSYNC):      "42m",
	Type(dns.TypeZONEMD):     "411x",
	Type(dns.TypeSPF):        "S",
	Type(dns.TypeURI):        "22o",
	Type(dns.TypeCAA):        "1co",
	Type(dns.TypeTA):         "2A1x",
	Type(dns.TypeDLV):        "2A1x",
}

// typeA6 is obsolete (RFC 6563), and in the list of RFC 4034 section 6.2.
const typeA6 Type = 38

var errShortRDATA = errors.New("RDATA is cut short")

// canonical checks RDATA and turns it into canonical form in place (RFC 4034
// section 6.2).
func canonical(t Type, rdata []byte) error {
	rest := rdata
	for _, field := range []byte(layouts[t]) {
		length, err := fieldLen(field, rest)
		if err != nil {
			return fmt.Errorf("%s: %w", t, err)
		}
		if field == 'n' {
			lower(rest[:length])
		}
		if field == '6' {
			lower(rest[1+(128-int(rest[0])+7)/8:])
		}
		rest = rest[length:]
	}
	if layouts[t] != "" && len(rest) > 0 {
		return fmt.Errorf("%s: %d octets too many in RDATA", t, len(rest))
	}
	return nil
}

// fieldLen returns how many octets the field at the start of rdata has.
func fieldLen(field byte, rdata []byte) (int, error) {
	length := 0
	switch field {
	case 'n', 'N':
		return wireNameLen(rdata)
	case '1', 'A':
		length = 1
	case '2', 'T':
		length = 2
	case '4', 'i', 't', 'a':
		length = 4
	case 'q':
		length = 16
	case 's', 'c', 'X', 'H':
		if len(rdata) == 0 {
			return 0, errShortRDATA
		}
		length = 1 + int(rdata[0])
		if field == 'H' && length == 1 {
			return 0, errors.New("hash is empty (RFC 5155 section 3.2)")
		}
	case 'S':
		return len(rdata), checkStrings(rdata)
	case 'm':
		return len(rdata), checkBitmap(rdata)
	case '6':
		return len(rdata), checkA6(rdata)
	default: // o, x, B, g
		length = len(rdata)
	}
	if length > len(rdata) {
		return 0, errShortRDATA
	}
	return length, nil
}

func checkStrings(rdata []byte) error {
	if len(rdata) == 0 {
		return errShortRDATA
	}
	for len(rdata) > 0 {
		length := 1 + int(rdata[0])
		if length > len(rdata) {
			return errShortRDATA
		}
		rdata = rdata[length:]
	}
	return nil
}

func checkA6(rdata []byte) error {
	if len(rdata) == 0 || rdata[0] > 128 {
		return errors.New("prefix length is not 0 to 128")
	}
	suffix := 1 + (128-int(rdata[0])+7)/8
	if len(rdata) < suffix {
		return errShortRDATA
	}
	if rdata[0] == 0 && len(rdata) == suffix {
		return nil
	}
	n, err := wireNameLen(rdata[suffix:])
	if err == nil && suffix+n != len(rdata) {
		err = errors.New("octets after the name")
	}
	return err
}

// checkBitmap checks a type bitmap (RFC 4034 section 4.1.2).
func checkBitmap(bitmap []byte) error {
	last := -1
	for len(bitmap) > 0 {
		if len(bitmap) < 3 || bitmap[1] == 0 || bitmap[1] > 32 || len(bitmap) < 2+int(bitmap[1]) {
			return errors.New("malformed type bitmap")
		}
		if int(bitmap[0]) <= last {
			return errors.New("windows of the type bitmap are not in order")
		}
		last = int(bitmap[0])
		bitmap = bitmap[2+int(bitmap[1]):]
	}
	return nil
}

// AppendBitmap appends the type bitmap of types in ascending order (RFC 4034
// section 4.1.2).
func AppendBitmap(dst []byte, types []Type) []byte {
	window := -1
	at := 0
	for _, t := range types {
		if int(t>>8) != window {
			window = int(t >> 8)
			at = len(dst)
			dst = append(dst, byte(window), 0)
		}
		for octet := int(t&0xff) / 8; len(dst) < at+3+octet; {
			dst = append(dst, 0)
		}
		dst[len(dst)-1] |= 0x80 >> (t & 7)
		dst[at+1] = byte(len(dst) - at - 2)
	}
	return dst
}

// BitmapTypes returns the types of a well-formed type bitmap.
func BitmapTypes(bitmap []byte) []Type {
	var types []Type
	for len(bitmap) >= 2 {
		for i, octet := range bitmap[2 : 2+int(bitmap[1])] {
			for bit := range 8 {
				if octet&(0x80>>bit) != 0 {
					types = append(types, Type(int(bitmap[0])<<8|i*8|bit))
				}
			}
		}
		bitmap = bitmap[2+int(bitmap[1]):]
	}
	return types
}

// String returns the mnemonic, or TYPE123 for an unknown type (RFC 3597 section 5).
func (t Type) String() string {
	if name, ok := dns.TypeToString[uint16(t)]; ok && name != "None" && name != "Reserved" {
		return name
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType reads a type's mnemonic, in either case, or TYPE123.
func ParseType(text string) (Type, error) {
	t, ok := ReadType([]byte(text))
	if !ok {
		return 0, fmt.Errorf("wire: unknown type %q", text)
	}
	return t, nil
}
