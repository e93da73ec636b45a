package staticify

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var testQuery = Query{Keep: []string{"page", "s", "filter_*"}}

func TestCanonical(t *testing.T) {
	for target, want := range map[string]Key{
		"/":                         {"/", ""},
		"/blog":                     {"/blog", ""},
		"/blog/":                    {"/blog/", ""},
		"/About/":                   {"/About/", ""},
		"/a%20b/caf%c3%a9":          {"/a%20b/caf%c3%a9", ""},
		"/caf%C3%A9":                {"/caf%C3%A9", ""},
		"/a;b=1,c/@x/~y/(z)!$&'*+:": {"/a;b=1,c/@x/~y/(z)!$&'*+:", ""},
		"/...":                      {"/...", ""},
		"/.well-known/x":            {"/.well-known/x", ""},
		"/?page=2":                  {"/", "page=2"},
		"/?page":                    {"/", "page"},
		"/?page=":                   {"/", "page="},
		"/?s=a+b%20c":               {"/", "s=a+b%20c"},
		"/?s=B&page=1":              {"/", "s=B&page=1"},
		"/?page=1&s=B":              {"/", "page=1&s=B"},
		"/?filter_size=3":           {"/", "filter_size=3"},
		"/?utm_source=x":            {"/", ""},
		"/x?utm_source=a/../b&page=2&gclid=%zz&fbclid": {"/x", "page=2"},
		"/" + strings.Repeat("a", MaxSegment):          {"/" + strings.Repeat("a", MaxSegment), ""},
		"/?s=" + strings.Repeat("a", MaxQuery-2):       {"/", "s=" + strings.Repeat("a", MaxQuery-2)},
	} {
		key, err := testQuery.Canonical(target)
		require.NoError(t, err, target)
		require.Equal(t, want, key, target)
	}
}

func TestCanonicalRefuses(t *testing.T) {
	for target, want := range map[string]Reason{
		"":                                       BadPath,
		"*":                                      BadPath,
		"x":                                      BadPath,
		"http://example.org/":                    BadPath,
		"?page=1":                                BadPath,
		"//":                                     BadPath,
		"//x":                                    BadPath,
		"/x//y":                                  BadPath,
		"/x//":                                   BadPath,
		"/.":                                     BadPath,
		"/..":                                    BadPath,
		"/y/../x":                                BadPath,
		"/y/./x":                                 BadPath,
		"/x/..":                                  BadPath,
		"/%2e%2e/x":                              BadPath,
		"/%2E/x":                                 BadPath,
		"/%62x":                                  BadPath, // an escape that is not needed: the origin may redirect
		"/a%2fb":                                 BadPath,
		"/a%2Fb":                                 BadPath,
		"/a%5cb":                                 BadPath,
		"/a%25b":                                 BadPath,
		"/a%3fb":                                 BadPath,
		"/a%23b":                                 BadPath,
		"/a%00":                                  BadPath,
		"/a%0a":                                  BadPath,
		"/a%7f":                                  BadPath,
		"/a%":                                    BadPath,
		"/a%2":                                   BadPath,
		"/a%zz":                                  BadPath,
		"/a b":                                   BadPath,
		"/a\x00":                                 BadPath,
		"/a\xc3\xa9":                             BadPath,
		`/a\b`:                                   BadPath,
		`/a"b`:                                   BadPath,
		"/a<b":                                   BadPath,
		"/a{b}":                                  BadPath,
		"/a#b":                                   BadPath,
		"/a^b":                                   BadPath,
		"/?":                                     BadQuery,
		"/?&":                                    BadQuery,
		"/?page=1&":                              BadQuery,
		"/?&page=1":                              BadQuery,
		"/?page=1&&s=2":                          BadQuery,
		"/?=1":                                   BadQuery,
		"/?page[]=1":                             BadQuery,
		"/?pa%67e=1":                             BadQuery,
		"/?page=/../../etc":                      BadQuery,
		"/?page=%":                               BadQuery,
		"/?page=%2":                              BadQuery,
		"/?page=a=b":                             BadQuery,
		"/?page=1?":                              BadQuery,
		"/?page=1#x":                             BadQuery,
		"/?utm_x=a b":                            BadQuery,
		"/?utm_x=\xff":                           BadQuery,
		"/?utm_x=#":                              BadQuery,
		"/?Page=1":                               UnknownQuery,
		"/?pages=1":                              UnknownQuery,
		"/?page=1&preview=true":                  UnknownQuery,
		"/?utm=1":                                UnknownQuery,
		"/" + strings.Repeat("a", MaxSegment+1):  TooLong,
		strings.Repeat("/a", MaxTarget/2+1):      TooLong,
		"/?s=" + strings.Repeat("a", MaxQuery-1): TooLong,
		"/?utm_x=" + strings.Repeat("a", MaxTarget):            TooLong,
		"/" + strings.Repeat("%c3%a9", MaxSegment/6) + "xx%c3": TooLong,
	} {
		key, err := testQuery.Canonical(target)
		var refusal *Refusal
		require.ErrorAs(t, err, &refusal, target)
		require.Equal(t, want, refusal.Reason, "%q: %v", target, err)
		require.Zero(t, key)
	}
}

