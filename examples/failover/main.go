// Failover tells whether a standby can take over, and has it take over.
package main

import (
	"context"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/failover"
)

const description = `Is the standby up to date, does it keep up with the load, does every service fail over? Then flip the DNS to it, and back.

Example: failover check -f failover.yaml`

type grammar struct {
	cli.Flags
	Check    checkCmd    `cmd:"" help:"Compare pages and mirrors, try every service at the standby, look at the TTLs. Exits with 3 when something differs or is not yet safe." example:"check -f failover.yaml"`
	Load     loadCmd     `cmd:"" help:"Replay the access log against the standby. Exits with 3 when it does not keep up." example:"load --rate 500 --duration 1m"`
	Flip     flipCmd     `cmd:"" help:"Give the names the standby's addresses, and watch them arrive." example:"flip -n"`
	FlipBack flipBackCmd `cmd:"" help:"Give the names the addresses that they had before." example:"flip-back"`
	Report   reportCmd   `cmd:"" help:"Print what check, load and flip found last, for cron." example:"report --max-age 2h"`
	Manifest manifestCmd `cmd:"" help:"List the files below a directory, for mirrors to be compared by." example:"manifest -o MANIFEST /srv/mirror"`
}

func main() {
	cli.Program{Name: "failover", Description: description, Grammar: &grammar{}}.Main()
}

// common are the flags of every command that looks at the site.
type common struct {
	Config string `short:"f" placeholder:"FILE" help:"Configuration; else /etc/berryrack/failover.yaml, or a simulation."`
	State  string `placeholder:"DIR" help:"State directory; default /var/lib/berryrack/failover, or failover-simulation."`
	JSON   bool   `name:"json" help:"Print one JSON document."`
}

func (c common) open(ctx context.Context, std cli.Streams) (*failover.Site, error) {
	return failover.Open(ctx, failover.Options{Config: c.Config, State: c.State}, std)
}

type checkCmd struct{ common }

func (c *checkCmd) Run(ctx context.Context, std cli.Streams) error {
	site, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	return site.Check(ctx, c.JSON, std)
}

type loadCmd struct {
	common
	Rate     float64       `placeholder:"N" help:"Requests a second; default: the configuration's, or those of the log's busiest minute."`
	Duration time.Duration `placeholder:"D" help:"How long; default: the configuration's, or 1m."`
}

func (c *loadCmd) Run(ctx context.Context, std cli.Streams) error {
	site, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	return site.Replay(ctx, c.Rate, c.Duration, c.JSON, std)
}

// turn are the flags of flip and flip-back.
type turn struct {
	common
	DryRun bool `short:"n" help:"Print the changes, for nsupdate. Exits with 3 when there are any."`
	Force  bool `help:"Do it whatever the TTLs and the services say."`
}

func (c *turn) run(ctx context.Context, back bool, std cli.Streams) error {
	site, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	return site.Flip(ctx, failover.Turn{Back: back, DryRun: c.DryRun, Force: c.Force, JSON: c.JSON}, std)
}

type flipCmd struct{ turn }

func (c *flipCmd) Run(ctx context.Context, std cli.Streams) error { return c.run(ctx, false, std) }

type flipBackCmd struct{ turn }

func (c *flipBackCmd) Run(ctx context.Context, std cli.Streams) error { return c.run(ctx, true, std) }

type reportCmd struct {
	common
	MaxAge time.Duration `default:"24h" help:"What is older counts as unknown."`
}

func (c *reportCmd) Run(ctx context.Context, std cli.Streams) error {
	site, err := c.open(ctx, std)
	if err != nil {
		return err
	}
	return site.Report(c.MaxAge, c.JSON, std)
}

type manifestCmd struct {
	Out string `short:"o" placeholder:"FILE" help:"Replace this file; default: standard output."`
	Dir string `arg:"" type:"existingdir" help:"Directory."`
}

func (c *manifestCmd) Run(ctx context.Context, std cli.Streams) error {
	return failover.Manifest(ctx, c.Dir, c.Out, std)
}
