package accesslog

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// parseAddr returns the zero Addr for what is no address: "unix:", a name.
func parseAddr(v []byte) netip.Addr {
	if a, n := leadingAddr(v); n > 0 && n == len(v) {
		return a
	}
	if len(v) > 64 || len(v) == 0 {
		return netip.Addr{}
	}
	// ParseAddr keeps its argument only as the zone, which no log has, and in the error, which is dropped here.
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(v), len(v)))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// leadingAddr reads the address that v begins with, and returns its length: 0 when there is none, or one in a form that
// only ParseAddr knows.
func leadingAddr(v []byte) (netip.Addr, int) {
	if a, n := leadingIPv4(v); n > 0 {
		return a, n
	}
	return leadingIPv6(v)
}

// leadingIPv4 takes leading zeros, as long as no octet has more than three digits.
func leadingIPv4(v []byte) (netip.Addr, int) {
	if len(v) < 16 { // the longest address, and what ends it
		v = append(make([]byte, 0, 16), v...)[:16]
	}
	v = v[:16]
	a, at1 := octet(v, 0)
	b, at2 := octet(v, at1)
	c, at3 := octet(v, at2)
	d, at4 := octet(v, at3)
	if a|b|c|d > 255 || v[at1-1] != '.' || v[at2-1] != '.' || v[at3-1] != '.' || v[at4-1]-'0' <= 9 {
		return netip.Addr{}, 0
	}
	return netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)}), at4 - 1
}

// octet reads up to three digits, and returns the place after the byte that follows them; what is no number is too large.
func octet(v []byte, at int) (n uint, after int) {
	a, b, c := uint(v[at]-'0'), uint(v[at+1]-'0'), uint(v[at+2]-'0')
	switch {
	case a > 9:
		return 256, at + 1
	case b > 9:
		return a, at + 2
	case c > 9:
		return a*10 + b, at + 3
	}
	return a*100 + b*10 + c, at + 4
}

// leadingIPv6 knows groups and one double colon (RFC 4291, section 2.2, forms 1 and 2).
func leadingIPv6(v []byte) (netip.Addr, int) {
	var address, end uint128 // the groups before the double colon at their places, and those after it
	at, groups, gap := 0, 0, -1
	if len(v) > 1 && v[0] == ':' && v[1] == ':' {
		at, gap = 2, 0
	}
	for groups < 8 {
		group, from := uint64(0), at
		for at < len(v) && at-from < 4 && hexDigit[v[at]] < 16 {
			group = group<<4 | uint64(hexDigit[v[at]])
			at++
		}
		if at == from {
			if gap != groups {
				return netip.Addr{}, 0
			}
			break
		}
		if gap < 0 {
			address.set(groups, group)
		} else {
			end.push(group)
		}
		if groups++; at == len(v) || v[at] != ':' || groups == 8 {
			break
		}
		if at++; at < len(v) && v[at] == ':' && gap < 0 {
			at, gap = at+1, groups
		}
	}
	if gap < 0 && groups < 8 || gap >= 0 && groups == 8 {
		return netip.Addr{}, 0
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], address.high|end.high)
	binary.BigEndian.PutUint64(b[8:], address.low|end.low)
	return netip.AddrFrom16(b).Unmap(), at
}

type uint128 struct{ high, low uint64 }

// set puts a group into the i-th place of eight.
func (x *uint128) set(i int, group uint64) {
	if i < 4 {
		x.high |= group << (48 - 16*i)
	} else {
		x.low |= group << (112 - 16*i)
	}
}

// push moves all groups up by one, and puts group into the last place.
func (x *uint128) push(group uint64) {
	x.high, x.low = x.high<<16|x.low>>48, x.low<<16|group
}

// hexDigit maps digits to what they are worth, and all other bytes to 16 and more.
var hexDigit = func() (table [256]uint8) {
	for c := range table {
		table[c] = 0xff
		if r, ok := parseHex([]byte{byte(c)}, 1); ok {
			table[c] = uint8(r)
		}
	}
	return table
}()

// leadingStatus reads three digits.
func leadingStatus(v []byte) (status, n int) {
	if len(v) < 3 {
		return 0, 0
	}
	a, b, c := v[0]-'0', v[1]-'0', v[2]-'0'
	if a > 9 || b > 9 || c > 9 {
		return 0, 0
	}
	return int(a)*100 + int(b)*10 + int(c), 3
}

// leadingDigits reads the number that v begins with, of up to 18 digits.
func leadingDigits(v []byte) (number int64, n int) {
	for n < len(v) && v[n]-'0' <= 9 {
		number = number*10 + int64(v[n]-'0')
		if n++; n > 18 {
			return 0, 0
		}
	}
	return number, n
}

// parseDigits reads up to 18 decimal digits, and nothing else.
func parseDigits(v []byte) (int64, bool) {
	number, n := leadingDigits(v)
	return number, n > 0 && n == len(v)
}