func TestIgnoreDefaults(t *testing.T) {
	_, err := Query{}.Canonical("/?utm_source=x&gclid=y")
	require.NoError(t, err)
	_, err = Query{Ignore: []string{}}.Canonical("/?utm_source=x")
	require.ErrorIs(t, err, &Refusal{Reason: UnknownQuery})
	key, err := Query{Ignore: []string{"*"}, Keep: []string{"p*"}}.Canonical("/?a=1&p=2&b=3")
	require.NoError(t, err)
	require.Equal(t, "/?p=2", key.String(), "Keep wins")
}

func TestValidate(t *testing.T) {
	require.NoError(t, Query{Ignore: []string{"utm_*", "*"}, Keep: []string{"a-b.c_d~e"}}.Validate())
	err := Query{Ignore: []string{"", "a*b"}, Keep: []string{"ä", "x["}}.Validate()
	require.EqualError(t, err, `staticify: query patterns "", "a*b", "ä", "x[": want letters, digits and -._~, then perhaps one star at the end`)
}

func TestRefusal(t *testing.T) {
	_, err := Query{}.Canonical("/?preview=true")
	require.EqualError(t, err, `staticify: refused: unknown query: parameter "preview"`)
	require.ErrorIs(t, err, &Refusal{Reason: UnknownQuery})
	require.NotErrorIs(t, err, &Refusal{Reason: BadQuery})
	require.NotErrorIs(t, err, &Refusal{Reason: UnknownQuery, Detail: "other"})
	require.NotErrorIs(t, err, errors.New("x"))
	seen := map[string]bool{}
	for r := Reason(1); r < reasonEnd; r++ {
		require.NotEmpty(t, r.String())
		require.False(t, seen[r.String()], r.String())
		seen[r.String()] = true
		var again Reason
		require.NoError(t, again.UnmarshalText([]byte(r.String())))
		require.Equal(t, r, again)
	}
	require.ErrorContains(t, new(Reason).UnmarshalText(nil), "is no reason")
	require.Equal(t, "reason 200", Reason(200).String())
}

// FuzzCanonical checks keys against net/url and path: a Key's path means itself, however it is read.
func FuzzCanonical(f *testing.F) {
	for _, target := range []string{
		"/", "/blog/?page=2&utm_source=x", "/caf%c3%a9", "//x", "/a/../b", "/%2e%2e/", "/?s=%41+b", "/a?b?c", "/x?page=1&page=2", "/a%5cb",
	} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		key, err := testQuery.Canonical(target)
		if err != nil {
			if !errors.As(err, new(*Refusal)) {
				t.Fatalf("%q: %v is no Refusal", target, err)
			}
			return
		}
		if again, err := testQuery.Canonical(key.String()); err != nil || again != key {
			t.Fatalf("%q: %v gives %v, %v", target, key, again, err)
		}
		if !strings.HasPrefix(target, key.Path) || len(key.String()) > len(target) {
			t.Fatalf("%q: %v is not in it", target, key)
		}
		u, err := url.ParseRequestURI(key.String())
		if err != nil || u.RawQuery != key.Query || u.Host != "" || u.Scheme != "" || u.Fragment != "" {
			t.Fatalf("%q: net/url reads %v as %+v, %v", target, key, u, err)
		}
		clean := path.Clean(u.Path)
		if strings.HasSuffix(u.Path, "/") && clean != "/" {
			clean += "/"
		}
		if clean != u.Path || strings.ContainsAny(u.Path, "\\\x00\n\r") {
			t.Fatalf("%q: %v is not in normal form", target, key)
		}
		if values, err := url.ParseQuery(key.Query); err != nil || len(values) == 0 && key.Query != "" {
			t.Fatalf("%q: %v: %v, %v", target, key, values, err)
		}
	})
}
