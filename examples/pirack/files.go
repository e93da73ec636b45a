package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
)

// dry are the flags of what changes something.
type dry struct {
	DryRun bool `short:"n" help:"Print what would be done; exit 3 if anything would be."`
	JSON   bool `name:"json" help:"Print one JSON document."`
}

// plan prints steps as commands.
func (d dry) plan(w io.Writer, steps []string) error {
	if err := printSteps(w, d.JSON, steps); err != nil {
		return err
	}
	if len(steps) > 0 {
		return cli.ErrDifferent
	}
	return nil
}

func printSteps(w io.Writer, asJSON bool, steps []string) error {
	if asJSON {
		return printJSON(w, map[string][]string{"steps": append([]string{}, steps...)})
	}
	for _, s := range steps {
		fmt.Fprintln(w, s)
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// commands returns how steps print.
func commands[S fmt.Stringer](steps []S) []string {
	texts := make([]string, len(steps))
	for i, s := range steps {
		texts[i] = s.String()
	}
	return texts
}

type writeCmd struct {
	source
	dry
	Out string `short:"o" required:"" placeholder:"DIR" help:"Where to. What an earlier write made there and the rack no longer has is removed."`
}

func (c *writeCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	tree, err := r.Tree()
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	steps, err := tree.Diff(c.Out)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.plan(std.Out, commands(steps))
	}
	warn(std.Err, r.Warnings(rack.Device("")))
	if err := tree.Write(ctx, c.Out, steps); err != nil {
		return err
	}
	var done []string
	for _, s := range steps {
		done = append(done, fmt.Sprintf("%-7s %s", s.Action, s.File.Path))
	}
	fmt.Fprintf(std.Err, "pirack: %d files, %d of them written or removed\n", len(tree), len(steps))
	return printSteps(std.Out, c.JSON, done)
}

type installCmd struct {
	source
	dry
	state
	Out     string `short:"o" required:"" placeholder:"DIR" help:"Where write put the files."`
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every path of the server; then no command is run."`
}

func (c *installCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	in, err := r.Installation(c.Out, c.DestDir, c.State)
	if err != nil {
		return err
	}
	defer warn(std.Err, in.Notes)
	if c.DryRun {
		return c.plan(std.Out, in.Steps())
	}
	if c.JSON {
		var steps []string
		err := in.Apply(ctx, func(step string) { steps = append(steps, step) })
		if err != nil {
			return err
		}
		return printSteps(std.Out, true, steps)
	}
	return in.Apply(ctx, func(step string) { fmt.Fprintln(std.Out, step) })
}

type checkCmd struct {
	source
	state
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every path of the server; then nothing that runs is looked at."`
	JSON    bool   `name:"json" help:"Print one JSON document."`
}

func (c *checkCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	problems, err := r.Check(ctx, c.DestDir, c.State)
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(std.Out, map[string][]string{"problems": append([]string{}, problems...)})
	} else {
		err = printSteps(std.Out, false, problems)
	}
	if err == nil && len(problems) > 0 {
		return cli.ErrDifferent
	}
	return err
}
