// Package ifupdown reads, changes and writes interfaces(5) files of ifupdown.
package ifupdown

// File is an interfaces(5) file. The zero File is empty.
type File struct {
	// Stanzas are in the file's order, which counts: several iface stanzas
	// of one name add up.
	Stanzas []Stanza
	// Trailer is the comments and blank lines after the last stanza.
	Trailer string
}

// Stanza is one stanza of a file: an iface or mapping with its options, or a
// single line as auto, allow-hotplug, source or rename.
type Stanza struct {
	// Comment is the comments and blank lines before the stanza.
	Comment string
	// Keyword is the stanza's first word: iface, mapping, auto, source, ...
	Keyword string
	// Args are the words after it: name, family, method, "inherits", name.
	Args []string
	// Options are the lines of an iface or mapping, in order.
	Options []Option
	// Line is where the stanza begins in the file that it was parsed from.
	Line int

	raw string
}

// Option is one line of an iface or mapping stanza.
type Option struct {
	Name, Value string
}

// Parse reads a file. All its problems are one error, a line for each, with
// the number of the line.
func Parse(text string) (File, error) { return File{}, nil }

// String returns the file's text. A stanza that is as it was parsed is written
// as it was, to the byte.
func (f File) String() string { return "" }
