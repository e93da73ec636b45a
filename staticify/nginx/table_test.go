package nginx_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/nginx"
)

var someConfig = nginx.Config{Host: "www.example.org", Root: "/var/lib/www"}

// The configuration changes when a page comes with other headers, and not when pages go or return.
func TestTable(t *testing.T) {
	home, blog, post := page("/"), page("/blog/"), page("/post/", "Link", "<a>")
	table, changed := nginx.Table{}.With([]*staticify.Page{home, blog, post})
	require.True(t, changed)
	for name, pages := range map[string][]*staticify.Page{
		"the same": {home, blog, post}, "one went": {home, post}, "all went": {}, "one more of the common kind": {home, blog, post, page("/x/")},
	} {
		_, changed = table.With(pages)
		require.False(t, changed, name)
	}
	for name, one := range map[string]*staticify.Page{
		"another header": page("/y/", "Link", "<b>"), "known headers on a new page": page("/y/", "Link", "<a>"), "the page's header changed": page("/post/", "Link", "<c>"),
		"it went": page("/post/"),
	} {
		next, changed := table.With([]*staticify.Page{home, blog, one})
		require.True(t, changed, name)
		_, again := next.With([]*staticify.Page{home, blog, one})
		require.False(t, again, name)
	}
}

// Names that nginx takes for the same do not make it reload for ever.
func TestTableCase(t *testing.T) {
	pages := []*staticify.Page{page("/"), page("/x"), page("/About/", "Link", "<a>"), page("/about/", "Link", "<b>"), page("/ABOUT/")}
	table, _ := nginx.Table{}.With(pages)
	_, changed := table.With(pages)
	require.False(t, changed)
	text, err := someConfig.HTTP(table)
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(strings.ToLower(string(text)), `"/about/^"`))
}

func TestTableIsBounded(t *testing.T) {
	var table nginx.Table
	for i := range 30 {
		var pages []*staticify.Page
		for j := range 1000 {
			pages = append(pages, page(fmt.Sprintf("/%d/%d", i, j), "Link", fmt.Sprint(j)))
		}
		table, _ = table.With(pages)
	}
	text, err := someConfig.HTTP(table)
	require.NoError(t, err)
	require.LessOrEqual(t, strings.Count(string(text), "\n"), 13_000)
}

// What a configuration cannot hold is for the origin.
func TestUnsendable(t *testing.T) {
	for _, bad := range []*staticify.Page{
		page("/", "Link", "a\nb"), page("/", "Link", "\x00"), page("/", "Content-Security-Policy", strings.Repeat("x", 4000)), page("/", "X{", "a"),
		page("/", "Link", strings.Repeat("$", 400)), page("/", "Link", strings.Repeat(`"`, 1700)), typed("include"),
		{Key: staticify.Key{Path: "/"}, Header: http.Header{}},
	} {
		_, err := someConfig.Files(bad)
		require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Unpublishable})
	}
}

// typed is a page of this type.
func typed(contentType string) *staticify.Page {
	p := page("/")
	p.Header.Set("Content-Type", contentType)
	return p
}

// Whatever may be sent can be written.
func TestSendable(t *testing.T) {
	for _, value := range []string{strings.Repeat("x", 1700), strings.Repeat("$", 25), strings.Repeat(`"`, 800), strings.Repeat(`\$`, 20)} {
		p := page("/", "Link", value)
		c := someConfig
		c.Name = "a_site_with_a_name_of_sixty_bytes_which_is_longer_than_most_are"
		if _, err := c.Files(p); err != nil {
			require.ErrorIs(t, err, &staticify.Refusal{Reason: staticify.Unpublishable})
			continue
		}
		table, _ := nginx.Table{}.With([]*staticify.Page{p})
		_, err := c.HTTP(table)
		require.NoError(t, err)
	}
}

// All that is wrong is said at once, and nothing is written.
func TestValidate(t *testing.T) {
	c := nginx.Config{Name: "X", Host: "a b", Scheme: "gopher", Root: "www/../x", Origin: "ftp://x/y", Cookies: []string{"a b"}, Query: staticify.Query{Keep: []string{"a b"}}}
	_, err := c.HTTP(nginx.Table{})
	for _, want := range []string{`name "X"`, `host "a b"`, `scheme "gopher"`, `root "www/../x"`, `origin "ftp://x/y"`, `cookie "a b"`, `query patterns "a b"`} {
		require.ErrorContains(t, err, want)
	}
	_, err = c.Server(nginx.Table{})
	require.Error(t, err)
	for _, origin := range []string{"http://x:1/y", "http://user:word@x:1", "http://x:1#y", "http://x:1?", "http://x:1?y", "http://x;y", "http://$x", "http://x{", "//x", "x"} {
		require.ErrorContains(t, nginx.Config{Host: "x", Root: "/x", Origin: origin}.Validate(), fmt.Sprintf("origin %q", origin))
	}
	for _, origin := range []string{"http://127.0.0.1:8081", "https://[2001:db8::1]/", "http://origin"} {
		require.NoError(t, nginx.Config{Host: "x", Root: "/x", Origin: origin}.Validate())
	}
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("parameter-%d", i))
	}
	c = someConfig
	c.Query.Keep = many
	_, err = c.HTTP(nginx.Table{})
	require.ErrorContains(t, err, "fewer or shorter patterns")
}

// No page's file is another page's too, though a visitor picks the query.
func TestNamesOfFiles(t *testing.T) {
	owner := map[string]string{}
	for _, target := range []string{"/", "/x", "/x/", "/?s=x", "/?s=x.br", "/?s=x.gzip", "/?s=x.gzip.gzip", "/?s=", "/?s", "/x?s=x.br", "/x.gzip", "/?s=.br"} {
		files, err := someConfig.Files(page(target))
		require.NoError(t, err)
		for _, f := range files {
			require.Empty(t, owner[f.Name], "%s of %s", f.Name, target)
			owner[f.Name] = target
		}
	}
}

// A pattern of the user's is none of ours, whatever it looks like.
func TestPatternsAreTakenAsTheyAre(t *testing.T) {
	c := nginx.Config{Host: host, Root: "/www", Cookies: []string{"NAME_x"}, Query: staticify.Query{Ignore: []string{"NAMES*"}, Keep: []string{"NAMESPACE"}}}
	text, err := c.HTTP(nginx.Table{})
	require.NoError(t, err)
	for _, word := range []string{"NAME_x", "NAMES", "NAMESPACE"} {
		require.Contains(t, string(text), word)
	}
	for _, word := range []string{"$staticify_x", "staticifyS", "(?<NAME", "$NAME"} {
		require.NotContains(t, string(text), word)
	}
}
