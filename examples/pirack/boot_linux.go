package main

import (
	"context"
	"errors"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/examples/internal/rackbox"
)

// boots are the commands of a rack that is booted on this machine.
type boots struct {
	Boot       bootCmd       `cmd:"" help:"Boot the rack on this machine: each Pi, the fileserver and the switch." example:"boot -f rack.yaml"`
	Box        boxCmd        `cmd:"" name:"boot-box" hidden:""`
	Fileserver fileserverCmd `cmd:"" name:"boot-fileserver" hidden:""`
}

type bootCmd struct {
	source
	daemon.Flags
	State   string `default:"/var/lib/berryrack/pirack" placeholder:"DIR" help:"By which other commands find the rack (${default}); nothing is written there."`
	Golden  string `placeholder:"DIR" help:"The tree that roots are copies of. Without it: a small one, of busybox."`
	Console bool   `help:"Log what the consoles of the machines say."`
}

func (c *bootCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	logger := daemon.Logger(std.Err)
	options := rackbox.Options{Rack: r, Golden: c.Golden, State: c.State, Console: c.Console, Logger: logger, Stderr: std.Err}
	return daemon.Service{
		Logger: logger,
		Run:    func(ctx context.Context, ready func()) error { return rackbox.Boot(ctx, options, ready) },
	}.Serve(ctx, c.Flags)
}

type boxCmd struct{}

func (boxCmd) Run(ctx context.Context, std cli.Streams) error {
	return rackbox.BoxMain(ctx, daemon.Logger(std.Err))
}

type fileserverCmd struct{}

func (fileserverCmd) Run(ctx context.Context, std cli.Streams) error {
	return rackbox.Fileserver(ctx, daemon.Logger(std.Err))
}

// forward runs a command on the fileserver of the rack that is booted with a
// state directory; false: there is none.
func forward(ctx context.Context, state string, args []string, std cli.Streams) (status int, ok bool, err error) {
	status, err = rackbox.Forward(ctx, state, args, std.Out, std.Err)
	if errors.Is(err, rackbox.ErrNone) {
		return 0, false, nil
	}
	return status, true, err
}
