package ifupdown

import (
	"fmt"
	"slices"
	"strings"
)

// File is an interfaces(5) file. The zero File is empty.
type File struct {
	// Stanzas are in the file's order, which counts: several iface stanzas
	// of one name add up, and what they inherit from must come before.
	Stanzas []Stanza
	// Trailer is the comments and blank lines after the last stanza.
	Trailer string
}

// Stanza is an iface or mapping with its options, or a single line: auto,
// allow-hotplug, no-auto-down, no-scripts, rename, source, source-directory.
type Stanza struct {
	// Comment is the comments and blank lines before the stanza, whole lines.
	Comment string
	// Keyword is the stanza's first word.
	Keyword string
	// Args are the words after it: for an iface its name, family, method,
	// "inherits" and what from.
	Args []string
	// Options are the further lines of an iface or mapping, in order.
	Options []Option
	// Line is where the stanza began when it was parsed, counting from 1.
	Line int

	raw string
}

// Option is one line of an iface or mapping. A name can be there more than
// once: the values of up and its like are commands to run in that order.
type Option struct {
	// Comment is the comments and blank lines before the option, whole lines.
	Comment string
	// Name is the first word, and Value the rest, as one line.
	Name, Value string

	raw string
}

// Values returns what the options of the name are set to, in order.
func (s Stanza) Values(name string) []string {
	var values []string
	for _, option := range s.Options {
		if option.Name == name {
			values = append(values, option.Value)
		}
	}
	return values
}

// Set makes value the only one of the name, in place of the first that there
// is, or else at the end.
func (s *Stanza) Set(name, value string) {
	at := slices.IndexFunc(s.Options, func(o Option) bool { return o.Name == name })
	if at < 0 {
		s.Options = append(s.Options, Option{Name: name, Value: value})
		return
	}
	s.Options[at].Value = value
	rest := slices.DeleteFunc(s.Options[at+1:], func(o Option) bool { return o.Name == name })
	s.Options = s.Options[:at+1+len(rest)]
}

// Format returns the file's text. Stanzas and options that are as they were
// parsed are written as they were read, others with one tab before an option
// and one blank between words. It is an error if a word or value cannot be
// written, as one with a line feed.
func (f File) Format() (string, error) {
	var b strings.Builder
	for _, stanza := range f.Stanzas {
		writeLines(&b, stanza.Comment)
		writeLines(&b, stanza.text())
		for _, option := range stanza.Options {
			writeLines(&b, option.Comment)
			writeLines(&b, option.text())
		}
	}
	writeLines(&b, f.Trailer)
	text := b.String()
	return text, f.readsBack(text)
}

// writeLines writes text that begins a line.
func writeLines(b *strings.Builder, text string) {
	if so := b.String(); text != "" && so != "" && !strings.HasSuffix(so, "\n") {
		b.WriteByte('\n')
	}
	b.WriteString(text)
}

func (s Stanza) text() string {
	words := append([]string{s.Keyword}, s.Args...)
	if s.raw != "" && slices.Equal(fields(join(s.raw)), words) {
		return s.raw
	}
	return strings.Join(words, " ") + "\n"
}

func (o Option) text() string {
	if name, value := cutWord(join(o.raw)); o.raw != "" && name == o.Name && value == o.Value {
		return o.raw
	}
	return "\t" + o.Name + " " + o.Value + "\n"
}

// readsBack reports the first part of the file that text does not say.
func (f File) readsBack(text string) error {
	read, err := Parse(text)
	if err != nil {
		return fmt.Errorf("ifupdown: what would be written cannot be read: %w", err)
	}
	for i, want := range f.Stanzas {
		if i >= len(read.Stanzas) || !same(want, read.Stanzas[i]) {
			return fmt.Errorf("ifupdown: stanza %q: a word or a value in it cannot be written", strings.Join(append([]string{want.Keyword}, want.Args...), " "))
		}
	}
	if len(read.Stanzas) != len(f.Stanzas) || strings.TrimSuffix(read.Trailer, "\n") != strings.TrimSuffix(f.Trailer, "\n") {
		return fmt.Errorf("ifupdown: trailer %q is not all comments", f.Trailer)
	}
	return nil
}

// same reports whether two stanzas say the same in the same words.
func same(a, b Stanza) bool {
	return line(a.Comment) == line(b.Comment) && a.Keyword == b.Keyword && slices.Equal(a.Args, b.Args) &&
		slices.EqualFunc(a.Options, b.Options, func(a, b Option) bool {
			return line(a.Comment) == line(b.Comment) && a.Name == b.Name && a.Value == b.Value
		})
}

// line ends text with a line feed, unless there is none.
func line(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}
