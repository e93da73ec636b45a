package zone

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	// maxInclude is how deep files may include others.
	maxInclude = 10
	// minChunk is the least text that is worth a parser of its own.
	minChunk = 256 << 10
)

// ReadFile reads a zone from a master file. The names in its $INCLUDE lines are
// relative to its directory, and cannot leave it. What is odd but no error comes back as warnings,
// also beside errors; err holds a [*Problem] for each error.
func ReadFile(path string, origin wire.Name) (z *Zone, warnings []*Problem, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("zone: %w", err)
	}
	return parse(text, path, origin, os.DirFS(filepath.Dir(path)))
}

// Parse reads a zone from the text of a master file, called name in problems.
// It is as [ReadFile], but refuses $INCLUDE.
func Parse(text []byte, name string, origin wire.Name) (z *Zone, warnings []*Problem, err error) {
	return parse(text, name, origin, nil)
}

func parse(text []byte, name string, origin wire.Name, files fs.FS) (*Zone, []*Problem, error) {
	size := max(minChunk, len(text)/(2*runtime.GOMAXPROCS(0))+1)
	chunks := split(text, size, parser{zone: origin, origin: origin, file: name, files: files})
	var group sync.WaitGroup
	batches := make([]*batch, len(chunks))
	for i := range chunks {
		batches[i] = &chunks[i].parser.batch
		group.Go(func() {
			chunks[i].parser.parse(chunks[i].text, chunks[i].line)
			batches[i].sort()
		})
	}
	group.Wait()
	return assemble(origin, batches)
}

// chunk is a part of a master file that starts with an owner's name, and the
// parser in the state that the text before it leaves.
type chunk struct {
	text   []byte
	line   int
	parser parser
}

// split cuts text where entries start, into chunks of about the given size. What
// follows an $INCLUDE stays whole, as the file may have a $TTL that holds on.
func split(text []byte, size int, state parser) []chunk {
	chunks := []chunk{{line: 1, parser: state}}
	start, depth, line, whole := 0, 0, 1, false
	for at := 0; at < len(text); line++ {
		end := len(text)
		if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
			end = at + n + 1
		}
		if !whole && depth == 0 && at-start >= size && strings.IndexByte(" \t\r\n;$()\"", text[at]) < 0 {
			chunks[len(chunks)-1].text = text[start:at]
			chunks = append(chunks, chunk{line: line, parser: state})
			start = at
		}
		if depth == 0 && text[at] == '$' {
			entry := wire.Scanner{Text: text[at:end]}
			if ok, err := entry.Next(); ok && err == nil {
				_ = state.setDefault(entry.Words) // reported by the chunk that has the line
				whole = whole || bytes.EqualFold(entry.Words[0].Text, []byte("$INCLUDE"))
			}
		}
		depth = depthAfter(text[at:end], depth)
		at = end
	}
	chunks[len(chunks)-1].text = text[start:]
	return chunks
}

// depthAfter returns how many parentheses are open after a line.
func depthAfter(line []byte, depth int) int {
	if bytes.IndexByte(line, '(') < 0 && (depth == 0 || bytes.IndexByte(line, ')') < 0) {
		return depth
	}
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			return depth
		case c == '(':
			depth++
		case c == ')':
			depth = max(0, depth-1)
		}
	}
	return depth
}

// parser turns the entries of a master file into records.
type parser struct {
	batch
	zone  wire.Name
	file  string
	files fs.FS
	depth int

	origin wire.Name
	owner  *owner
	// defaultTTL is from $TTL (RFC 2308 section 4).
	defaultTTL uint32
	hasDefault bool

	reader wire.Reader
	name   []byte
	arena  arena
}

func (p *parser) parse(text []byte, line int) {
	entries := wire.Scanner{Text: text, Line: line}
	if p.depth == 0 {
		p.records = make([]record, 0, bytes.Count(text, []byte{'\n'})+1)
	}
	for {
		more, err := entries.Next()
		if !more {
			return
		}
		if err == nil {
			err = p.entry(entries.Words, entries.Blank, entries.First)
		}
		var problem *Problem
		switch {
		case err == nil:
		case errors.As(err, &problem):
			p.errors.add(problem)
		default:
			p.errors.add(&Problem{File: p.file, Line: entries.First, Text: err.Error()})
		}
	}
}

