package staticify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Plan is `staticify plan`: a dry run on logs.
type Plan struct {
	Log       []string `placeholder:"FILE" sep:"none" help:"Access log, gzipped or not; - is standard input. Several are merged by time. Default: those of the configuration."`
	More      []string `arg:"" optional:"" name:"file" help:"More of them."`
	LogFormat string   `placeholder:"F" help:"combined, common, vhost_combined, json, or a string of nginx's log_format. Default: what the configuration says, or combined."`
	Pages     int      `help:"Files at most. Default: what the configuration says, or 1000."`
	CPU       float64  `name:"cpu" help:"Processors that rendering may keep busy. Default: what the configuration says, or 0.5."`
	SVG       string   `name:"svg" placeholder:"FILE" help:"Also draw the hit ratio by the number of pages."`
	JSON      bool     `name:"json" help:"Print JSON."`
}

// Run prints the plan. What was wrong with the logs goes to stderr.
func (p *Plan) Run(ctx context.Context, s *Source, std cli.Streams) error {
	config, err := p.config(s)
	if err != nil {
		return err
	}
	planner, format, err := config.planner()
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	logs, err := openLogs(config.Logs, format)
	defer logs.close()
	if err != nil {
		return err
	}
	plan, readErr := planner.Plan(untilDone(ctx, accesslog.Merge(logs.readers...)))
	if err := cmp.Or(ctx.Err(), logs.check(std.Err)); err != nil {
		return errors.Join(err, readErr)
	}
	return errors.Join(readErr, p.write(plan, std.Out))
}

// config is the file's, when there is one, with what the flags say instead.
func (p *Plan) config(s *Source) (*Config, error) {
	c, err := s.Config()
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &Config{}
	}
	if logs := append(p.Log, p.More...); len(logs) > 0 {
		c.Logs = logs
	}
	if len(c.Logs) == 0 {
		return nil, &cli.UsageError{Err: errors.New("no log to plan with: name one with --log, or a configuration with -f")}
	}
	if p.Pages < 0 || p.CPU < 0 {
		return nil, &cli.UsageError{Err: errors.New("--pages and --cpu: want numbers above 0")}
	}
	c.LogFormat = cmp.Or(p.LogFormat, c.LogFormat)
	c.Budget.Pages = cmp.Or(p.Pages, c.Budget.Pages)
	c.Budget.CPU = cmp.Or(p.CPU, c.Budget.CPU)
	return c, nil
}

func (c *Config) planner() (staticify.Planner, accesslog.Format, error) {
	important, err := c.Pages()
	format, formatErr := accesslog.ParseFormat(c.LogFormat)
	return staticify.Planner{
		Ranker:    c.ranker(),
		Budget:    staticify.Budget{CPU: c.Budget.CPU, Parallel: c.Budget.Parallel, Pages: c.Budget.Pages},
		Important: important,
	}, format, errors.Join(err, formatErr)
}

// write prints the plan, and draws it.
func (p *Plan) write(plan *staticify.Plan, w io.Writer) error {
	var errs []error
	if p.SVG != "" {
		errs = append(errs, writeFile(p.SVG, plan.WriteSVG))
	}
	if p.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return errors.Join(append(errs, encoder.Encode(plan))...)
	}
	return errors.Join(append(errs, plan.WriteText(w))...)
}

// writeFile makes a file of what write writes.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// logs are the access logs of a plan.
type logs struct {
	names   []string
	readers []*accesslog.Reader
}

func openLogs(names []string, format accesslog.Format) (logs, error) {
	l := logs{names: names}
	var errs []error
	for _, name := range names {
		if name == "-" {
			l.readers = append(l.readers, accesslog.NewReader(os.Stdin, format))
			continue
		}
		r, err := accesslog.Open(name, format)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.readers = append(l.readers, r)
	}
	return l, errors.Join(errs...)
}

func (l logs) close() {
	for _, r := range l.readers {
		r.Close()
	}
}

// check tells of lines that could not be read. A log without a line that could is an error.
func (l logs) check(stderr io.Writer) error {
	var errs []error
	for i, r := range l.readers {
		s := r.Stats()
		bad := s.Malformed + s.TooLong
		switch {
		case bad == 0:
		case bad == s.Lines:
			errs = append(errs, fmt.Errorf("%s: none of its %d lines is in the format: name it with --log-format", l.names[i], s.Lines))
		default:
			fmt.Fprintf(stderr, "staticify: %s: %d of %d lines are not in the format, and were skipped\n", l.names[i], bad, s.Lines)
		}
	}
	return errors.Join(errs...)
}

// untilDone ends hits with ctx.
func untilDone(ctx context.Context, hits iter.Seq2[*accesslog.Hit, error]) iter.Seq2[*accesslog.Hit, error] {
	return func(yield func(*accesslog.Hit, error) bool) {
		n := 0
		for h, err := range hits {
			if n++; n%4096 == 0 && ctx.Err() != nil || !yield(h, err) {
				return
			}
		}
	}
}
