package accesslog

import (
	"net/netip"
	"time"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// parseAddr returns the zero Addr for what is no address: "unix:", a name.
func parseAddr(v []byte) netip.Addr {
	if a, ok := parseIPv4(v); ok {
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

func parseIPv4(v []byte) (netip.Addr, bool) {
	var octets [4]byte
	at, n, digits := 0, 0, 0
	for _, c := range v {
		switch {
		case '0' <= c && c <= '9' && digits < 3:
			n, digits = n*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && at < 3 && n < 256:
			octets[at] = byte(n)
			at, n, digits = at+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if at != 3 || digits == 0 || n > 255 {
		return netip.Addr{}, false
	}
	octets[3] = byte(n)
	return netip.AddrFrom4(octets), true
}

// parseDigits reads up to 18 decimal digits, and nothing else.
func parseDigits(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
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
