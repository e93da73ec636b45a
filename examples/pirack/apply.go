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
	if c.Watch && (c.DryRun || c.JSON) {
		return &cli.UsageError{Err: errors.New("--watch changes things until it is told to end: it has no -n and no --json")}
	}
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	ns, err := namespace(c.NetNS)
	if err != nil {
		return err
	}
	want := r.Wanted(c.Prune)
	if c.Watch {
		return c.watch(ctx, std, ns, want)
	}
	changes, err := compare(ctx, ns, want)
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

// compare returns what is to be done in the namespace.
func compare(ctx context.Context, ns vlan.Namespace, want vlan.Wanted) (vlan.Changes, error) {
	have, err := ns.Current(ctx, want.Parents...)
	if err != nil {
		return vlan.Changes{}, err
	}
	return vlan.Diff(want, have)
}

// namespace opens a network namespace. It stays open as long as the program runs.
func namespace(name string) (vlan.Namespace, error) {
	if name == "" {
		return vlan.Namespace{}, nil
	}
	if !filepath.IsLocal(name) || name == "." || strings.Contains(name, "/") {
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
func (c *applyCmd) watch(ctx context.Context, std cli.Streams, ns vlan.Namespace, want vlan.Wanted) error {
	logger := daemon.Logger(std.Err)
	watcher := vlan.Watcher{Namespace: ns, Log: logger}
	next := make(chan vlan.Wanted)
	return daemon.Service{
		Logger: logger,
		Reload: func(ctx context.Context) error {
			r, err := c.rack(std)
			if err != nil {
				return err
			}
			want := r.Wanted(c.Prune)
			if _, err := compare(ctx, ns, want); err != nil && !errors.Is(err, vlan.ErrParent) {
				return err
			}
			select {
			case next <- want:
			case <-ctx.Done():
			}
			return nil
		},
		Run: func(ctx context.Context, ready func()) error {
			once := sync.OnceFunc(ready)
			for {
				again, err := until(ctx, watcher, want, next, once)
				if again == nil || err != nil {
					return err
				}
				want = *again
			}
		},
	}.Serve(ctx, c.Flags)
}

// until watches until there is something else to watch, and returns that.
func until(ctx context.Context, watcher vlan.Watcher, want vlan.Wanted, next <-chan vlan.Wanted, ready func()) (*vlan.Wanted, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- watcher.Watch(ctx, want) }()
	ready()
	select {
	case again := <-next:
		cancel()
		<-done
		return &again, nil
	case err := <-done:
		if errors.Is(err, context.Canceled) {
			return nil, nil
		}
		return nil, err
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
