package ifupdown

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// blanks are what ifupdown takes for white space.
const blanks = " \t\r\v\f"

// Parse reads a file. Its problems are one error, a line for each with the
// line's number; they are those for which ifupdown refuses a file for its form.
func Parse(text string) (File, error) {
	p := parser{rest: text}
	for p.next() {
		if err := p.add(); err != nil {
			p.problems = append(p.problems, fmt.Errorf("ifupdown: line %d: %w", p.at, err))
		}
	}
	p.file.Trailer = p.comment
	if err := errors.Join(p.problems...); err != nil {
		return File{}, err
	}
	return p.file, nil
}

type parser struct {
	rest     string // what is not read yet
	line     int    // how many lines are read
	file     File
	problems []error

	// The line that was read last, with those that continue it.
	raw     string
	at      int    // the number of its first line
	comment string // comments and blank lines before it
	open    bool   // whether it can be an option of the last stanza
}

// next reads a line that says something. A comment is never continued.
func (p *parser) next() bool {
	for p.rest != "" {
		raw := p.physical()
		if blank := strings.Trim(raw, blanks+"\n"); blank == "" || blank[0] == '#' {
			p.comment += raw
			continue
		}
		p.at = p.line
		for continued(raw) && p.rest != "" {
			raw += p.physical()
		}
		if strings.Trim(join(raw), blanks) == "" {
			p.comment += raw
			continue
		}
		p.raw = raw
		return true
	}
	return false
}

// physical takes one line with its line feed, if it has one.
func (p *parser) physical() string {
	p.line++
	end := strings.IndexByte(p.rest, '\n') + 1
	if end == 0 {
		end = len(p.rest)
	}
	raw := p.rest[:end]
	p.rest = p.rest[end:]
	return raw
}

// continued reports whether the last of the lines ends with a backslash.
func continued(raw string) bool { return strings.HasSuffix(strings.TrimSuffix(raw, "\n"), `\`) }

// join makes one line of those that are continued.
func join(raw string) string {
	line := strings.ReplaceAll(strings.TrimSuffix(raw, "\n"), "\\\n", "")
	return strings.TrimSuffix(line, `\`)
}

// fields returns the words of a line.
func fields(line string) []string {
	return strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(blanks, c) })
}

// cutWord returns the first word of a line and what follows it.
func cutWord(line string) (word, rest string) {
	line = strings.Trim(line, blanks)
	end := strings.IndexAny(line, blanks)
	if end < 0 {
		return line, ""
	}
	return line[:end], strings.TrimLeft(line[end:], blanks)
}

// keywords begin a stanza of one line.
var keywords = []string{"auto", "no-auto-down", "no-scripts", "rename", "source", "source-directory"}

// add makes a stanza or an option of the line that was read.
func (p *parser) add() error {
	line := join(p.raw)
	words := fields(line)
	switch keyword, args := words[0], words[1:]; {
	case keyword == "iface" || keyword == "mapping":
		p.begin(words, true)
		if keyword == "iface" {
			return ifaceProblem(args)
		}
	case slices.Contains(keywords, keyword) || strings.HasPrefix(keyword, "allow-") && keyword != "allow-":
		p.begin(words, false)
	case !p.open:
		return fmt.Errorf("%q is no stanza, and an option only after iface or mapping", keyword)
	default:
		return p.option(line)
	}
	return nil
}

func (p *parser) begin(words []string, open bool) {
	p.file.Stanzas = append(p.file.Stanzas, Stanza{Comment: p.comment, Keyword: words[0], Args: words[1:], Line: p.at, raw: p.raw})
	p.comment, p.open = "", open
}

func (p *parser) option(line string) error {
	stanza := &p.file.Stanzas[len(p.file.Stanzas)-1]
	name, value := cutWord(line)
	stanza.Options = append(stanza.Options, Option{Comment: p.comment, Name: name, Value: value, raw: p.raw})
	p.comment = ""
	switch {
	case value == "":
		return fmt.Errorf("option %q has no value", name)
	case stanza.Keyword == "mapping" && name != "script" && name != "map":
		return fmt.Errorf("%q is no option of a mapping: script and map are", name)
	case stanza.Keyword == "mapping" && name == "script" && len(stanza.Values(name)) > 1:
		return errors.New("a second script in a mapping")
	}
	return nil
}

// ifaceProblem reports what is wrong with the words after iface: a name, then
// a family and a method, or what it inherits from and so has them from there.
func ifaceProblem(args []string) error {
	if len(args) == 0 {
		return errors.New("iface has no name")
	}
	words, inherits := 0, false
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		if rest[0] != "inherits" {
			words++
			continue
		}
		if len(rest) == 1 {
			return fmt.Errorf("iface %s inherits nothing: want the name of another iface", args[0])
		}
		inherits, rest = true, rest[1:]
	}
	if words < 2 && !inherits {
		return fmt.Errorf("iface %s: want a family and a method, as in \"inet static\", or inherits", args[0])
	}
	return nil
}
