package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

type rootsCmd struct {
	Clone    cloneCmd    `cmd:"" help:"Make the roots of the Pis: copies of the golden tree, each Pi's own."`
	Sync     syncCmd     `cmd:"" help:"Bring the roots up to the golden tree, while the Pis run."`
	Push     pushCmd     `cmd:"" help:"Give a file that was written on one Pi to the others."`
	Rebuild  rebuildCmd  `cmd:"" help:"Give a Pi a new root: off, swap, on. The old one is kept."`
	Rollback rollbackCmd `cmd:"" help:"Give a Pi its former root back."`
	Status   statusCmd   `cmd:"" help:"Say what is known of the roots."`
	Empty    emptyCmd    `cmd:"" help:"Remove what syncs have replaced, of Pis that have booted since."`
}

// of are the flags that name roots.
type of struct {
	source
	DestDir string   `name:"destdir" placeholder:"DIR" help:"Stands before every export."`
	Pis     []string `arg:"" optional:"" name:"pi" help:"Pis; all of them without any."`
}

// roots returns the roots that the arguments name.
func (o of) roots(std cli.Streams, golden string) (*rack.Rack, []rack.Pi, []rootfs.Root, error) {
	r, err := o.rack(std)
	if err != nil {
		return nil, nil, nil, err
	}
	pis, err := r.Select(o.Pis)
	if err != nil {
		return nil, nil, nil, &cli.UsageError{Err: err}
	}
	roots, err := r.Roots(o.DestDir, golden, pis)
	return r, pis, roots, err
}

// golden is the tree that roots are made of.
type golden struct {
	Golden string `default:"/srv/golden" placeholder:"DIR" help:"The tree that roots are copies of (${default})."`
}

type cloneCmd struct {
	of
	golden
	dry
}

func (c *cloneCmd) Run(ctx context.Context, std cli.Streams) error {
	_, _, roots, err := c.roots(std, c.Golden)
	if err != nil {
		return err
	}
	if !c.DryRun {
		return rootfs.Clone(ctx, c.Golden, roots, progress(std.Err))
	}
	var steps []string
	for _, root := range roots {
		steps = append(steps, fmt.Sprintf("cp -a %s/. %s/", c.Golden, root.Dir))
		edits, err := rootfs.PlanPersonalise(c.Golden, root.Identity)
		if err != nil {
			return err
		}
		for _, e := range edits {
			steps = append(steps, fmt.Sprintf("  edit %s/%v", root.Dir, e))
		}
	}
	return c.plan(std.Out, steps)
}

type syncCmd struct {
	of
	golden
	dry
}

func (c *syncCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := c.roots(std, c.Golden)
	if err != nil {
		return err
	}
	plans, err := rootfs.PlanSync(ctx, c.Golden, roots)
	if err != nil {
		return err
	}
	return c.carryOut(ctx, std, pis, plans)
}

// carryOut prints plans, and applies them unless it is a dry run.
func (d dry) carryOut(ctx context.Context, std cli.Streams, pis []rack.Pi, plans []rootfs.Plan) error {
	var steps []string
	var conflicts []error
	for i, plan := range plans {
		fmt.Fprintf(std.Err, "pirack: %s: %v\n", pis[i].Name, plan.Counts())
		for _, change := range plan.Changes {
			steps = append(steps, fmt.Sprintf("%s: %v", pis[i].Name, change))
		}
		for _, conflict := range plan.Conflicts {
			conflicts = append(conflicts, fmt.Errorf("%s: %v", pis[i].Name, conflict))
		}
	}
	if d.DryRun {
		return errors.Join(d.plan(std.Out, steps), errors.Join(conflicts...))
	}
	return errors.Join(rootfs.Apply(ctx, plans, progress(std.Err)), errors.Join(conflicts...))
}

type pushCmd struct {
	source
	dry
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every export."`
	Golden  string `placeholder:"DIR" help:"The tree that roots are copies of: it gets the file too, and its version may be replaced."`
	From    string `required:"" placeholder:"PI" help:"The Pi that has the file."`
	Watch   bool   `help:"Go on, and push what changes."`
	Path    string `arg:"" help:"The file or directory, as the Pi names it."`
}

