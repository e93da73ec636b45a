package nginx

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/staticify"
)

// A class is a set of headers. Its name is in the names of the files that are to be sent with it, so that a server
// with an older configuration does not find a file rather than send it with other headers.
type class struct {
	Name   string
	Header http.Header
}

// classOf names the headers of a page by their hash.
func classOf(h http.Header) class {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(sum, "%s: %s\n", name, joined(h, name))
	}
	return class{Name: "h" + hex.EncodeToString(sum.Sum(nil))[:12], Header: h}
}

// joined is the field as one line (RFC 9110, section 5.3).
func joined(h http.Header, name string) string { return strings.Join(h.Values(name), ", ") }

// Files implements [staticify.Layout].
func (c Config) Files(p *staticify.Page) ([]staticify.File, error) {
	if err := sendable(p.Header); err != nil {
		return nil, err
	}
	name, class := p.Key.FileName(), classOf(p.Header).Name
	return []staticify.File{
		{Name: name + "." + class},
		{Name: name + ".gzip." + class, Encoding: "gzip"},
		{Name: name + ".br." + class, Encoding: "br"},
	}, nil
}

// sendable refuses headers that cannot stand in a configuration.
func sendable(h http.Header) error {
	if kind := h.Get("Content-Type"); !strings.Contains(kind, "/") { // a block of types takes "include" for itself
		return &staticify.Refusal{Reason: staticify.Unpublishable, Detail: fmt.Sprintf("Content-Type %q", kind)}
	}
	for name := range h {
		value := joined(h, name)
		if written := written(value); written > maxToken/2 {
			return &staticify.Refusal{Reason: staticify.Unpublishable, Detail: fmt.Sprintf("%s of %d bytes in a configuration", name, written)}
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || strings.ContainsFunc(name, notToken) {
			return &staticify.Refusal{Reason: staticify.Unpublishable, Detail: fmt.Sprintf("%s holds a control character", name)}
		}
	}
	return nil
}

func notToken(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
}

// maxRows bounds a Table: pages that left the set keep their row until then, lest they cost a reload when they return.
const maxRows = 10000

// Table says which pages are sent with which headers. The zero Table has no page.
type Table struct {
	rows    map[string]string // file name with a slash before it, to the name of a class
	classes map[string]http.Header
	common  string // class of the pages without a row
}

// tableFile has the Table that the server's configuration was made of.
const tableFile = "table.json"

// tableJSON is what is in it.
type tableJSON struct {
	Common  string                 `json:"common"`
	Rows    map[string]string      `json:"rows"`
	Classes map[string]http.Header `json:"classes"`
}

func (t Table) encode() ([]byte, error) {
	return json.Marshal(tableJSON{t.common, t.rows, t.classes})
}

// readTable reads what an earlier process has written. Where there is nothing, or not what we write, it has no page.
func readTable(path string) Table {
	var read tableJSON
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &read) != nil || len(read.Rows) > maxRows {
		return Table{}
	}
	for name, h := range read.Classes {
		if classOf(h).Name != name || sendable(h) != nil {
			return Table{}
		}
	}
	for _, name := range append(slices.Collect(maps.Values(read.Rows)), read.Common) {
		if name != "" && read.Classes[name] == nil {
			return Table{}
		}
	}
	return Table{rows: read.Rows, classes: read.Classes, common: read.Common}
}

// With returns a Table for these pages, and whether it differs from t, which it leaves as it is.
func (t Table) With(pages []*staticify.Page) (next Table, changed bool) {
	wanted := map[string]class{}
	for _, p := range pages {
		if sendable(p.Header) == nil {
			wanted["/"+p.Key.FileName()] = classOf(p.Header)
		}
	}
	if !t.lacks(wanted) {
		return t, false
	}
	next = Table{rows: map[string]string{}, classes: maps.Clone(t.classes), common: mostCommon(wanted)}
	if next.classes == nil {
		next.classes = map[string]http.Header{}
	}
	if len(t.rows)+len(wanted) < maxRows {
		maps.Copy(next.rows, t.rows)
	}
	for file := range wanted {
		delete(next.rows, strings.ToLower(file))
	}
	for file, c := range wanted {
		next.classes[c.Name] = c.Header
		next.rows[file] = c.Name
	}
	next.tidy()
	return next, next.common != t.common || !maps.Equal(next.rows, t.rows)
}

// lacks reports whether a page would not be found.
func (t Table) lacks(wanted map[string]class) bool {
	for file, c := range wanted {
		if t.find(file) != c.Name {
			return true
		}
	}
	return false
}

// find is what nginx's map does, which disregards case.
func (t Table) find(file string) string { return cmp.Or(t.rows[strings.ToLower(file)], t.common) }

// tidy folds case as nginx's maps do, and drops what says nothing. Of two pages whose names differ in case alone, one
// may get the other's class: its file is then not found.
func (t *Table) tidy() {
	rows := map[string]string{}
	used := map[string]bool{t.common: true}
	for _, file := range slices.Sorted(maps.Keys(t.rows)) {
		if c := t.rows[file]; c != t.common {
			rows[strings.ToLower(file)], used[c] = c, true
		}
	}
	t.rows = rows
	maps.DeleteFunc(t.classes, func(name string, _ http.Header) bool { return !used[name] })
}

func mostCommon(wanted map[string]class) string {
	count := map[string]int{}
	for _, c := range wanted {
		count[c.Name]++
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if count[name] > count[best] {
			best = name
		}
	}
	return best
}

// bucketSize is what nginx's map_hash_bucket_size must be for the longest row.
func (t Table) bucketSize() int {
	longest := 0
	for file := range t.rows {
		longest = max(longest, len(file))
	}
	size := 256
	for size < longest+64 {
		size *= 2
	}
	return size
}

// http writes the maps from files to classes, and from classes to headers.
func (t Table) http(w *writer) {
	w.line("# Each set of headers has a name, which is the extension of its files.")
	w.line("map $NAME_file $NAME_class {\n\tdefault %s;", cmp.Or(t.common, "off"))
	for _, file := range slices.Sorted(maps.Keys(t.rows)) {
		w.line("\t%s %s;", quote(file), t.rows[file])
	}
	w.line("}")
	for _, name := range t.headers() {
		w.line("map $NAME_class $NAME_%s {\n\tdefault \"\";", variable(name))
		for _, class := range slices.Sorted(maps.Keys(t.classes)) {
			if value := joined(t.classes[class], name); value != "" {
				w.line("\t%s %s;", class, w.value(value))
			}
		}
		w.line("}")
	}
}

// server writes the types of the classes, and the headers.
func (t Table) server(w *writer) {
	w.line("\ttypes_hash_max_size 16384;\n\ttypes {")
	for _, class := range slices.Sorted(maps.Keys(t.classes)) {
		w.line("\t\t%s %s;", quote(t.classes[class].Get("Content-Type")), class)
	}
	w.line("\t}")
	for _, name := range t.headers() {
		w.line("\tadd_header %s $NAME_%s;", name, variable(name))
	}
}

// headers returns the names of all headers but Content-Type.
func (t Table) headers() []string {
	all := map[string]bool{}
	for _, h := range t.classes {
		for name := range h {
			all[http.CanonicalHeaderKey(name)] = name != "Content-Type"
		}
	}
	maps.DeleteFunc(all, func(_ string, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(all))
}

func variable(header string) string {
	return "h_" + strings.ReplaceAll(strings.ToLower(header), "-", "_")
}
