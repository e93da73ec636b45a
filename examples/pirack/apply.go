package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/vlan"
)

type applyCmd struct {
	source
	dry
	daemon.Flags
	Watch bool   `help:"Go on, and put right what others change."`
	NetNS string `name:"netns" placeholder:"NAME" help:"The network namespace, as ip-netns(8) names it."`
	Prune bool   `help:"Delete VLAN interfaces that are the rack's and of no Pi."`
}

func (c *applyCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	ns, err := namespace(c.NetNS)
	if err != nil {
		return err
	}
	if c.Watch {
		return c.watch(ctx, std, ns)
	}
	want := r.Wanted(c.Prune)
	have, err := ns.Current(ctx, want.Parents...)
	if err != nil {
		return err
	}
	changes, err := vlan.Diff(want, have)
	if err != nil {
		return err
	}
	if len(changes.Unplanned) > 0 && !c.Prune {
		fmt.Fprintf(std.Err, "pirack: warning: of no Pi: %s (--prune deletes them)\n", strings.Join(changes.Unplanned, ", "))
	}
	if c.DryRun {
		return c.plan(std.Out, commands(changes.Steps))
	}
	if err := ns.Apply(ctx, changes.Steps); err != nil {
		return err
	}
	return printSteps(std.Out, c.JSON, commands(changes.Steps))
}

// namespace opens a network namespace. It stays open as long as the program runs.
func namespace(name string) (vlan.Namespace, error) {
	if name == "" {
		return vlan.Namespace{}, nil
	}
	if !filepath.IsLocal(name) || strings.Contains(name, "/") {
		return vlan.Namespace{}, &cli.UsageError{Err: fmt.Errorf("%q is no name of a network namespace", name)}
	}
	path := filepath.Join("/run/netns", name)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return vlan.Namespace{}, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return vlan.Namespace{FD: fd}, nil
}

// watch keeps the interfaces as the rack says; SIGHUP reads it again.
func (c *applyCmd) watch(ctx context.Context, std cli.Streams, ns vlan.Namespace) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	logger := daemon.Logger(std.Err)
	watcher := vlan.Watcher{Namespace: ns, Log: logger}
	again := make(chan vlan.Wanted, 1)
	again <- r.Wanted(c.Prune)
	return daemon.Service{
		Logger: logger,
		Reload: func(context.Context) error {
			r, err := c.rack(std)
			if err != nil {
				return err
			}
			again <- r.Wanted(c.Prune)
			return nil
		},
		Run: func(ctx context.Context, ready func()) error {
			once := sync.OnceFunc(ready)
			for {
				select {
				case <-ctx.Done():
					return nil
				case want := <-again:
					if err := c.until(ctx, watcher, want, again, once); err != nil {
						return err
					}
				}
			}
		},
	}.Serve(ctx, c.Flags)
}

// until watches until there is something else to watch.
func (c *applyCmd) until(ctx context.Context, watcher vlan.Watcher, want vlan.Wanted, again chan vlan.Wanted, ready func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- watcher.Watch(ctx, want) }()
	ready()
	select {
	case next := <-again:
		again <- next
		cancel()
		<-done
		return nil
	case err := <-done:
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

type driftCmd struct {
	source
	Switch string `required:"" placeholder:"NAME" help:"The switch to ask."`
	JSON   bool   `name:"json" help:"Print one JSON document."`
}

func (c *driftCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	differences, err := r.Drift(ctx, c.Switch)
	if err != nil {
		return err
	}
	d := dry{JSON: c.JSON}
	return d.plan(std.Out, commands(differences))
}