// parseSeconds reads seconds and, after a point, milliseconds: 12.345.
func parseSeconds(v []byte) (time.Duration, bool) {
	point := len(v)
	for i, c := range v {
		if c == '.' {
			point = i
			break
		}
	}
	s, ok := parseDigits(v[:point])
	if !ok || s > 1<<33 {
		return 0, false
	}
	d := time.Duration(s) * time.Second
	if point == len(v) {
		return d, true
	}
	fraction, ok := parseDigits(v[point+1:])
	if !ok || len(v)-point-1 > 9 {
		return 0, false
	}
	for range 9 - (len(v) - point - 1) {
		fraction *= 10
	}
	return d + time.Duration(fraction), true
}

// localSize is the length of every $time_local.
const localSize = len("10/Oct/2000:13:55:36 -0700")

// parseLocal reads a $time_local.
func parseLocal(v []byte) (time.Time, bool) {
	if len(v) != localSize || v[2] != '/' || v[6] != '/' || v[11] != ':' || v[20] != ' ' {
		return time.Time{}, false
	}
	month := monthOf(v[3:6])
	n := numbers{bad: month == 0}
	return n.instant(v[7:11], month, v[0:2], v[12:20], v[21:])
}

// parseISO reads $time_iso8601: 2000-10-10T13:55:36-07:00, or with a Z.
func parseISO(v []byte) (time.Time, bool) {
	if len(v) < 20 || v[4] != '-' || v[7] != '-' || v[10] != 'T' {
		return time.Time{}, false
	}
	var n numbers
	return n.instant(v[0:4], time.Month(n.in(v[5:7], 1, 12)), v[8:10], v[11:19], v[19:])
}

// numbers reads digits, and remembers whether all were in range.
type numbers struct{ bad bool }

func (n *numbers) in(v []byte, least, most int64) int {
	d, ok := parseDigits(v)
	if !ok || d < least || d > most {
		n.bad = true
	}
	return int(d)
}

// instant puts a time together: clock is 13:55:36, zone is Z, -0700 or -07:00.
func (n *numbers) instant(year []byte, month time.Month, day, clock, zone []byte) (time.Time, bool) {
	n.bad = n.bad || clock[2] != ':' || clock[5] != ':'
	t := time.Date(n.in(year, 1970, 9999), month, n.in(day, 1, 31),
		n.in(clock[0:2], 0, 23), n.in(clock[3:5], 0, 59), n.in(clock[6:8], 0, 60), 0, time.UTC)
	t = t.Add(-n.zone(zone))
	return t, !n.bad
}

func (n *numbers) zone(v []byte) time.Duration {
	if string(v) == "Z" {
		return 0
	}
	if len(v) < 5 || len(v) > 6 || len(v) == 6 && v[3] != ':' || v[0] != '+' && v[0] != '-' {
		n.bad = true
		return 0
	}
	d := time.Duration(n.in(v[1:3], 0, 23))*time.Hour + time.Duration(n.in(v[len(v)-2:], 0, 59))*time.Minute
	if v[0] == '-' {
		return -d
	}
	return d
}

// monthOf returns 0 for what is no English month.
func monthOf(v []byte) time.Month {
	switch string(v) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// unescape appends v to dst without its escapes: \xHH of nginx and Apache, \uHHHH of JSON, and a backslash before a
// letter or a mark. A backslash that begins none of these stands for itself.
func unescape(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] != '\\' || i+1 == len(v) {
			dst = append(dst, v[i])
			continue
		}
		i++
		switch c := v[i]; c {
		case 'x':
			if b, ok := parseHex(v[i+1:], 2); ok {
				dst = append(dst, byte(b))
				i += 2
				continue
			}
			dst = append(dst, '\\', c)
		case 'u':
			var used int
			if dst, used = appendUnicode(dst, v[i+1:]); used == 0 {
				dst = append(dst, '\\', c)
			}
			i += used
		default:
			dst = appendEscape(dst, c)
		}
	}
	return dst
}

// appendUnicode appends what follows \u as UTF-8, and returns how many bytes of v that took.
func appendUnicode(dst, v []byte) ([]byte, int) {
	r, ok := parseHex(v, 4)
	if !ok {
		return dst, 0
	}
	if utf16.IsSurrogate(r) && len(v) >= 10 && v[4] == '\\' && v[5] == 'u' {
		if low, ok := parseHex(v[6:], 4); ok {
			return utf8.AppendRune(dst, utf16.DecodeRune(r, low)), 10
		}
	}
	return utf8.AppendRune(dst, r), 4
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\', '/':
		return append(dst, c)
	case 'n':
		return append(dst, '\n')
	case 't':
		return append(dst, '\t')
	case 'r':
		return append(dst, '\r')
	case 'b':
		return append(dst, '\b')
	case 'f':
		return append(dst, '\f')
	case 'v':
		return append(dst, '\v')
	}
	return append(dst, '\\', c)
}

func parseHex(v []byte, digits int) (rune, bool) {
	if len(v) < digits {
		return 0, false
	}
	var r rune
	for _, c := range v[:digits] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
