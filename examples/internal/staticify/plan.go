package staticify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Plan is `staticify plan`: a dry run on logs.
type Plan struct {
	Log       []string `placeholder:"FILE" type:"path" help:"Access logs, gzipped or not, of one site's servers; - is standard input. Default: those of the configuration."`
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
	planner, err := p.planner(config)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	logs, err := openLogs(config)
	defer logs.close()
	if err != nil {
		return err
	}
	plan, readErr := planner.Plan(untilDone(ctx, accesslog.Merge(logs.readers...)))
	if err := ctx.Err(); err != nil {
		return err
	}
	logs.complain(std.Err)
	err = plan.WriteText
	return errors.Join(readErr, err)
}
