// Package pcre writes the rules of keys and cookies as regular expressions for the web servers. They accept no request
// whose key is another one, and may refuse what [staticify.Query.Canonical] accepts: then the origin answers. No
// expression holds a quotation mark or an apostrophe, which the servers' configurations cannot all quote.
package pcre

import (
	"regexp"
	"strings"

	"github.com/berryrack/berryrack/staticify"
)

const (
	nameByte = `[A-Za-z0-9._~-]`
	keptByte = `(?:[A-Za-z0-9._~+-]|%[0-9A-Fa-f]{2})`
	anyByte  = `[!\x22$%\x27-~]` // printable, neither # nor &
	segment  = `(?!\.\.?(?:[/? ]|$))[A-Za-z0-9._~!$&\x27()*+,;=:@%-]+`
)

// Path matches an absolute path without empty and dot segments. Escapes stay as they are sent: a file's name has the
// same ones.
const Path = `/(?:` + segment + `/)*(?:` + segment + `)?`

// Ignored matches a query of ignored parameters alone; "" when none is ignored.
func Ignored(q staticify.Query) string {
	one := ignored(q)
	if one == "" {
		return ""
	}
	return one + `(?:&` + one + `)*`
}

// Kept returns what stands before, in and after the kept part of a query; "" when none is kept. Ignored parameters
// between kept ones are not matched.
func Kept(q staticify.Query) (before, kept, after string) {
	if len(q.Keep) == 0 {
		return "", "", ""
	}
	one := names(q.Keep) + `(?:=` + keptByte + `*)?`
	kept = one + `(?:&` + one + `)*`
	if ign := ignored(q); ign != "" {
		before, after = `(?:`+ign+`&)*`, `(?:&`+ign+`)*`
	}
	return before, kept, after
}

// ignored matches one ignored parameter. Keep wins where both lists match.
func ignored(q staticify.Query) string {
	patterns := q.Ignore
	if patterns == nil {
		patterns = staticify.DefaultIgnore()
	}
	if len(patterns) == 0 {
		return ""
	}
	not := ""
	if len(q.Keep) > 0 {
		not = `(?!` + names(q.Keep) + `(?:[=& ]|$))`
	}
	return not + names(patterns) + `(?:=` + anyByte + `*)?`
}

// Cookies matches a Cookie header in which every cookie is on the list, and an empty one.
func Cookies(patterns []string) string {
	if len(patterns) == 0 {
		return `^$`
	}
	one := names(patterns) + `=[^;,\s]*`
	return `^(?:` + one + `(?:;\s*` + one + `)*;?\s*)?$`
}

// Accepts matches an Accept-Encoding header that takes a coding (RFC 9110, section 12.5.3); "*" alone is not believed.
func Accepts(coding string) string {
	return `(?i)(?:^|,)\s*` + coding + `\s*(?:;\s*q=(?:1(?:\.0*)?|0\.[0-9]*[1-9][0-9]*)\s*)?(?:,|$)`
}

// names matches one of the names that the patterns stand for.
func names(patterns []string) string {
	alternatives := make([]string, len(patterns))
	for i, p := range patterns {
		start, open := strings.CutSuffix(p, "*")
		alternatives[i] = regexp.QuoteMeta(start)
		if open {
			alternatives[i] += nameByte + `*`
		}
	}
	return `(?:` + strings.Join(alternatives, "|") + `)`
}
