package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Apply carries out plans of one source, reading each file once for all roots.
//
// First everything new is written aside. Until then a full disk, a cancelled
// ctx or a source that changes ([ErrChanged]) leaves the roots as they were.
// Then names are changed, which ctx no longer stops. A root that fails, or is
// [ErrLocked], does not keep the others from being brought up. What a Pi has
// written in the way of a change since the plan was made is left alone, and is
// [ErrConflict]. What was replaced or deleted
// stays in the trash until [EmptyTrash].
func Apply(ctx context.Context, plans []Plan, progress func(Progress)) error {
	plans = slices.DeleteFunc(slices.Clone(plans), func(p Plan) bool { return len(p.Changes) == 0 })
	if len(plans) == 0 {
		return ctx.Err()
	}
	for _, p := range plans {
		if p.source != plans[0].source || p.tree != plans[0].tree {
			return errors.New("rootfs: plans of one source are applied together, these are of several")
		}
	}
	a := &application{tree: plans[0].tree, meter: &meter{report: progress}}
	defer a.meter.end()
	defer a.clear()
	var problems []error
	for _, p := range plans {
		s, err := openSide(p.Root.Dir)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		a.works = append(a.works, newWork(p, s))
	}
	err := a.stage(ctx, plans[0])
	if err == nil {
		err = a.commit(ctx)
	}
	return errors.Join(append(problems, err)...)
}

// application is plans of one source that are being applied.
type application struct {
	tree  *node
	works []*work
	meter *meter
}

// work is one root of an application.
type work struct {
	*target
	plan    Plan
	side    *side
	root    *target           // its base is the root itself
	slots   map[string]string // what a New or Replace of a path puts there
	started bool              // names may have changed
}

func newWork(p Plan, s *side) *work {
	w := &work{target: &target{dir: s.path, base: s.dir}, plan: p, side: s, slots: map[string]string{}}
	root, err := s.root()
	w.root = &target{dir: s.path, base: root}
	if err == nil {
		err = mkdir(s.dir, stageName)
	}
	if err == nil {
		err = s.reserve(len(p.Changes))
	}
	if err != nil {
		w.fail("", err)
	}
	for i, c := range p.Changes {
		if c.Kind == New || c.Kind == Replace {
			w.slots[c.Path] = path.Join(stageName, strconv.Itoa(i))
		}
	}
	return w
}

