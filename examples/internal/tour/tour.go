// Package tour shows all of berryrack at work on one machine, without root,
// without other programs and without a network: each stop is one job, done by
// the package whose job it is. What it did becomes one HTML page.
package tour

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A stop does one job and says what came of it.
type stop struct {
	name  string // of the file whose marked lines did it, and of the stop's anchor on the page
	title string
	run   func(context.Context, *Tour) (result, error)
}

// A result is what a stop shows.
type result struct {
	// facts are lines for the terminal and for the page.
	facts []string
	// picture is an SVG, made by this program, or empty.
	picture template.HTML
	caption string
}

// stops are in the order in which they are told.
var stops = []stop{
	{"rack", "Eight Pis on one switch: the rack is planned", planRack},
	{"power", "A Pi hangs: its power is cycled through the switch", cyclePower},
	{"zone", "The zone is signed and served", signZone},
	{"keys", "One click, and the keys change themselves", rollKeys},
	{"certificate", "A certificate through dns-01, and https with it", getCertificate},
	{"static", "The busy pages become files", makeStatic},
	{"nat64", "An IPv4-only server, reached over IPv6", reachIPv4},
	{"graph", "munin is configured, and the tour graphs itself", graphItself},
}

// Tour is one run through all stops.
type Tour struct {
	// Dir is where the page is written; it is made.
	Dir string
	// Out is told of each stop as it ends.
	Out io.Writer

	scratch string // a directory for the stops, gone at the end
	done    []Report
}

// Report is a stop that is behind us.
type Report struct {
	Name    string
	Title   string
	Code    string // the lines of Go that did it
	Facts   []string
	Picture template.HTML
	Caption string
	Took    time.Duration
}

// Run goes through all stops, ends at the first that fails, and returns the
// path of the page.
func (t *Tour) Run(ctx context.Context) (page string, err error) {
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return "", err
	}
	t.scratch, err = os.MkdirTemp("", "tour")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(t.scratch)
	for i, s := range stops {
		report, err := t.visit(ctx, s)
		if err != nil {
			return "", fmt.Errorf("%s: %w", s.name, err)
		}
		t.done = append(t.done, report)
		fmt.Fprintf(t.Out, "%d. %s (%s)\n", i+1, report.Title, report.Took.Round(time.Millisecond))
		for _, fact := range report.Facts {
			fmt.Fprint(t.Out, indent(fact+"\n", "   "))
		}
		fmt.Fprintf(t.Out, "\n%s\n", indent(report.Code, "       "))
	}
	page = filepath.Join(t.Dir, "index.html")
	return page, writePage(page, t.done)
}

// visit runs one stop. What it started ends before visit returns.
func (t *Tour) visit(ctx context.Context, s stop) (Report, error) {
	code, err := shown(s.name)
	if err != nil {
		return Report{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	r, err := s.run(ctx, t)
	return Report{
		Name: s.name, Title: s.title, Code: code, Facts: r.facts, Picture: r.picture, Caption: r.caption, Took: time.Since(began),
	}, err
}

// sources are this package's own files, so that what is shown is what ran.
//
//go:embed *.go
var sources embed.FS

// check is what is left out of the lines that are shown.
const check = "\tif err != nil {\n\t\treturn result{}, err\n\t}\n"

// shown returns the lines of a stop's file between its marks, without checks of
// errors.
func shown(name string) (string, error) {
	text, err := sources.ReadFile(name + ".go")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(text), "\t// shown:\n")
	code, _, closed := strings.Cut(rest, "\t// until here\n")
	if !ok || !closed {
		return "", fmt.Errorf("%s.go has no lines that are marked to be shown", name)
	}
	code = strings.ReplaceAll(code, check, "")
	// The marks stand one tab deep, and so does what they enclose.
	return strings.ReplaceAll(strings.TrimPrefix(code, "\t"), "\n\t", "\n"), nil
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(by + strings.ReplaceAll(line, "\t", "    "))
	}
	return b.String()
}

// background runs serve until the returned function is called, which waits for
// its end.
func background(ctx context.Context, serve func(context.Context) error) (end func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}
