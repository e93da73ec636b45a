package nginx

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/pcre"
)

// Config is one site as nginx serves it. It is a [staticify.Layout].
type Config struct {
	// Name begins the names of nginx's variables; "" means "staticify". Sites of one nginx need different ones, of lower
	// case letters, digits and underscores, 64 at most.
	Name string
	// Host is the only Host that pages are for, as clients send it: with a port when it is not the scheme's own.
	Host string
	// Scheme is the only scheme that pages are for, http or https; "" means both. Leave it empty where something in front
	// of nginx ends TLS.
	Scheme string
	Root   string // the publisher's root, an absolute path
	// Origin is where everything else goes, http://127.0.0.1:8081. Empty: the server block has a location @NAME_origin.
	Origin string
	MaxAge time.Duration   // 0 means staticify.DefaultMaxAge
	Query  staticify.Query // as it is for the ranking
	// Cookies are those that are ignored, by name or by its beginning and a star; nil means staticify.DefaultCookies.
	Cookies []string
	// OwnHash leaves map_hash_bucket_size and map_hash_max_size to the main configuration, which nginx wants where it
	// sets them already. 256 and 65536 do for pages with paths of less than 200 bytes.
	OwnHash bool
}

const maxNameLen = 64

// port is the end of a Host that nginx's $host does not have.
var port = regexp.MustCompile(`:[0-9]+$`)

var (
	nameSyntax   = regexp.MustCompile(fmt.Sprintf(`^[a-z][a-z0-9_]{0,%d}$`, maxNameLen-1))
	hostSyntax   = regexp.MustCompile(`^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]+)?$`)
	rootSyntax   = regexp.MustCompile(`^/[A-Za-z0-9._/@+-]*$`)
	cookieSyntax = regexp.MustCompile(`^[A-Za-z0-9._~-]+\*?$`)
)

// Validate returns all that is wrong with the configuration.
func (c Config) Validate() error {
	var problems []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf("nginx: "+format, args...))
		}
	}
	want(nameSyntax.MatchString(c.name()), "name %q: want up to 64 lower case letters, digits and underscores", c.Name)
	want(hostSyntax.MatchString(c.Host), "host %q: want a name in lower case, perhaps with a port", c.Host)
	want(c.Scheme == "" || c.Scheme == "http" || c.Scheme == "https", "scheme %q: want http, https or nothing", c.Scheme)
	want(rootSyntax.MatchString(c.Root) && path.Clean(c.Root) == c.Root, "root %q: want an absolute path of letters, digits and ._/@+-", c.Root)
	if c.Origin != "" {
		u, err := url.Parse(c.Origin)
		want(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsAny(u.Host, "$ ;{}\"'\\") &&
			strings.TrimSuffix(c.Origin, "/") == u.Scheme+"://"+u.Host,
			"origin %q: want a URL without a path, http://127.0.0.1:8081", c.Origin)
	}
	for _, p := range c.cookies() {
		want(cookieSyntax.MatchString(p), "cookie %q: want a name, or its beginning and a star", p)
	}
	if err := c.Query.Validate(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (c Config) name() string {
	if c.Name == "" {
		return "staticify"
	}
	return c.Name
}

func (c Config) cookies() []string {
	if c.Cookies == nil {
		return staticify.DefaultCookies()
	}
	return c.Cookies
}

func (c Config) maxAge() time.Duration {
	if c.MaxAge == 0 {
		return staticify.DefaultMaxAge
	}
	return c.MaxAge
}

// Width implements [staticify.Layout].
func (c Config) Width() time.Duration { return staticify.BucketWidth(c.maxAge()) }

// Bucket implements [staticify.Layout]: the first digits of the seconds since 1970, so that a server whose files are
// not replaced finds none, without being told.
func (c Config) Bucket(start time.Time) string {
	return fmt.Sprint(start.Unix() / int64(c.Width()/time.Second))
}

// HTTP returns what belongs into nginx's http block. It changes when a page comes whose headers differ from those of
// most pages, and the server then has to be reloaded; until then it does not find that page.
func (c Config) HTTP(t Table) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	w := &writer{name: c.name()}
	w.line("# Written by staticify for %s: changes are lost.", c.Host)
	if !c.OwnHash {
		w.line("map_hash_max_size 65536;\nmap_hash_bucket_size %d;", t.bucketSize())
	}
	w.line("# A dollar sign in a value.\ngeo $NAME_dollar { default \"$\"; }")
	c.target(w)
	c.gate(w)
	t.http(w)
	return w.bytes()
}

