package accesslog

import (
	"bytes"
	"io"
	"net/netip"
	"reflect"
	"regexp"
	"testing"
)

// FuzzParseFormat reads any line in any format: nothing that a log or its format says may break the reader, and what a
// Hit holds is in bounds.
func FuzzParseFormat(f *testing.F) {
	for _, format := range []string{"combined", "vhost_combined", "json", `escape=json {"r":"$request"}`, `escape=none $msec "$request"`, `${status}|$request_uri|$upstream_response_time`} {
		f.Add(format, []byte(`1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET /\x22 HTTP/1.1" 200 2326 "-" "x\"y"`))
		f.Add(format, []byte(`{"remote_addr":"::1","request":"GET /\ud83d\ude00 HTTP/1.1","a":[{}],"status":200}`))
	}
	f.Fuzz(func(t *testing.T, format string, text []byte) {
		parsed, err := ParseFormat(format)
		if err != nil {
			return
		}
		r := NewReader(bytes.NewReader(text), parsed)
		var hits uint64
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			hits++
			if h.Status < 0 || h.Status > 999 || h.Bytes < 0 || h.Took < 0 || len(h.Target) > MaxLine || h.Client.Zone() != "" {
				t.Fatalf("out of bounds: %+v", h)
			}
		}
		stats := r.Stats()
		if stats.Lines != hits+stats.Malformed+stats.TooLong {
			t.Fatalf("%d hits, but %+v", hits, stats)
		}
	})
}

// FuzzAddr reads any text as netip does, but for the leading zeros that an octet of IPv4 may have here.
func FuzzAddr(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1", "256.1.1.1", "1.2.3", "1.2.3.4.5", "::", "::1", "1::", "2001:db8::39:6712", "2001:DB8:0:0:1:0:0:1",
		"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7::8", "1::2::3", "12345::", ":1", "1:", ":::",
		"::ffff:192.0.2.1", "::ffff:c000:201", "fe80::1%eth0", "unix:", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := parseAddr([]byte(s))
		want, err := netip.ParseAddr(s)
		switch {
		case len(s) > 64 || err == nil && want.Zone() != "":
			want = netip.Addr{}
		case err == nil:
			want = want.Unmap()
		case got.Is4():
			want = got // checked below
			if !regexp.MustCompile(`^0*\d{1,3}(\.0*\d{1,3}){3}$`).MatchString(s) {
				t.Fatalf("%q is %v", s, got)
			}
		}
		if got != want {
			t.Fatalf("%q: got %v, want %v", s, got, want)
		}
	})
}

// FuzzCombined reads a line of the format combined in one go and step by step: nothing differs.
func FuzzCombined(f *testing.F) {
	for _, line := range []string{
		`1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326 "-" "x y"`,
		`::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326 "https://a.example/" "x" 12`,
		`::1 - - [10/Oct/2000:13:55:36 -0700] "GET /?a b HTTP/1.1" 200 2326 "" "x"12`,
		`name - me [10/Oct/2000:13:55:36 -0700] "-" 400 0 "-" "-"`,
		`1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "" 2000 - "\x22" "-"`,
		`1.2.3.4 - - [10/Okt/2000:13:55:36 -0700] "GET /" 2x0 1"" "`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		one, other := newParser(Format{}), newParser(Format{})
		other.format.combined = false
		for range 2 { // the second time, the second of the line is known
			ok := parse(one, line)
			if ok != parse(other, line) || ok && !reflect.DeepEqual(one.hit, other.hit) {
				t.Fatalf("%q: %v %+v, but %+v", line, ok, one.hit, other.hit)
			}
		}
	})
}

// FuzzLines cuts any text, however it arrives, into the lines that it has, and knows those with a backslash.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\\b\nc\\\n\n\\"), uint16(1), uint8(1))
	f.Add([]byte("0123456\\9\r\nabcdefghi\n"), uint16(10000), uint8(255))
	f.Add([]byte("x\\y"), uint16(30000), uint8(100))
	f.Fuzz(func(t *testing.T, part []byte, times uint16, step uint8) {
		text := bytes.Repeat(part, min(int(times), 3*MaxLine/max(len(part), 1)))
		l := lines{r: &steps{bytes.NewReader(text), int(step) + 1}}
		for rest := text; ; {
			end := bytes.IndexByte(rest, '\n')
			got, err := l.next()
			if end < 0 {
				if err != io.EOF || l.pending() != (len(rest) > 0) {
					t.Fatalf("%v, pending %v, but %q is left", err, l.pending(), rest)
				}
				got, err, end = l.takeRest(), nil, len(rest)
			}
			want := bytes.TrimSuffix(rest[:end], []byte("\r"))
			if end == len(rest) {
				want = rest
			}
			switch {
			case err != nil:
				t.Fatal(err)
			case end > MaxLine:
				if got != nil {
					t.Fatalf("%d bytes", len(got))
				}
			case !bytes.Equal(got, want) || l.escapes != bytes.Contains(want, []byte(`\`)):
				t.Fatalf("%q, backslash %v: want %q", got, l.escapes, want)
			}
			if end == len(rest) {
				return
			}
			rest = rest[end+1:]
		}
	})
}

// steps gives a few bytes at a time.
type steps struct {
	r    io.Reader
	size int
}

func (s *steps) Read(b []byte) (int, error) { return s.r.Read(b[:min(len(b), s.size)]) }