// reserve takes room that is given back before names are changed, so that
// directories can grow then on a disk that is full.
func (s *side) reserve(changes int) error {
	fd, err := openBeneath(s.dir, reserveName, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(fd, 0, 0, min(max(int64(changes)*512, 64<<10), 16<<20))
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	return errors.Join(err, unix.Close(fd))
}

// clear removes what was staged and never put in place, and unlocks the roots.
func (a *application) clear() {
	for _, w := range a.works {
		if w.root.base >= 0 {
			unix.Close(w.root.base)
		}
		if !w.started {
			w.side.clear()
		}
		w.side.close()
	}
}

// stage writes everything new aside, and to disk.
func (a *application) stage(ctx context.Context, plan Plan) error {
	source, err := openSource(plan.source)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	c := newCopier(ctx, source, a.meter)
	jobs := a.jobs()
	var begin error
	for _, j := range jobs {
		if begin = c.copy(j.n, j.path, j.places); begin != nil {
			break
		}
	}
	if err := c.finish(begin); err != nil {
		return err
	}
	if err := c.link(a.where); err != nil {
		return err
	}
	for _, j := range jobs {
		for _, to := range j.places {
			if err := c.finishDirs(j.n, j.path, to); err != nil {
				return err
			}
		}
	}
	if !plan.push && plan.source != plan.Root.Dir { // a Pi writes in its root all the time
		if err := verify(ctx, source, a.tree); err != nil {
			return err
		}
	}
	return a.sync()
}

// job is one entry of the source with all the places that want it.
type job struct {
	n      *node
	path   string
	places []place
}

// jobs puts together what the roots want of the source. What edits make is
// each root's own.
func (a *application) jobs() []*job {
	var list []*job
	shared := map[string]*job{}
	for _, w := range a.works {
		for _, c := range w.plan.Changes {
			slot, ok := w.slots[c.Path]
			if !ok || w.failed.Load() {
				continue
			}
			a.meter.expect(c.Files, c.Bytes)
			to := place{w.target, slot}
			own := c.node.made || c.node.mixed
			if j := shared[c.Path]; j != nil && !own {
				j.places = append(j.places, to)
				continue
			}
			j := &job{c.node, c.Path, []place{to}}
			list = append(list, j)
			if !own {
				shared[c.Path] = j
			}
		}
	}
	return list
}

// where finds the first entry of an inode in a root or in what is staged for it.
func (a *application) where(t *target, first string) (place, bool) {
	i := slices.IndexFunc(a.works, func(w *work) bool { return w.target == t })
	w := a.works[i]
	for p := first; p != ""; p = parentOf(p) {
		if slot, ok := w.slots[p]; ok {
			staged, _ := rebase(first, p, slot)
			return place{t, staged}, true
		}
	}
	return place{w.root, first}, w.stays(first)
}

// stays reports whether what a root has at a path is what the source has there,
// its metadata aside.
func (w *work) stays(p string) bool {
	want := w.plan.tree.find(p)
	st, err := lstat(w.root.base, p)
	if err != nil || want == nil {
		return false
	}
	have := node{st: st}
	return have.kind() == want.kind() && (!have.regular() || st.Size == want.st.Size && st.Mtim == want.st.Mtim)
}

func (a *application) sync() error {
	sides, targets := make([]*side, len(a.works)), make([]*target, len(a.works))
	for i, w := range a.works {
		sides[i], targets[i] = w.side, w.target
	}
	return syncTargets(sides, targets)
}

// commit puts everything in place.
func (a *application) commit(ctx context.Context) error {
	var group errgroup.Group // the disk takes what many wait for at once
	group.SetLimit(parallel())
	for _, w := range a.works {
		group.Go(func() error {
			err := ctx.Err()
			if err == nil && !w.failed.Load() {
				err = w.commit()
			}
			if err != nil {
				w.fail("", err)
			}
			return nil
		})
	}
	group.Wait()
	problems := make([]error, len(a.works))
	for i, w := range a.works {
		problems[i] = w.err
	}
	return errors.Join(problems...)
}

func (w *work) commit() error {
	steps, err := w.steps()
	if err != nil {
		return err
	}
	j := journal{Steps: steps, Pushed: w.pushed()}
	if err := w.side.writeJournal(j); err != nil {
		return err
	}
	w.started = true
	return w.side.replay(j, false)
}

// steps returns the plan as what the journal holds.
func (w *work) steps() ([]step, error) {
	var steps, dirs []step
	touched := map[string]bool{}
	for i, c := range w.plan.Changes {
		s := step{Kind: c.Kind, Path: name(c.Path), Slot: strconv.Itoa(i), Inode: c.inode}
		switch c.Kind {
		case New, Replace:
			st, err := lstat(w.side.dir, w.slots[c.Path])
			if err != nil {
				return nil, fmt.Errorf("%q: staged: %w", c.Path, err)
			}
			s.Inode, s.Was, s.Stamp = st.Ino, c.inode, c.stamp
		case Metadata:
			s.Slot, s.Meta = "", metadataOf(c.node)
			if c.node.isDir() {
				dirs = append(dirs, s)
				touched[c.Path] = true
				continue
			}
		}
		steps = append(steps, s)
	}
	if !w.plan.push {
		dirs = append(dirs, w.times(touched)...)
	}
	slices.SortFunc(dirs, func(a, b step) int { return comparePaths(string(b.Path), string(a.Path)) })
	return append(steps, dirs...), nil
}

// times returns the steps that give directories the source's times again,
// whose entries change.
func (w *work) times(done map[string]bool) []step {
	var steps []step
	for _, c := range w.plan.Changes {
		if c.Kind == Metadata || c.Path == "" {
			continue
		}
		p := parentOf(c.Path)
		n := w.plan.tree.find(p)
		if done[p] || n == nil || !n.isDir() {
			continue
		}
		done[p] = true
		steps = append(steps, step{Kind: Metadata, Path: name(p), Meta: metadataOf(n)})
	}
	return steps
}
