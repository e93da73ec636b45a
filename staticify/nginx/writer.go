package nginx

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// maxToken is what nginx takes as one word of its configuration, with some room left.
const maxToken = 3500

// writer writes a configuration. NAME in a format is the site's name, and in what is formatted it is just a word.
type writer struct {
	bytes.Buffer
	name string
}

func (w *writer) line(format string, args ...any) {
	for i, a := range args {
		if r, ok := a.(regex); ok {
			args[i] = r.quoted()
		}
	}
	fmt.Fprintf(w, namePlace.ReplaceAllString(format, w.name), args...)
	w.WriteByte('\n')
}

// group is a group of a regular expression, which is then a variable of the site's.
func (w *writer) group(name, pattern string) string {
	return "(?<" + w.name + "_" + name + ">" + pattern + ")"
}

// namePlace is where a variable or a location gets the site's name.
var namePlace = regexp.MustCompile(`\bNAME\B`)

func (w *writer) bytes() ([]byte, error) {
	for line := range strings.Lines(w.String()) {
		if len(line) > maxToken {
			return nil, fmt.Errorf("nginx: a line of %d bytes, and nginx takes none of more than %d: use fewer or shorter patterns in the one that begins %.60q", len(line), maxToken, line)
		}
	}
	return w.Bytes(), nil
}

// regex is the key of a map that is a regular expression; it is case sensitive.
type regex string

func (r regex) quoted() string { return quote("~" + string(r)) }

// value quotes a value of a map in which nothing is a variable.
func (w *writer) value(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `${`+w.name+`_dollar}`).Replace(s)
	return `"` + s + `"`
}

// written is how long a value is at most when it is quoted so.
func written(s string) int {
	return len(s) + strings.Count(s, `"`) + strings.Count(s, `\`) + strings.Count(s, "$")*(maxNameLen+len("${_dollar}"))
}

// quote quotes a word in which nginx looks for no variables.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
