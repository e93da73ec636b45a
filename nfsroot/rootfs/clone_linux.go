package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// Clone makes the roots: copies of the golden tree, each with its identity.
// Owners, modes, times, hard and symbolic links, extended attributes, holes,
// devices and fifos are kept. Every file is read once for all roots.
//
// A root whose directory exists and is not empty is [ErrExists]. A root that
// fails is left as it was and does not keep the others from being made; when
// the golden tree cannot be read, or changes meanwhile ([ErrChanged]), or ctx
// ends, none is made.
func Clone(ctx context.Context, golden string, roots []Root, progress func(Progress)) error {
	sides, err := openSides(roots)
	if err != nil {
		return err
	}
	defer closeAll(sides)
	for _, s := range sides {
		exists, err := s.exists()
		if err == nil && exists {
			err = ErrExists
		}
		if err != nil {
			return fmt.Errorf("rootfs: %s: %w", s.path, err)
		}
	}
	targets, err := build(ctx, golden, roots, sides, progress)
	if err != nil {
		return err
	}
	var problems []error
	for i, s := range sides {
		if err := targets[i].err; err != nil {
			problems = append(problems, err)
		} else if err := s.place(); err != nil {
			problems = append(problems, fmt.Errorf("rootfs: %s: %w", s.path, err))
		}
	}
	return errors.Join(problems...)
}

// openSides checks and locks roots, all or none.
func openSides(roots []Root) ([]*side, error) {
	var problems []error
	sides := make([]*side, len(roots))
	for i, root := range roots {
		if err := root.Identity.check(); err != nil {
			problems = append(problems, fmt.Errorf("rootfs: %s: %w", root.Dir, err))
			continue
		}
		var err error
		if sides[i], err = openSide(root.Dir); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		closeAll(sides)
		return nil, err
	}
	return sides, nil
}

// place puts a stage where there is no root yet, or an empty directory.
func (s *side) place() error {
	if err := unix.Renameat(s.dir, stageName, s.parent, s.name); err != nil {
		return err
	}
	return errors.Join(unix.Fsync(s.parent), unix.Fsync(s.dir))
}

// openSource opens a tree that is read.
func openSource(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("rootfs: source %s: %w", dir, err)
	}
	return fd, nil
}

// build makes whole personalised copies of the golden tree in the stages of
// the sides, on disk when it returns. On an error nothing is left; a target's
// own error leaves nothing of that target.
func build(ctx context.Context, golden string, roots []Root, sides []*side, progress func(Progress)) (targets []*target, err error) {
	source, err := openSource(golden)
	if err != nil {
		return nil, err
	}
	defer unix.Close(source)
	tree, err := scan(ctx, source, true, nil)
	if err != nil {
		return nil, fmt.Errorf("rootfs: source %s: %w", golden, err)
	}
	targets = make([]*target, len(sides))
	for i, s := range sides {
		targets[i] = &target{dir: s.path, base: s.dir}
	}
	defer func() {
		for i, s := range sides {
			if err != nil || targets[i].err != nil {
				err = errors.Join(err, s.remove(stageName))
			}
		}
	}()
	if err := fill(ctx, source, tree, roots, targets, progress); err != nil {
		return nil, err
	}
	if err := verify(ctx, source, tree); err != nil {
		return nil, err
	}
	return targets, syncTargets(sides, targets)
}

// fill copies the tree into the stage of each target.
func fill(ctx context.Context, source int, tree *node, roots []Root, targets []*target, progress func(Progress)) error {
	m := &meter{report: progress}
	defer m.end()
	files, bytes := tree.totals()
	m.expect(files*int64(len(targets)), bytes*int64(len(targets)))
	c := newCopier(ctx, source, m)
	places := make([]place, len(targets))
	for i, t := range targets {
		places[i] = place{t, stageName}
	}
	if err := c.finish(c.copy(tree, "", places)); err != nil {
		return err
	}
	err := c.link(func(t *target, first string) (place, bool) { return place{t, path.Join(stageName, first)}, true })
	if err != nil {
		return err
	}
	for i, t := range targets {
		if t.failed.Load() {
			continue
		}
		if err := personalise(t.base, roots[i].Identity); err != nil {
			t.fail("", err)
		}
		if err := c.finishDirs(tree, "", places[i]); err != nil {
			return err
		}
	}
	return nil
}

// verify makes sure that what was copied is a tree that has been there as a
// whole: that nothing has changed since it was scanned.
func verify(ctx context.Context, source int, tree *node) error {
	now, err := scan(ctx, source, false, nil)
	if err == nil {
		err = unchanged(tree, now, "")
	}
	if err != nil {
		return fmt.Errorf("rootfs: source: %w", err)
	}
	return nil
}

// syncTargets writes each filesystem to disk once.
func syncTargets(sides []*side, targets []*target) error {
	done := map[uint64]error{}
	for i, s := range sides {
		if targets[i].failed.Load() {
			continue
		}
		err, ok := done[s.dev]
		if !ok {
			err = s.sync()
			done[s.dev] = err
		}
		if err != nil {
			targets[i].fail("", err)
		}
	}
	return nil
}
