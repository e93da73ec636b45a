package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
	"github.com/berryrack/berryrack/nfsroot/rootfs"
)

type rootsCmd struct {
	Clone    cloneCmd    `cmd:"" help:"Make the roots of the Pis: copies of the golden tree, each Pi's own." example:"roots clone -f rack.yaml --golden /srv/golden"`
	Sync     syncCmd     `cmd:"" help:"Bring the roots up to the golden tree, while the Pis run." example:"roots sync -f rack.yaml -n"`
	Push     pushCmd     `cmd:"" help:"Give a file that was written on one Pi to the others." example:"roots push -f rack.yaml --from pi1 /srv/www/photo.jpg"`
	Rebuild  rebuildCmd  `cmd:"" help:"Give a Pi a new root: off, swap, on. The old one is kept." example:"roots rebuild -f rack.yaml pi1"`
	Rollback rollbackCmd `cmd:"" help:"Give a Pi its former root back." example:"roots rollback -f rack.yaml pi1"`
	Discard  discardCmd  `cmd:"" help:"Remove the former roots of Pis: there is no way back then." example:"roots discard -f rack.yaml pi1"`
	Status   statusCmd   `cmd:"" help:"Say what is known of the roots." example:"roots status -f rack.yaml"`
	Empty    emptyCmd    `cmd:"" help:"Remove what syncs have replaced, of Pis that have booted since." example:"roots empty -f rack.yaml pi1 --booted 2016-04-13T09:00:00Z"`
}

// place are the flags that say where roots are.
type place struct {
	source
	state
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every export."`
}

// every are the Pis of a command that may be for all of them.
type every struct {
	place
	Pis []string `arg:"" optional:"" name:"pi" help:"Pis; all of them without any."`
}

// named are the Pis of a command that throws something away.
type named struct {
	place
	Pis []string `arg:"" name:"pi" help:"Pis."`
}

// roots returns the roots of Pis.
func (p place) roots(std cli.Streams, golden string, names []string) (*rack.Rack, []rack.Pi, []rootfs.Root, error) {
	r, err := p.rack(std)
	if err != nil {
		return nil, nil, nil, err
	}
	pis, err := r.Select(names)
	if err != nil {
		return nil, nil, nil, &cli.UsageError{Err: err}
	}
	roots, err := r.Roots(p.DestDir, golden, pis)
	return r, pis, roots, err
}

// golden is the tree that roots are made of.
type golden struct {
	Golden string `default:"/srv/golden" placeholder:"DIR" help:"The tree that roots are copies of (${default}); --destdir does not stand before it."`
}

type cloneCmd struct {
	every
	golden
	dry
}

func (c *cloneCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := c.roots(std, c.Golden, c.Pis)
	if err != nil {
		return err
	}
	if !c.DryRun {
		err := rootfs.Clone(ctx, c.Golden, roots, progress(std.Err))
		return errors.Join(err, c.report(std, err, steps(pis, "cloned")))
	}
	var steps []string
	for _, root := range roots {
		if s, err := rootfs.Look(root.Dir); err != nil {
			return err
		} else if s.Exists {
			return fmt.Errorf("%s: %w", root.Dir, rootfs.ErrExists)
		}
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
	every
	golden
	dry
}

func (c *syncCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := c.roots(std, c.Golden, c.Pis)
	if err != nil {
		return err
	}
	plans, err := rootfs.PlanSync(ctx, c.Golden, roots)
	return c.carryOut(ctx, std, pis, plans, err)
}

// steps says of each Pi that something was done.
func steps(pis []rack.Pi, what string) []string {
	var list []string
	for _, pi := range pis {
		list = append(list, pi.Name+": "+what)
	}
	return list
}

// report prints what a real run has done, as JSON when that is asked for.
func (d dry) report(std cli.Streams, err error, steps []string) error {
	if err != nil || !d.JSON {
		return nil
	}
	return printSteps(std.Out, true, steps)
}

// carryOut prints plans, and applies them unless it is a dry run. What cannot be
// done, with what could not be planned, is an error all the same.
func (d dry) carryOut(ctx context.Context, std cli.Streams, pis []rack.Pi, plans []rootfs.Plan, planned error) error {
	var steps []string
	conflicts := []error{planned}
	for i, plan := range plans {
		fmt.Fprintf(std.Err, "pirack: %s: %v\n", pis[i].Name, plan.Counts())
		for _, change := range plan.Changes {
			steps = append(steps, fmt.Sprintf("%s: %v", pis[i].Name, change))
		}
		for _, conflict := range plan.Conflicts {
			conflicts = append(conflicts, fmt.Errorf("%s: %v", pis[i].Name, conflict))
		}
	}
	problem := errors.Join(conflicts...)
	if !d.DryRun {
		problem = errors.Join(rootfs.Apply(ctx, plans, progress(std.Err)), problem)
		return errors.Join(problem, d.report(std, problem, steps))
	}
	if problem != nil { // which the real run would fail with too
		return errors.Join(printSteps(std.Out, d.JSON, steps), problem)
	}
	return d.plan(std.Out, steps)
}

type pushCmd struct {
	place
	dry
	Golden string `placeholder:"DIR" help:"The tree that roots are copies of: it gets the file too, and its version may be replaced. Without it the next sync deletes the file, unless rack.yaml keeps it. --destdir does not stand before it."`
	From   string `required:"" placeholder:"PI" help:"The Pi that has the file."`
	Watch  bool   `help:"Go on, and push what changes; with -n, once."`
	Path   string `arg:"" help:"The file or directory, as the Pi names it. A change of mode or owner alone is not pushed."`
}

func (c *pushCmd) Run(ctx context.Context, std cli.Streams) error {
	_, pis, roots, err := c.roots(std, c.Golden, nil)
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
		if push.Golden, err = filepath.Abs(c.Golden); err != nil {
			return err
		}
		push.To = append(push.To, rootfs.Root{Dir: push.Golden})
		pis = append(pis, rack.Pi{Name: "golden tree"})
	}
	if !c.Watch || c.DryRun {
		plans, err := rootfs.PlanPush(ctx, push)
		return c.carryOut(ctx, std, pis, plans, err)
	}
	err = rootfs.Watch(ctx, push, 0, func(plans []rootfs.Plan, err error) { c.watched(std, pis, plans, err) })
	if ctx.Err() != nil { // told to end
		return nil
	}
	return err
}

