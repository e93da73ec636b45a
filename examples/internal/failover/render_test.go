package failover

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func twice(one, other string) [2]render {
	return [2]render{{status: 200, body: []byte(one)}, {status: 200, body: []byte(other)}}
}

func TestCompare(t *testing.T) {
	const page = `<p>As of %s, version %s.</p><input name="token" value="%s"><a href="/about/?v=3">about %s</a>`
	rendered := func(token, version string) string { return fmt.Sprintf(page, "today", version, token, "us") }
	for _, tt := range []struct {
		name             string
		primary, standby [2]render
		state            State
		says             string
	}{
		{"equal", twice("a b", "a b"), twice("a b", "a b"), Same, ""},
		{"nonces", twice(rendered("n1", "3"), rendered("n2", "3")), twice(rendered("n3", "3"), rendered("n4", "3")), Same, ""},
		{"base64 nonces", twice(rendered("a+b/c", "3"), rendered("/+/+1", "3")), twice(rendered("xy+z9", "3"), rendered("12345", "3")), Same, ""},
		{"nonces at one host alone", twice(rendered("n1", "3"), rendered("n1", "3")), twice(rendered("n3", "3"), rendered("n4", "3")), Same, ""},
		{"nonces that stay, but differ", twice(rendered("n1", "3"), rendered("n1", "3")), twice(rendered("n2", "3"), rendered("n2", "3")), Different, `value=\"n2\"`},
		{"old version with nonces", twice(rendered("n1", "3"), rendered("n2", "3")), twice(rendered("n3", "2"), rendered("n4", "2")), Different, "version 2."},
		{"more at the end", twice("a b", "a b"), twice("a b c", "a b c"), Different, "ends with"},
		{"less at the end", twice("a b", "a b"), twice("a", "a"), Different, "ends with"},
		{"empty", twice("a b", "a b"), twice("", ""), Different, "ends with"},
		{"primary of varying length", twice("a b", "a b c"), twice("a x", "a x"), Unknown, "primary"},
		{"standby of varying length", twice("a b", "a b"), twice("a x", "a x y"), Unknown, "standby"},
		{"nothing but nonces", twice("1", "2"), twice("3", "4"), Unknown, "pages.ignore"},
		{"ignored", twice("a b <!-- 12 ms -->", "a b <!-- 7 -->"), twice("a b <!-- from the cache: 1 -->", "a b <!-- x -->"), Same, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := comparison{ignore: []*regexp.Regexp{regexp.MustCompile("<!--.*?-->")}}
			state, detail := c.compare(tt.primary, tt.standby)
			require.Equal(t, tt.state, state, detail)
			require.Contains(t, detail, tt.says)
			require.Equal(t, tt.says == "", detail == "")
		})
	}
}

func TestCompareStatusAndHeaders(t *testing.T) {
	c := comparison{headers: []string{"location"}}
	primary, standby := twice("x", "x"), twice("x", "x")
	standby[0].header = http.Header{"Location": {"/elsewhere"}}
	state, detail := c.compare(primary, standby)
	require.Equal(t, Different, state)
	require.Equal(t, `location "/elsewhere", the primary's is ""`, detail)
	standby[0].status = 404
	state, detail = c.compare(primary, standby)
	require.Equal(t, Different, state)
	require.Equal(t, "status 404, the primary's is 200", detail)
}

func FuzzWords(f *testing.F) {
	f.Add([]byte(`<a href="/x?y=z">text</a>`))
	f.Add([]byte(" \xff\x00 =="))
	f.Fuzz(func(t *testing.T, page []byte) {
		split := words(page)
		require.True(t, bytes.Equal(page, bytes.Join(split, nil)))
		for _, word := range split {
			require.NotEmpty(t, word)
			if len(word) > 1 {
				require.False(t, strings.ContainsAny(string(word), separators), "%q", word)
			}
		}
	})
}
