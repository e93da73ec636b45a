package apache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/pcre"
)

// Config is one site as httpd serves it. It is a [staticify.Layout].
//
// Each file holds its own headers (mod_asis), so the configuration never changes, and the server is reloaded once.
type Config struct {
	// Host is the only Host that pages are for, as clients send it: with a port when it is not the scheme's own.
	Host string
	// Scheme is the only scheme that pages are for, http or https; "" means both. Leave it empty where something in front
	// of httpd ends TLS.
	Scheme string
	Root   string          // the publisher's root, an absolute path
	MaxAge time.Duration   // 0 means staticify.DefaultMaxAge
	Query  staticify.Query // as it is for the ranking
	// Cookies are those that are ignored, by name or by its beginning and a star; nil means staticify.DefaultCookies.
	Cookies []string
	// Location is httpd's time zone: it knows the time of day by no other. Nil means time.Local.
	Location *time.Location
}

var (
	hostSyntax   = regexp.MustCompile(`^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]+)?$`)
	rootSyntax   = regexp.MustCompile(`^/[A-Za-z0-9._/@+-]*$`)
	cookieSyntax = regexp.MustCompile(`^[A-Za-z0-9._~-]+\*?$`)
)

// Validate returns all that is wrong with the configuration.
func (c Config) Validate() error {
	var problems []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf("apache: "+format, args...))
		}
	}
	want(hostSyntax.MatchString(c.Host), "host %q: want a name in lower case, perhaps with a port", c.Host)
	want(c.Scheme == "" || c.Scheme == "http" || c.Scheme == "https", "scheme %q: want http, https or nothing", c.Scheme)
	want(rootSyntax.MatchString(c.Root) && path.Clean(c.Root) == c.Root, "root %q: want an absolute path of letters, digits and ._/@+-", c.Root)
	for _, p := range c.cookies() {
		want(cookieSyntax.MatchString(p), "cookie %q: want a name, or its beginning and a star", p)
	}
	return errors.Join(append(problems, c.Query.Validate())...)
}

func (c Config) cookies() []string {
	if c.Cookies == nil {
		return staticify.DefaultCookies()
	}
	return c.Cookies
}

// Width implements [staticify.Layout].
func (c Config) Width() time.Duration {
	return staticify.BucketWidth(cmp.Or(c.MaxAge, staticify.DefaultMaxAge))
}

// Bucket implements [staticify.Layout]: the first digits of the local time, which is all that mod_rewrite knows. In the
// hour that comes twice when summer time ends, nothing is served.
func (c Config) Bucket(start time.Time) string {
	name := c.local(start)
	for _, shift := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
		if c.local(start.Add(shift)) == name || c.local(start.Add(-shift)) == name {
			return ""
		}
	}
	return name
}

// local is the time as %{TIME} has it, as far as Width goes.
func (c Config) local(t time.Time) string {
	digits := t.In(cmp.Or(c.Location, time.Local)).Format("20060102150405")
	return digits[:len(digits)-c.drop()]
}

// drop is how many of the fourteen digits of %{TIME} do not count.
func (c Config) drop() int {
	if c.Width() == time.Second {
		return 0
	}
	return 1
}

// Files implements [staticify.Layout]: each begins with its headers. They are in a directory that has the page's name, since
// mod_mime makes languages and encodings of all that stands between dots in the name of a file: of the page
// "/news.fr.html", and with Debian's configuration of a ".br".
func (c Config) Files(p *staticify.Page) ([]staticify.File, error) {
	if p.Header.Get("Content-Type") == "" {
		return nil, &staticify.Refusal{Reason: staticify.Unpublishable, Detail: "no Content-Type"}
	}
	for name := range p.Header {
		if line := name + joined(p, name); strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || len(line) > 8000 {
			return nil, &staticify.Refusal{Reason: staticify.Unpublishable, Detail: name}
		}
	}
	var files []staticify.File
	for _, encoding := range []string{"", "gzip", "br"} {
		files = append(files, staticify.File{Name: p.Key.FileName() + fileName(encoding), Encoding: encoding, Prefix: head(p, encoding)})
	}
	return files, nil
}

// fileName is the end of a file's name.
func fileName(encoding string) string { return "/" + cmp.Or(encoding, "plain") + ".asis" }

func joined(p *staticify.Page, name string) string {
	return strings.Join(p.Header.Values(name), ", ")
}