// watched prints what one look of a watch has done: with --json a document each.
func (c *pushCmd) watched(std cli.Streams, pis []rack.Pi, plans []rootfs.Plan, err error) {
	var steps []string
	for i, plan := range plans {
		steps = append(steps, fmt.Sprintf("%s: %v", pis[i].Name, plan.Counts()))
		for _, conflict := range plan.Conflicts {
			fmt.Fprintf(std.Err, "pirack: %s: %v\n", pis[i].Name, conflict)
		}
	}
	if err := errors.Join(err, printSteps(std.Out, c.JSON, steps)); err != nil {
		fmt.Fprintf(std.Err, "pirack: %v\n", err)
	}
}

type rebuildCmd struct {
	named
	golden
	dry
	Force bool `help:"Even while the Pi is up, which it is when its port 22 answers or refuses: everything that it has open will be stale."`
}

func (c *rebuildCmd) Run(ctx context.Context, std cli.Streams) error {
	r, pis, roots, err := c.roots(std, c.Golden, c.Pis)
	if err != nil {
		return err
	}
	return c.swap(ctx, std, c.state, r, pis, c.DestDir, c.Force, func(i int, m rootfs.Machine) []string {
		return rootfs.RebuildSteps(c.Golden, roots[i], m)
	}, func(i int, m rootfs.Machine) error {
		return rootfs.Rebuild(ctx, c.Golden, roots[i], m, progress(std.Err))
	})
}

type rollbackCmd struct {
	named
	dry
	Force bool `help:"Even while the Pi is up, which it is when its port 22 answers or refuses: everything that it has open will be stale."`
}

func (c *rollbackCmd) Run(ctx context.Context, std cli.Streams) error {
	r, pis, roots, err := c.roots(std, "", c.Pis)
	if err != nil {
		return err
	}
	return c.swap(ctx, std, c.state, r, pis, c.DestDir, c.Force, func(i int, m rootfs.Machine) []string {
		return rootfs.RollbackSteps(roots[i].Dir, m)
	}, func(i int, m rootfs.Machine) error {
		return rootfs.Rollback(ctx, roots[i].Dir, m)
	})
}

// swap does to one Pi after the other what gives it another root, or prints it.
func (d dry) swap(ctx context.Context, std cli.Streams, state state, r *rack.Rack, pis []rack.Pi, destdir string, force bool,
	steps func(int, rootfs.Machine) []string, do func(int, rootfs.Machine) error) error {
	var all []string
	for i, pi := range pis {
		if d.DryRun {
			all = append(all, steps(i, r.Machine(pi, rack.PlannedPower(r, pi), destdir, force))...)
			continue
		}
		power, done, err := state.power(ctx, std, r, pi)
		if err != nil {
			return err
		}
		if err := errors.Join(do(i, r.Machine(pi, power, destdir, force)), done()); err != nil {
			return fmt.Errorf("%s: %w", pi.Name, err)
		}
		all = append(all, pi.Name+": swapped")
	}
	if !d.DryRun {
		return d.report(std, nil, all)
	}
	return d.plan(std.Out, all)
}

type statusCmd struct {
	every
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *statusCmd) Run(std cli.Streams) error {
	_, pis, roots, err := c.roots(std, "", c.Pis)
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
	named
	dry
	Booted time.Time `required:"" placeholder:"TIME" help:"When the Pis booted last, as 2016-04-13T09:00:00Z: what was replaced before is removed."`
}

func (c *emptyCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.Booted.After(time.Now()) {
		return &cli.UsageError{Err: fmt.Errorf("--booted: %v is yet to come", c.Booted)}
	}
	return c.throwAway(ctx, std, c.dry, "remove what syncs had replaced by "+c.Booted.Format(time.RFC3339),
		func(s rootfs.Status) int { return s.Trash },
		func(dir string) error { return rootfs.EmptyTrash(ctx, dir, c.Booted) })
}

type discardCmd struct {
	named
	dry
}

func (c *discardCmd) Run(ctx context.Context, std cli.Streams) error {
	return c.throwAway(ctx, std, c.dry, "remove the former roots",
		func(s rootfs.Status) int { return s.Old },
		func(dir string) error { return rootfs.DiscardOld(ctx, dir) })
}

// throwAway removes something of each root that has it, or prints that it would.
func (n named) throwAway(ctx context.Context, std cli.Streams, d dry, what string, has func(rootfs.Status) int, do func(string) error) error {
	_, pis, roots, err := n.roots(std, "", n.Pis)
	if err != nil {
		return err
	}
	var steps []string
	var errs []error
	for i, root := range roots {
		status, err := rootfs.Look(root.Dir)
		if err == nil && has(status) > 0 {
			steps = append(steps, pis[i].Name+": "+what)
			if !d.DryRun {
				err = do(root.Dir)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", pis[i].Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil || !d.DryRun {
		return errors.Join(err, d.report(std, err, steps))
	}
	return d.plan(std.Out, steps)
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
