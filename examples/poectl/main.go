// Poectl power cycles what switches feed over Ethernet, safely and verified.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/examples/internal/poectl"
)

const description = `Shows and switches the power that switches feed to a rack of computers.

Example: poectl --simulate status && poectl cycle -f switch.yaml pi1`

type grammar struct {
	cli.Flags
	poectl.Source
	Status  statusCmd  `cmd:"" help:"Show all ports with their state and watts." example:"status --simulate"`
	On      onCmd      `cmd:"" help:"Switch ports on and wait for their devices." example:"on pi1"`
	Off     offCmd     `cmd:"" help:"Switch ports off for good." example:"off --yes pi1"`
	Cycle   cycleCmd   `cmd:"" help:"Take the power of ports away, give it back, and wait for their devices." example:"cycle -n pi1"`
	Stagger staggerCmd `cmd:"" help:"Switch many ports on, a few at a time and within the power budget." example:"stagger pi1 pi2 pi3"`
	Recover recoverCmd `cmd:"" help:"Switch on what a crash left dark, which every command does first." example:"recover"`
	Watch   watchCmd   `cmd:"" help:"Print what changes, until told to end." example:"watch --json"`
	Munin   muninCmd   `cmd:"" help:"Answer munin as its plugin: the watts of each port." example:"munin config"`
}

func main() {
	cli.Program{Name: "poectl", Description: description, Grammar: &grammar{}}.Main()
}

type asJSON struct {
	JSON bool `name:"json" help:"Print JSON."`
}

type statusCmd struct{ asJSON }

func (c *statusCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error {
		o, err := r.Overview(ctx)
		if c.JSON {
			return errors.Join(err, o.WriteJSON(std.Out))
		}
		return errors.Join(err, o.WriteText(std.Out))
	})
}

type dryRun struct {
	DryRun bool `short:"n" help:"Print the commands that a person would type, and exit 3 if there are any."`
}

// ports are the arguments of the commands that switch some.
type ports struct {
	asJSON
	dryRun
	Port []string `arg:"" help:"Names from the configuration, or group.port, or SWITCH/group.port."`
}

func (p *ports) act() poectl.Act { return poectl.Act{DryRun: p.DryRun, JSON: p.JSON} }

type onCmd struct{ ports }

func (c *onCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error { return r.On(ctx, c.Port, c.act()) })
}

type offCmd struct {
	ports
	Yes bool `help:"Do not ask."`
}

func (c *offCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	act := c.act()
	if !c.Yes {
		act.Confirm = poectl.AskOn(os.Stdin, std.Err)
	}
	return s.Do(ctx, std, func(r *poectl.Rack) error { return r.Off(ctx, c.Port, act) })
}

type cycleCmd struct{ ports }

func (c *cycleCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error { return r.Cycle(ctx, c.Port, c.act()) })
}

type staggerCmd struct{ ports }

func (c *staggerCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error { return r.Stagger(ctx, c.Port, c.act()) })
}

type recoverCmd struct {
	asJSON
	dryRun
	Forget string `placeholder:"PORT" help:"Give up a port instead, and leave it as it is."`
}

func (c *recoverCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error {
		if c.Forget != "" {
			return r.Forget(c.Forget)
		}
		return r.Recover(ctx, poectl.Act{DryRun: c.DryRun, JSON: c.JSON})
	})
}

type watchCmd struct {
	asJSON
	daemon.Flags
	Interval time.Duration `default:"10s" help:"Between two looks, at least a second (${default})."`
}

func (c *watchCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	w := poectl.Watcher{
		Open: func(ctx context.Context) (*poectl.Rack, error) { return s.Open(ctx, std) },
		Out:  std.Out, Logger: daemon.Logger(std.Err), Interval: max(c.Interval, time.Second), JSON: c.JSON,
	}
	return daemon.Service{Run: w.Run, Reload: w.Reload, Figures: w.Figures, Logger: w.Logger}.Serve(ctx, c.Flags)
}

type muninCmd struct {
	What string `arg:"" optional:"" enum:"config,fetch" default:"fetch" help:"config: describe the graph. fetch: its values."`
}

func (c *muninCmd) Run(ctx context.Context, s *poectl.Source, std cli.Streams) error {
	return s.Do(ctx, std, func(r *poectl.Rack) error {
		o, err := r.Overview(ctx)
		return errors.Join(err, o.WriteMunin(std.Out, c.What == "config"))
	})
}