// target computes the beginning of the file's name from the request target as it was sent. Nothing but a file of
// exactly that name is ever looked for; what no rule covers has no name.
func (c Config) target(w *writer) {
	w.line("# The file's name, from the request target as it was sent.")
	w.line("map $request_uri $NAME_file {\n\tdefault /.off;")
	w.line("\t%s \"${NAME_p}^\";", regex(`^`+w.group("p", pcre.Path)+`$`))
	if ignored := pcre.Ignored(c.Query); ignored != "" {
		w.line("\t%s \"${NAME_p}^\";", regex(`^`+w.group("p", pcre.Path)+`\?`+ignored+`$`))
	}
	if before, kept, after := pcre.Kept(c.Query); kept != "" {
		w.line("\t%s \"${NAME_p}^${NAME_q}^\";", regex(`^`+w.group("p", pcre.Path)+`\?`+before+w.group("q", kept)+after+`$`))
	}
	w.line("}")
}

// gate computes the directory: that of the present time, or one that never exists.
func (c Config) gate(w *writer) {
	host, scheme := regexp.QuoteMeta(c.Host), `https?`
	if c.Scheme != "" {
		scheme = c.Scheme
	}
	last := `\d`
	if c.Width() == time.Second {
		last = ""
	}
	w.line("# Only with cookies that change no page.")
	w.line("map $http_cookie $NAME_cookie {\n\tdefault off;\n\t\"\" on;\n\t%s on;\n}", regex(pcre.Cookies(c.cookies())))
	w.line("# Only GET and HEAD, by nobody in particular, for this host, without a body and without If-Match.")
	w.line("map \"$request_method|$http_authorization|$content_length$http_transfer_encoding$http_if_match$http_if_unmodified_since|$host $http_host $scheme $NAME_cookie\" $NAME_open {")
	w.line("\tdefault off;\n\t%s on;\n}", regex(`^(?:GET|HEAD)\|\|\|`+regexp.QuoteMeta(port.ReplaceAllString(c.Host, ""))+` `+host+` `+scheme+` on$`))
	w.line("# The directory of this time: when nobody makes new ones there is none, and the origin answers.")
	w.line("map \"$NAME_open $msec\" $NAME_time {\n\tdefault .off;\n\t%s $NAME_t;\n}", regex(`^on `+w.group("t", `\d+`)+last+`\.`))
	w.line("# Compressed files, for those who take them.")
	w.line("map $http_accept_encoding $NAME_coded {\n\tdefault \"\";\n\t%s br.;\n\t%s gzip.;\n}", regex(pcre.Accepts("br")), regex(pcre.Accepts("gzip")))
	w.line("map $uri $NAME_coding {\n\tdefault \"\";\n\t%s $NAME_c;\n}", regex(`\^\.`+w.group("c", "br|gzip")+`\.h[0-9a-f]+$`))
	w.line("# The origin wants a Host from everybody, also from who sent none, as probes do.")
	w.line("map $http_host $NAME_host {\n\tdefault $http_host;\n\t\"\" %s;\n}", quote(c.Host))
}

// Server returns what belongs into the site's server block, in place of its "location /".
func (c Config) Server(t Table) ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	w := &writer{name: c.name()}
	w.line("# Written by staticify for %s: changes are lost.", c.Host)
	w.line("location / {\n\troot %s;", c.Root)
	w.line("\ttry_files \"/current/$NAME_time$NAME_file.$NAME_coded$NAME_class\" \"/current/$NAME_time$NAME_file.$NAME_class\" @NAME_origin;")
	w.line("\t# A page that went between being found and being opened.\n\terror_page 404 = @NAME_origin;")
	w.line("\tgzip off;\n\tcharset off;\n\texpires off;\n\tetag on;\n\tmax_ranges 0;\n\tdisable_symlinks off;")
	w.line("\t# A file that is kept open serves nobody after its time, which is in its name.")
	w.line("\topen_file_cache max=200 inactive=10s;\n\topen_file_cache_valid 1s;\n\topen_file_cache_min_uses 2;\n\topen_file_cache_errors off;")
	w.line("\tadd_header Content-Encoding $NAME_coding;\n\tadd_header Vary Accept-Encoding;")
	w.line("\t# RFC 9211: who answered.\n\tadd_header Cache-Status \"staticify; hit\";")
	t.server(w)
	w.line("}")
	if c.Origin != "" {
		c.origin(w)
	}
	return w.bytes()
}

func (c Config) origin(w *writer) {
	w.line("location @NAME_origin {\n\tproxy_pass %s;", strings.TrimSuffix(c.Origin, "/"))
	w.line("\tproxy_http_version 1.1;\n\tproxy_set_header Connection \"\";\n\tproxy_set_header Host $NAME_host;")
	w.line("\tproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
	if c.Scheme != "" {
		w.line("\tproxy_set_header X-Forwarded-Proto $scheme;")
	}
	w.line("}")
}