// head is the head of a file. It has no validator: mod_asis knows of none but Last-Modified, and would take a page that
// changed after the clock was set back for an old one.
func head(p *staticify.Page, encoding string) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(p.Header)) {
		if name != "Vary" {
			fmt.Fprintf(&b, "%s: %s\n", name, joined(p, name))
		}
	}
	fmt.Fprintf(&b, "Vary: %s\n", strings.Join(append([]string{"Accept-Encoding"}, p.Header.Values("Vary")...), ", "))
	if encoding != "" {
		fmt.Fprintf(&b, "Content-Encoding: %s\n", encoding)
	}
	b.WriteString("Cache-Status: staticify; hit\n\n")
	return b.Bytes()
}

// VirtualHost returns what belongs into the site's VirtualHost, before its own rewrite rules. It needs mod_rewrite and
// mod_asis.
func (c Config) VirtualHost() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by staticify for %s: changes are lost.", c.Host)
	line("<Directory \"%s\">\n\tRequire all granted\n\tOptions FollowSymLinks\n\tAllowOverride None\n\tMaxRanges none", c.Root)
	line("\t<FilesMatch \"\\.asis$\">\n\t\tSetHandler send-as-is\n\t</FilesMatch>\n</Directory>")
	line("RewriteEngine On")
	c.gate(line)
	c.target(line)
	for _, encoding := range []string{"br", "gzip", ""} {
		c.serve(line, encoding)
	}
	return b.Bytes(), nil
}

type lineFunc func(format string, args ...any)

// gate sets the directory of the present time for requests that may get a file.
func (c Config) gate(line lineFunc) {
	line("# Only GET and HEAD, by nobody in particular, for this host, without a body and without If-Match.")
	line("RewriteCond %%{REQUEST_METHOD} ^(?:GET|HEAD)$")
	for _, name := range []string{"Authorization", "Content-Length", "Transfer-Encoding", "If-Match", "If-Unmodified-Since"} {
		line("RewriteCond %%{HTTP:%s} ^$", name)
	}
	line("RewriteCond %%{HTTP:Host} %s", quote("^"+regexp.QuoteMeta(c.Host)+"$"))
	if c.Scheme != "" {
		line("RewriteCond %%{REQUEST_SCHEME} ^%s$", c.Scheme)
	}
	line("# Only with cookies that change no page.")
	line("RewriteCond %%{HTTP:Cookie} %s", quote(pcre.Cookies(c.cookies())))
	line("# The directory of this time: when nobody makes new ones there is none, and the origin answers.")
	line("RewriteCond %%{TIME} ^(\\d{%d})", 14-c.drop())
	line("RewriteRule ^ - [E=STATICIFY_TIME:%%1]")
}

// target sets the beginning of the file's name from the request target as it was sent. An escaped question mark would
// be refused by httpd when it is in a file's name.
func (c Config) target(line lineFunc) {
	rule := func(query, name string) {
		line("RewriteCond %%{ENV:STATICIFY_TIME} .")
		line("RewriteCond %%{THE_REQUEST} !%%3[fF]")
		line("RewriteCond %%{THE_REQUEST} %s", quote(`^[A-Z]+ (`+pcre.Path+`)`+query+` HTTP/(?:1\.[01]|2\.0)$`))
		line("RewriteRule ^ - [E=STATICIFY_FILE:%s]", name)
	}
	line("# The file's name, from the request target as it was sent.")
	rule("", "%1^")
	if ignored := pcre.Ignored(c.Query); ignored != "" {
		rule(`\?`+ignored, "%1^")
	}
	if before, kept, after := pcre.Kept(c.Query); kept != "" {
		rule(`\?`+before+`(`+kept+`)`+after, "%1^%2^")
	}
}

// serve sends a file where there is one.
func (c Config) serve(line lineFunc, encoding string) {
	file := c.Root + "/current/%{ENV:STATICIFY_TIME}%{ENV:STATICIFY_FILE}" + fileName(encoding)
	line("RewriteCond %%{ENV:STATICIFY_FILE} .")
	if encoding != "" {
		line("RewriteCond %%{HTTP:Accept-Encoding} %s", quote(pcre.Accepts(encoding)))
	}
	line("RewriteCond %s -f", quote(file))
	line("RewriteRule ^ %s [L,E=no-gzip:1,E=no-brotli:1]", quote(file))
}

// quote quotes an argument of a directive. In rewrite rules nothing can stand for a quotation mark, and none is needed.
func quote(s string) string { return `"` + s + `"` }
