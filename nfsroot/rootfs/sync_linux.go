package rootfs

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// PlanSync compares roots with what the golden tree and their identities make
// of them: what is to be made new, replaced, changed in its metadata and
// deleted. It changes nothing. A root that cannot be read has an empty plan and
// its part in the error, and does not keep the others' plans from being applied.
//
// What the Pi has for itself is left out ([DefaultKeep], Root.Keep), and so are
// the edits that only a new root gets, its machine id and SSH host keys.
func PlanSync(ctx context.Context, golden string, roots []Root) ([]Plan, error) {
	source, err := openSource(golden)
	if err != nil {
		return nil, err
	}
	defer unix.Close(source)
	tree, err := scan(ctx, source, true, nil)
	if err != nil {
		return nil, fmt.Errorf("rootfs: source %s: %w", golden, err)
	}
	plans := make([]Plan, len(roots))
	var problems []error
	for i, root := range roots {
		plans[i] = Plan{Root: root, source: golden, tree: tree}
		plans[i].Changes, err = compare(ctx, source, tree, root)
		if err != nil {
			problems = append(problems, fmt.Errorf("rootfs: %s: %w", root.Dir, asRoot(err)))
		}
	}
	return plans, errors.Join(problems...)
}

func compare(ctx context.Context, source int, golden *node, root Root) ([]Change, error) {
	edits, err := root.Identity.edits(treeReader{source})
	if err != nil {
		return nil, err
	}
	dir, err := unix.Open(root.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	have, err := scan(ctx, dir, true, &live{root.keeps()})
	if err != nil {
		return nil, err
	}
	want, err := overlay(golden, edits, treeReader{dir})
	if err != nil {
		return nil, err
	}
	return diff(want, have, root.keeps()), nil
}

// Personalise gives a root its identity, and returns what it had to change:
// nothing the second time. Clone does this for new roots. To a root that has
// booted it is as to a new one: its machine id and SSH host keys are gone.
func Personalise(ctx context.Context, dir string, id Identity) ([]Edit, error) {
	edits, err := PlanPersonalise(dir, id)
	if err != nil || len(edits) == 0 {
		return nil, err
	}
	base, err := openSource(dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(base)
	have, err := scan(ctx, base, true, nil)
	if err != nil {
		return nil, fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	want, err := overlay(have, edits, treeReader{base})
	if err != nil {
		return nil, fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	plan := Plan{Root: Root{Dir: dir, Identity: id}, Changes: diff(want, have, nil), source: dir, tree: have}
	return edits, Apply(ctx, []Plan{plan}, nil)
}

// PlanPersonalise returns what Personalise would change.
func PlanPersonalise(dir string, id Identity) ([]Edit, error) {
	base, err := openSource(dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(base)
	edits, err := id.edits(treeReader{base})
	if err != nil {
		return nil, fmt.Errorf("rootfs: %s: %w", dir, err)
	}
	return edits, nil
}
