package node

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Graph is one graph of a plugin: what config says of it, and what fetch does.
type Graph struct {
	// Name is the plugin's, or, of a multigraph plugin, each graph's own, as in
	// "disk" or "disk.sda": [-\w.:]+ without a dot at an end or two together.
	Name string
	// Attributes are graph_title and the like.
	Attributes []Attribute
	Fields     []Field // in the order of the picture
}

// Field is one data source.
type Field struct {
	// Name is [A-Za-z_][A-Za-z0-9_]*.
	Name string
	// Attributes are label, type, warning and the like.
	Attributes []Attribute
	Values     []Value // one for each time, as the plugin gives them
}

// Attribute is a line of config: a Key without blanks, and its Value, one line.
type Attribute struct{ Key, Value string }

// Value is a number at a time.
type Value struct {
	// Time is the zero Time for now; else it has whole seconds.
	Time time.Time
	// Number is munin's U, unknown, when it is not a number. Whole numbers are
	// exact up to 2^53.
	Number float64
}

// Now returns one value as of now.
func Now(number float64) []Value { return []Value{{Number: number}} }

// String returns the value as a node sends it.
func (v Value) String() string {
	text := "U"
	if !math.IsNaN(v.Number) && !math.IsInf(v.Number, 0) {
		text = strconv.FormatFloat(v.Number, 'f', -1, 64)
	}
	if v.Time.IsZero() {
		return text
	}
	return strconv.FormatInt(v.Time.Unix(), 10) + ":" + text
}

var (
	graphName = regexp.MustCompile(`^[-\w.:]+$`)
	fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	wordName  = regexp.MustCompile(`^\w+$`)
)

func checkGraphName(name string) error {
	if !graphName.MatchString(name) || name == "multigraph" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		return fmt.Errorf("node: graph %q: a name has letters, digits and _ - . : with no dot at an end or beside another", name)
	}
	return nil
}

// check returns why a master would not understand the graph, all reasons joined.
func (g *Graph) check() error {
	errs := []error{checkGraphName(g.Name), checkAttributes(g.Name, g.Attributes)}
	for _, f := range g.Fields {
		if !fieldName.MatchString(f.Name) {
			errs = append(errs, fmt.Errorf("node: graph %s: field %q: a name has letters, digits and underscores", g.Name, f.Name))
		}
		errs = append(errs, checkAttributes(g.Name+"."+f.Name, f.Attributes))
	}
	return errors.Join(errs...)
}

func checkAttributes(where string, attributes []Attribute) error {
	for _, a := range attributes {
		if !wordName.MatchString(a.Key) || a.Key == "multigraph" || a.Key == "value" {
			return fmt.Errorf("node: %s: attribute %q is no word for config", where, a.Key)
		}
		if strings.Trim(a.Value, " \t") == "" || strings.ContainsAny(a.Value, "\r\n\x00") {
			return fmt.Errorf("node: %s: %s is not one line: %q", where, a.Key, a.Value)
		}
	}
	return nil
}

// configLines are what a node answers to config; with values for a master that
// can do dirtyconfig.
func configLines(plugin string, graphs []Graph, dirty bool) []string {
	var lines []string
	for _, g := range graphs {
		lines = append(lines, heading(plugin, graphs, g)...)
		for _, a := range g.Attributes {
			lines = append(lines, a.Key+" "+a.Value)
		}
		for _, f := range g.Fields {
			for _, a := range f.Attributes {
				lines = append(lines, f.Name+"."+a.Key+" "+a.Value)
			}
			if dirty {
				lines = append(lines, valueLines(f)...)
			}
		}
	}
	return lines
}

// fetchLines are what a node answers to fetch.
func fetchLines(plugin string, graphs []Graph) []string {
	var lines []string
	for _, g := range graphs {
		lines = append(lines, heading(plugin, graphs, g)...)
		for _, f := range g.Fields {
			lines = append(lines, valueLines(f)...)
		}
	}
	return lines
}

func heading(plugin string, graphs []Graph, g Graph) []string {
	if len(graphs) == 1 && g.Name == plugin {
		return nil
	}
	return []string{"multigraph " + g.Name}
}

func valueLines(f Field) []string {
	lines := make([]string, len(f.Values))
	for i, v := range f.Values {
		lines[i] = f.Name + ".value " + v.String()
	}
	return lines
}

// errInBand is what a node says in a comment in place of an answer.
var errInBand = regexp.MustCompile(`^# (Unknown service|Timed out|Bad exit|Unknown command)`)

// parseGraphs reads the answer to config or fetch. Lines that no master
// understands are skipped, as the master does.
func parseGraphs(plugin string, lines []string) ([]Graph, error) {
	p := graphParser{graphs: []Graph{{Name: plugin}}, fields: map[string]int{}}
	for _, line := range lines {
		if errInBand.MatchString(line) {
			return nil, fmt.Errorf("node: plugin %q: %q", plugin, strings.TrimPrefix(line, "# "))
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		value = strings.Trim(value, " \t")
		if key == "multigraph" {
			if err := checkGraphName(value); err != nil {
				return nil, err
			}
			p.start(value)
		} else if value != "" {
			p.add(key, value)
		}
	}
	graphs := p.graphs
	if first := graphs[0]; len(graphs) > 1 && first.Attributes == nil && first.Fields == nil {
		graphs = graphs[1:]
	}
	return graphs, nil
}

type graphParser struct {
	graphs []Graph
	fields map[string]int // of the last graph
}

func (p *graphParser) start(name string) {
	p.graphs = append(p.graphs, Graph{Name: name})
	p.fields = map[string]int{}
}

func (p *graphParser) add(key, value string) {
	g := &p.graphs[len(p.graphs)-1]
	name, word, ok := strings.Cut(key, ".")
	if !ok {
		g.Attributes = append(g.Attributes, Attribute{key, value})
		return
	}
	i, ok := p.fields[name]
	if !ok {
		i = len(g.Fields)
		p.fields[name] = i
		g.Fields = append(g.Fields, Field{Name: name})
	}
	f := &g.Fields[i]
	if word != "value" {
		f.Attributes = append(f.Attributes, Attribute{word, value})
	} else if v, ok := parseValue(value); ok {
		f.Values = append(f.Values, v)
	}
}

// parseValue reads "number", "time:number" and "U"; what is no number is U.
func parseValue(text string) (Value, bool) {
	var v Value
	if seconds, number, ok := strings.Cut(text, ":"); ok {
		n, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return Value{}, false
		}
		v.Time, text = time.Unix(n, 0), number
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(number, 0) {
		number = math.NaN()
	}
	v.Number = number
	return v, true
}
