package munin

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxFileSize is the largest file that [Parse] reads, in bytes.
const MaxFileSize = 64 << 20

// File is one file of munin's configuration, with its comments, its blanks and
// whatever else stands in it.
type File struct {
	// Name is the path that problems name.
	Name       string
	lines      []string // with their line ends
	statements []statement
}

// statement is a section's head, or a setting in the section before it.
type statement struct {
	first, last int // lines, from 0; last is past the end
	head        bool
	text        string // of a head: what stands in the brackets
	key, value  string
	bare        bool
}

// Parse reads a file of munin's configuration. Any text is one: only a read
// error or more than [MaxFileSize] makes Parse fail. [Decode] says what is
// wrong with it.
func Parse(name string, r io.Reader) (*File, error) {
	limited := &io.LimitedReader{R: r, N: MaxFileSize + 1}
	lines := bufio.NewReader(limited)
	f := &File{Name: name}
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			f.lines = append(f.lines, line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("munin: read %s: %w", name, err)
		}
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("munin: read %s: more than %d bytes", name, MaxFileSize)
	}
	f.scan()
	return f, nil
}

// ParseFile is [Parse] for a file's path.
func ParseFile(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("munin: %w", err)
	}
	defer r.Close()
	return Parse(path, r)
}

// WriteTo writes the file as it was read, with what [File.Update] changed.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, line := range f.lines {
		m, err := io.WriteString(w, line)
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Bytes returns what WriteTo writes.
func (f *File) Bytes() []byte { return []byte(strings.Join(f.lines, "")) }

// scan finds the statements in the lines, as munin-update does.
func (f *File) scan() {
	f.statements = nil
	continued, first := "", 0
	for i, line := range f.lines {
		line = trim(stripComment(line))
		if strings.HasSuffix(line, `\`) {
			if continued == "" {
				first = i
			}
			continued += line[:len(line)-1]
			continue
		}
		if isTrue(continued) {
			line, continued = continued+line, ""
		} else {
			first = i
		}
		if line != "" {
			f.statements = append(f.statements, newStatement(line, first, i+1))
		}
	}
}

func newStatement(line string, first, last int) statement {
	s := statement{first: first, last: last}
	if text, ok := cutBrackets(line); ok {
		s.head, s.text = true, text
		return s
	}
	i := strings.IndexAny(line, blanks)
	if i < 0 {
		s.key, s.bare = line, true
		return s
	}
	s.key, s.value = line[:i], strings.TrimLeft(line[i:], blanks)
	return s
}

// cutBrackets returns what stands in a section's brackets.
func cutBrackets(line string) (string, bool) {
	line = strings.TrimRight(line, blanks)
	if len(line) < 3 || line[0] != '[' || line[len(line)-1] != ']' {
		return "", false
	}
	text := line[1 : len(line)-1]
	return text, !strings.Contains(text, "]")
}

// blanks are the bytes that Perl's \s matches.
const blanks = " \t\n\v\f\r"

func trim(s string) string { return strings.Trim(s, blanks) }

// isTrue is Perl's truth: munin forgets to reset a continuation of "0".
func isTrue(s string) bool { return s != "" && s != "0" }

// stripComment cuts from the first # on that no backslash precedes.
func stripComment(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] == '#' && (i == 0 || line[i-1] != '\\') {
			line = line[:i]
		}
	}
	return strings.ReplaceAll(line, `\#`, "#")
}

// load adds the file's settings to t, or says why munin-update would refuse it.
func (f *File) load(t tree, ps *problems) {
	prefix := ""
	for _, s := range f.statements {
		if s.head {
			prefix = s.text
			continue
		}
		at := position{f.Name, s.first + 1}
		groups, host, key, reason := place(prefix, s)
		if reason != "" {
			ps.add(at, prefix, s.key, "%s", reason)
			continue
		}
		section := t.at(groups, host, at)
		section.settings[key] = setting{s.value, s.bare, at, section.settings[key].at}
	}
}

// place returns where a setting belongs, or the reason why munin-update dies of
// it.
func place(prefix string, s statement) (groups []string, host, key, reason string) {
	if !isTrue(s.key) {
		return nil, "", "", "no key: munin reads no file at all because of this line"
	}
	groups, host, key, ok := splitLong(join(prefix, s.key))
	word := lastWord(key)
	switch {
	case !ok || !isKeyword(word):
		return nil, "", "", fmt.Sprintf("%s is no setting of munin's, which reads no file at all because of it: correct or remove the line", printable(word))
	case strings.Trim(host, letters+digits+"-.") != "":
		return nil, "", "", fmt.Sprintf("host %s has an illegal character, because of which munin reads no file at all: use letters, digits, hyphens and dots, here and on the node", printable(host))
	}
	if _, ok := parseBool(s.value); isBoolean(word) && !ok {
		return nil, "", "", fmt.Sprintf("%q is not yes or no: munin reads no file at all because of it", s.value)
	}
	if len(groups) == 0 || !isTrue(host) {
		host = ""
	}
	return groups, host, key, ""
}

// join returns the long form of a key in a section: Group;Host:service.key.
func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	if !strings.Contains(prefix, ";") {
		prefix = impliedGroup(prefix) + ";" + prefix
	}
	switch {
	case strings.HasSuffix(prefix, ";"):
		return prefix + key
	case strings.Contains(prefix, ":"):
		return prefix + "." + key
	}
	return prefix + ":" + key
}

// impliedGroup is the group of a section that names only a host: its domain, or
// its own name.
func impliedGroup(host string) string {
	if _, domain, ok := strings.Cut(host, "."); ok {
		return domain
	}
	return host
}

// splitLong cuts a long key after its last semicolon and its first colon.
func splitLong(long string) (groups []string, host, key string, ok bool) {
	if strings.Contains(long, ";") {
		path, rest, _ := cutLast(long, ";")
		if path == "" {
			return nil, "", "", false
		}
		groups, long = splitPerl(path, ";"), rest
	}
	if host, key, ok = strings.Cut(long, ":"); ok {
		return groups, host, key, true
	}
	return groups, "", long, true
}

// lastWord is what follows the last dot of a key, final dots aside.
func lastWord(key string) string {
	parts := splitPerl(key, ".")
	if len(parts) == 0 {
		return ""
	}
	return parts[len(parts)-1]
}

// splitPerl is strings.Split without the empty parts at the end.
func splitPerl(s, sep string) []string {
	s = strings.TrimRight(s, sep)
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}