func (p *parser) entry(tokens []wire.Word, blank bool, line int) error {
	if !blank && !tokens[0].Quoted && tokens[0].Text[0] == '$' {
		return p.directive(tokens, line)
	}
	if !blank {
		if err := p.setOwner(tokens[0].Text); err != nil {
			return fmt.Errorf("owner %q: %w", tokens[0].Text, err)
		}
		tokens = tokens[1:]
	}
	if p.owner == nil {
		return errors.New("no owner name before this line")
	}
	ttl, hasTTL, t, rest, err := head(tokens)
	if err != nil {
		return err
	}
	p.reader.Words, p.reader.Origin = rest, p.origin
	buf := append(p.name[:0], 0, 0)
	buf, err = p.reader.Append(buf, t)
	p.name = buf
	if err != nil {
		return &Problem{File: p.file, Line: line, Owner: p.owner.name, Type: t, Text: err.Error()}
	}
	rdata := append(p.arena.take(len(buf)), buf...)
	rdata[0], rdata[1] = byte((len(buf)-2)>>8), byte(len(buf)-2)
	r := record{owner: p.owner, typ: t, ttl: ttl, line: uint32(line), rdata: rdata}
	if !hasTTL {
		p.setTTL(&r)
	} else {
		p.lastTTL, p.hasLast = ttl, true
	}
	p.records = append(p.records, r)
	return nil
}

// head reads TTL and class, which may be left out and come in either order, and
// the type.
func head(tokens []wire.Word) (ttl uint32, hasTTL bool, t wire.Type, rest []wire.Word, err error) {
	hasClass := false
	for len(tokens) > 0 && !tokens[0].Quoted {
		word := tokens[0].Text
		if !hasTTL && word[0]-'0' < 10 {
			if ttl, hasTTL = wire.ReadTTL(word); !hasTTL {
				return 0, false, 0, nil, fmt.Errorf("bad TTL %q", word)
			}
			// A TTL with its highest bit set counts as zero (RFC 2181 section 8).
			if ttl > 1<<31-1 {
				ttl = 0
			}
			tokens = tokens[1:]
			continue
		}
		if class, ok := dns.StringToClass[strings.ToUpper(string(word))]; ok && !hasClass && class < dns.ClassNONE {
			if class != dns.ClassINET {
				return 0, false, 0, nil, fmt.Errorf("class %s is not IN", word)
			}
			hasClass = true
			tokens = tokens[1:]
			continue
		}
		t, ok := wire.ReadType(word)
		if !ok || !t.IsData() {
			return 0, false, 0, nil, fmt.Errorf("unknown type %q", word)
		}
		return ttl, hasTTL, t, tokens[1:], nil
	}
	return 0, false, 0, nil, errors.New("no type")
}

// setTTL gives a record without TTL that of $TTL, or the last one stated (RFC
// 1035 section 5.1), which may be in the text before this parser's. An SOA
// record with none before it takes its own minimum.
func (p *parser) setTTL(r *record) {
	switch {
	case p.hasDefault:
		r.ttl = p.defaultTTL
	case p.hasLast:
		r.ttl = p.lastTTL
	case r.typ == wire.Type(dns.TypeSOA):
		minimum := r.rdata[len(r.rdata)-4:]
		r.ttl = uint32(minimum[0])<<24 | uint32(minimum[1])<<16 | uint32(minimum[2])<<8 | uint32(minimum[3])
		p.lastTTL, p.hasLast = r.ttl, true
		p.warnings.add(r.problem("no TTL before it: the minimum of the SOA record is used"))
	default:
		r.ttl, p.inherits = inheritTTL, true
	}
}

func (p *parser) setOwner(text []byte) error {
	octets, err := wire.AppendWire(p.name[:0], text, p.origin)
	p.name = octets
	if err != nil {
		return err
	}
	if p.owner != nil && string(octets) == string(p.owner.name) && p.owner.file == p.file {
		return nil
	}
	n := len(octets)
	p.name = wire.AppendKey(octets, string(octets))
	both := string(p.name)
	p.owner = &owner{name: wire.Name(both[:n]), key: both[n:], file: p.file}
	return nil
}

// setDefault obeys $ORIGIN and $TTL, and ignores what is neither.
func (p *parser) setDefault(tokens []wire.Word) error {
	directive := strings.ToUpper(string(tokens[0].Text))
	if directive != "$ORIGIN" && directive != "$TTL" {
		return nil
	}
	if len(tokens) != 2 {
		return fmt.Errorf("%s wants one word", directive)
	}
	if directive == "$ORIGIN" {
		octets, err := wire.AppendWire(nil, tokens[1].Text, p.origin)
		if err != nil {
			return fmt.Errorf("$ORIGIN %q: %w", tokens[1].Text, err)
		}
		p.origin = wire.Name(octets)
		return nil
	}
	ttl, ok := wire.ReadTTL(tokens[1].Text)
	if !ok || ttl > 1<<31-1 {
		return fmt.Errorf("bad TTL %q", tokens[1].Text)
	}
	p.defaultTTL, p.hasDefault = ttl, true
	return nil
}

