package accesslog

import (
	"bytes"
	"io"
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