func (c *pushCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := of{source: c.source, DestDir: c.DestDir}.roots(std, c.Golden)
	if err != nil {
		return err
	}
	from := slices.IndexFunc(pis, func(pi rack.Pi) bool { return pi.Name == c.From })
	if from < 0 {
		return &cli.UsageError{Err: fmt.Errorf("the rack has no Pi %q", c.From)}
	}
	push := rootfs.Push{From: roots[from], Path: strings.TrimPrefix(path.Clean("/"+c.Path), "/"), Golden: c.Golden}
	push.To = slices.Delete(roots, from, from+1)
	pis = slices.Delete(pis, from, from+1)
	if c.Golden != "" {
		push.To = append(push.To, rootfs.Root{Dir: c.Golden})
		pis = append(pis, rack.Pi{Name: "golden tree"})
	}
	if !c.Watch {
		plans, err := rootfs.PlanPush(ctx, push)
		if err != nil {
			return err
		}
		return c.carryOut(ctx, std, pis, plans)
	}
	return rootfs.Watch(ctx, push, 0, func(plans []rootfs.Plan, err error) {
		for i, plan := range plans {
			fmt.Fprintf(std.Out, "%s: %v\n", pis[i].Name, plan.Counts())
			for _, conflict := range plan.Conflicts {
				fmt.Fprintf(std.Err, "pirack: %s: %v\n", pis[i].Name, conflict)
			}
		}
		if err != nil {
			fmt.Fprintf(std.Err, "pirack: %v\n", err)
		}
	})
}

type rebuildCmd struct {
	of
	state
	golden
	dry
	Force bool `help:"Even while the Pi is up: everything that it has open will be stale."`
}

func (c *rebuildCmd) Run(ctx context.Context, std cli.Streams) error {
	r, pis, roots, err := c.roots(std, c.Golden)
	if err != nil {
		return err
	}
	return c.swap(ctx, std, c.state, r, pis, c.Force, func(i int, m rootfs.Machine) []string {
		return rootfs.RebuildSteps(c.Golden, roots[i], m)
	}, func(i int, m rootfs.Machine) error {
		return rootfs.Rebuild(ctx, c.Golden, roots[i], m, progress(std.Err))
	})
}

type rollbackCmd struct {
	of
	state
	dry
	Force bool `help:"Even while the Pi is up: everything that it has open will be stale."`
}

func (c *rollbackCmd) Run(ctx context.Context, std cli.Streams) error {
	r, pis, roots, err := c.roots(std, "")
	if err != nil {
		return err
	}
	return c.swap(ctx, std, c.state, r, pis, c.Force, func(i int, m rootfs.Machine) []string {
		return rootfs.RollbackSteps(roots[i].Dir, m)
	}, func(i int, m rootfs.Machine) error {
		return rootfs.Rollback(ctx, roots[i].Dir, m)
	})
}

// swap does to one Pi after the other what gives it another root, or prints it.
func (d dry) swap(ctx context.Context, std cli.Streams, state state, r *rack.Rack, pis []rack.Pi, force bool,
	steps func(int, rootfs.Machine) []string, do func(int, rootfs.Machine) error) error {
	var all []string
	for i, pi := range pis {
		if d.DryRun {
			all = append(all, steps(i, r.Machine(pi, rack.PlannedPower(r, pi), force))...)
			continue
		}
		power, done, err := state.power(ctx, std, r, pi)
		if err != nil {
			return err
		}
		if err := errors.Join(do(i, r.Machine(pi, power, force)), done()); err != nil {
			return fmt.Errorf("%s: %w", pi.Name, err)
		}
	}
	return d.plan(std.Out, all)
}

type statusCmd struct {
	of
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *statusCmd) Run(std cli.Streams) error {
	_, pis, roots, err := c.roots(std, "")
	if err != nil {
		return err
	}
	all := map[string]rootfs.Status{}
	t := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PI\tROOT\tTHERE\tFORMER\tTRASH\tSTATE")
	for i, root := range roots {
		s, err := rootfs.Look(root.Dir)
		if err != nil {
			return err
		}
		all[pis[i].Name] = s
		state := "-"
		switch {
		case s.Locked:
			state = "at work"
		case s.Interrupted:
			state = "interrupted"
		}
		fmt.Fprintf(t, "%s\t%s\t%t\t%d\t%d\t%s\n", pis[i].Name, s.Dir, s.Exists, s.Old, s.Trash, state)
	}
	if c.JSON {
		return printJSON(std.Out, all)
	}
	return t.Flush()
}

type emptyCmd struct {
	of
	Booted time.Time `required:"" placeholder:"TIME" help:"When the Pis booted last, as 2016-04-13T09:00:00Z: what was replaced before is removed."`
}

func (c *emptyCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := c.roots(std, "")
	if err != nil {
		return err
	}
	var errs []error
	for i, root := range roots {
		if err := rootfs.EmptyTrash(ctx, root.Dir, c.Booted); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", pis[i].Name, err))
		}
	}
	return errors.Join(errs...)
}

// progress returns a callback that draws a bar of the bytes.
func progress(w io.Writer) func(rootfs.Progress) {
	bar := cli.Bar(w, -1)
	return func(p rootfs.Progress) {
		bar.ChangeMax64(max(p.AllBytes, 1))
		bar.Set64(p.Bytes)
		if p.Files == p.AllFiles {
			bar.Finish()
		}
	}
}