func (p *parser) directive(tokens []wire.Word, line int) error {
	switch directive := strings.ToUpper(string(tokens[0].Text)); directive {
	case "$ORIGIN", "$TTL":
		return p.setDefault(tokens)
	case "$INCLUDE":
		return p.include(tokens[1:])
	case "$GENERATE":
		return p.generate(tokens, line)
	default:
		return fmt.Errorf("unknown directive %q", tokens[0].Text)
	}
}

// include reads another file, whose origin and last owner do not come back (RFC
// 1035 section 5.1), but whose $TTL does, as with BIND.
func (p *parser) include(arguments []wire.Word) error {
	switch {
	case len(arguments) == 0 || len(arguments) > 2:
		return errors.New("$INCLUDE wants a file and perhaps an origin")
	case p.files == nil:
		return errors.New("$INCLUDE is only for zones that are read from a file")
	case p.depth >= maxInclude:
		return fmt.Errorf("$INCLUDE goes deeper than %d files", maxInclude)
	}
	name := filepath.ToSlash(filepath.Clean(string(arguments[0].Text)))
	if !fs.ValidPath(name) {
		return fmt.Errorf("$INCLUDE %q leads out of the directory of the zone file: name a file in it", arguments[0].Text)
	}
	text, err := fs.ReadFile(p.files, name)
	if err != nil {
		return fmt.Errorf("$INCLUDE: %w", err)
	}
	file, origin, owner := p.file, p.origin, p.owner
	if len(arguments) == 2 {
		octets, err := wire.AppendWire(nil, arguments[1].Text, p.origin)
		if err != nil {
			return fmt.Errorf("$INCLUDE: origin %q: %w", arguments[1].Text, err)
		}
		p.origin = wire.Name(octets)
	}
	p.file = filepath.Join(filepath.Dir(p.file), name)
	p.depth++
	p.parse(text, 1)
	p.depth--
	p.file, p.origin, p.owner = file, origin, owner
	return nil
}

// maxGenerate is how many records one $GENERATE line may make.
const maxGenerate = 1 << 16

// generate leaves BIND's $GENERATE to package dns, but for the TTL, of which that
// knows nothing. A line after it that has no owner has that of the line before it.
func (p *parser) generate(tokens []wire.Word, line int) error {
	if len(tokens) < 4 {
		return errors.New("$GENERATE wants a range, an owner, a type and data")
	}
	ttl, hasTTL, t, rest, err := head(tokens[3:])
	if err != nil {
		return fmt.Errorf("$GENERATE: %w", err)
	}
	text := fmt.Sprintf("$GENERATE %s %s %d IN %s%s\n", tokens[1].Text, tokens[2].Text, ttl, t, generatedData(rest))
	records := dns.NewZoneParser(strings.NewReader(text), p.origin.String(), "")
	owner := p.owner
	defer func() { p.owner = owner }()
	for n := 0; ; n++ {
		rr, ok := records.Next()
		if !ok {
			break
		}
		if n == maxGenerate {
			return fmt.Errorf("$GENERATE makes more than %d records", maxGenerate)
		}
		if err := p.add(rr); err != nil {
			return err
		}
		made := &p.records[len(p.records)-1]
		if made.line = uint32(line); !hasTTL {
			p.setTTL(made)
		}
	}
	if err := records.Err(); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "dns: "))
	}
	return nil
}

// generatedData returns the text of a $GENERATE line's data, with a blank before
// each word. If that is one quoted word, the data are what is in the quotes: BIND
// takes data of more than one word in no other way.
func generatedData(words []wire.Word) string {
	if len(words) == 1 && words[0].Quoted {
		return " " + strings.ReplaceAll(string(words[0].Text), `\"`, `"`)
	}
	var b strings.Builder
	for _, word := range words {
		format := " %s"
		if word.Quoted {
			format = ` "%s"`
		}
		fmt.Fprintf(&b, format, word.Text)
	}
	return b.String()
}

// arena hands out memory that is never freed alone.
type arena struct{ block []byte }

// The first block of an arena is small, as most zones are; each is twice as large
// as the one before.
const firstBlock, arenaBlock = 1 << 10, 64 << 10

// take returns an empty slice with room for n octets.
func (a *arena) take(n int) []byte {
	if n > cap(a.block)-len(a.block) {
		a.block = make([]byte, 0, max(n, firstBlock, min(arenaBlock, 2*cap(a.block))))
	}
	start := len(a.block)
	a.block = a.block[:start+n]
	return a.block[start : start : start+n]
}
