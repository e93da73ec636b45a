package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/examples/internal/rack"
)

// state is where journals are kept.
type state struct {
	State string `default:"/var/lib/berryrack/pirack" placeholder:"DIR" help:"Where it is kept what a crash must not forget (${default})."`
}

// AfterApply hands the command on when a rack is booted with the state
// directory: its fileserver is where such commands are run. Paths are the
// fileserver's then, and its rack.yaml is that of boot.
func (s state) AfterApply(k *kong.Context, ctx context.Context, std cli.Streams) error {
	status, ok, err := forward(ctx, s.State, elsewhere(k.Args), std)
	if err != nil {
		fmt.Fprintf(std.Err, "pirack: %v\n", err)
		status = cli.Failed
	}
	if ok {
		k.Exit(status)
	}
	return nil
}

// elsewhere returns arguments without those that say where this machine has
// rack.yaml and its state.
func elsewhere(args []string) []string {
	var rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "-f" || arg == "--file" || arg == "--state":
			i++
		case strings.HasPrefix(arg, "-f"), strings.HasPrefix(arg, "--file="), strings.HasPrefix(arg, "--state="):
		default:
			rest = append(rest, arg)
		}
	}
	return rest
}

type cycleCmd struct {
	source
	state
	dry
	Pi string `arg:"" help:"The Pi to power cycle."`
}

func (c *cycleCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	pis, err := r.Select([]string{c.Pi})
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	if c.DryRun {
		return c.explain(ctx, std, r, pis)
	}
	power, err := r.Power(ctx, c.State, pis, daemon.Logger(std.Err))
	if err != nil {
		return err
	}
	defer power.Close()
	if err := power.Recover(ctx); err != nil {
		return err
	}
	report, err := power.Cycle(ctx, pis[0])
	if c.JSON {
		return errors.Join(err, printJSON(std.Out, report))
	}
	if err == nil || !report.Dark.IsZero() { // a refusal is no report
		fmt.Fprintln(std.Out, report)
	}
	return err
}

// explain prints the commands that a person would type.
func (c *cycleCmd) explain(ctx context.Context, std cli.Streams, r *rack.Rack, pis []rack.Pi) error {
	power, err := r.Powering(ctx, c.State, pis)
	if err != nil {
		return err
	}
	defer power.Close()
	steps, err := power.Explain(ctx, pis[0])
	if err != nil {
		return err
	}
	return c.plan(std.Out, steps)
}

// power returns who switches the Pi, nil when rack.yaml does not say how.
func (s state) power(ctx context.Context, std cli.Streams, r *rack.Rack, pi rack.Pi) (rack.Power, func() error, error) {
	if !r.HasPower(pi) {
		return nil, func() error { return nil }, nil
	}
	power, err := r.Power(ctx, s.State, []rack.Pi{pi}, daemon.Logger(std.Err))
	if err != nil {
		return nil, nil, err
	}
	if err := power.Recover(ctx); err != nil {
		return nil, nil, errors.Join(err, power.Close())
	}
	return power, power.Close, nil
}

type rackStatusCmd struct {
	source
	state
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every path of the server."`
	JSON    bool   `name:"json" help:"Print one JSON document."`
}

func (c *rackStatusCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	statuses := r.Status(ctx, c.DestDir)
	if c.JSON {
		return printJSON(std.Out, statuses)
	}
	return rack.WriteStatus(std.Out, statuses)
}
