package rootfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errNothing means that there is not yet what is to be pushed.
var errNothing = errors.New("nothing to push")

// maxPush bounds the entries that one push looks at.
const maxPush = 100_000

// PlanPush compares what is to be pushed with the same path of the other
// roots. Nothing is deleted there.
//
// What another root has differently is replaced only when it is what Push has
// put there last, or what the golden tree has: otherwise it is a conflict,
// which the plan names and leaves alone. Content alone makes a difference: a
// file of which only the mode or owner has changed is not pushed. A root that
// cannot be read has an empty plan and its part in the error, as in [PlanSync].
//
// A Pi may be anybody's by now: devices, sockets and fifos are passed over, and
// set-user-ID, set-group-ID and extended attributes are not passed on.
func PlanPush(ctx context.Context, push Push) ([]Plan, error) {
	p := cleanPath(push.Path)
	if p == "" {
		return nil, fmt.Errorf("rootfs: %s: a whole root cannot be pushed", push.From.Dir)
	}
	source, err := openSource(push.From.Dir)
	if err != nil {
		return nil, err
	}
	defer unix.Close(source)
	tree, err := scanPath(ctx, source, p)
	if missing(err) {
		err = fmt.Errorf("%w: %w", errNothing, err)
	}
	if err != nil {
		return nil, fmt.Errorf("rootfs: %s: %w", push.From.Dir, err)
	}
	golden := -1
	if push.Golden != "" {
		if golden, err = openSource(push.Golden); err != nil {
			return nil, err
		}
		defer unix.Close(golden)
	}
	plans := make([]Plan, len(push.To))
	var problems []error
	for i, root := range push.To {
		if plans[i], err = planPush(ctx, source, golden, tree, root); err != nil {
			plans[i].Changes = nil
			problems = append(problems, fmt.Errorf("rootfs: %s: %w", root.Dir, err))
		}
		plans[i].source = push.From.Dir
	}
	return plans, errors.Join(problems...)
}

// scanPath reads one path and what is below it, into a tree that has nothing
// else, and takes away what is not passed on.
func scanPath(ctx context.Context, base int, p string) (*node, error) {
	top := &node{}
	if err := unix.Fstat(base, &top.st); err != nil {
		return nil, err
	}
	n := top
	for name := range strings.SplitSeq(p, "/") {
		n.children = []node{{name: name}}
		n = &n.children[0]
	}
	err := top.stat(base, "")
	if err == nil && n.isDir() {
		err = n.scanBelow(ctx, base, p)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", p, err)
	}
	if files, _ := top.totals(); files > maxPush {
		return nil, fmt.Errorf("%q: %d files, more than the %d that are pushed at a time", p, files, maxPush)
	}
	top.disarm()
	return top, nil
}

// stat fills in the nodes of a tree whose names are known.
func (n *node) stat(base int, p string) (err error) {
	if n.st, err = lstat(base, p); err != nil {
		return err
	}
	if n.kind() == unix.S_IFLNK {
		if n.link, err = readlink(base, p); err != nil {
			return err
		}
	}
	for i := range n.children {
		if err := n.children[i].stat(base, path.Join(p, n.children[i].name)); err != nil {
			return err
		}
	}
	return nil
}

func readlink(base int, p string) (string, error) {
	dir, name, err := openParent(base, p)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	return string(buf[:max(n, 0)]), err
}

func (n *node) scanBelow(ctx context.Context, base int, p string) error {
	dir, err := openDir(base, p)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	below, err := scan(ctx, dir, false, nil)
	if err == nil {
		n.st, n.children = below.st, below.children
	}
	return err
}

// disarm takes from a tree what a Pi must not put into others. Hard links
// become files of their own.
func (n *node) disarm() {
	n.first, n.xattrs = "", nil
	if n.regular() {
		n.st.Mode &^= unix.S_ISUID | unix.S_ISGID
	}
	n.children = slices.DeleteFunc(n.children, func(c node) bool { return !c.isDir() && !c.regular() && c.kind() != unix.S_IFLNK })
	for i := range n.children {
		n.children[i].disarm()
	}
}

// pushDiff finds what one root lacks of a tree that is pushed.
type pushDiff struct {
	ctx                  context.Context
	source, golden, root int // open; golden may be -1
	pushed               map[string]stamp
	plan                 *Plan
}

func planPush(ctx context.Context, source, golden int, tree *node, root Root) (Plan, error) {
	plan := Plan{Root: root, tree: tree, push: true}
	dir, err := unix.Open(root.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return plan, err
	}
	defer unix.Close(dir)
	pushed, err := readPushed(root.Dir)
	if err != nil {
		return plan, err
	}
	d := pushDiff{ctx, source, golden, dir, pushed, &plan}
	return plan, d.below(tree, "")
}

func (d *pushDiff) below(dir *node, p string) error {
	for i := range dir.children {
		n := &dir.children[i]
		if err := d.entry(n, path.Join(p, n.name)); err != nil {
			return fmt.Errorf("%q: %w", path.Join(p, n.name), err)
		}
	}
	return d.ctx.Err()
}

func (d *pushDiff) entry(n *node, p string) error {
	have, err := lstat(d.root, p)
	old := &node{st: have}
	c := Change{Path: p, Kind: Replace, node: n}
	c.Files, c.Bytes = n.totals()
	switch {
	case missing(err):
		c.Kind = New
	case err != nil:
		return err
	case old.kind() != n.kind():
		d.conflict(p, "is of another type there")
		return nil
	case n.isDir():
		return d.below(n, p)
	default:
		same, err := sameFile(d.source, d.root, p)
		if err != nil || same {
			return err
		}
		ours, err := d.replaceable(have, p)
		if err != nil {
			return err
		}
		if !ours {
			d.conflict(p, ErrConflict.Error())
			return nil
		}
		state := stampOf(have)
		c.inode, c.stamp = have.Ino, &state
	}
	d.plan.Changes = append(d.plan.Changes, c)
	return nil
}

func (d *pushDiff) conflict(p, reason string) {
	d.plan.Conflicts = append(d.plan.Conflicts, Conflict{p, reason})
}

// replaceable reports whether a root's file is one that nobody wrote there.
func (d *pushDiff) replaceable(have unix.Stat_t, p string) (bool, error) {
	if last, ok := d.pushed[p]; ok && last == stampOf(have) {
		return true, nil
	}
	if d.golden < 0 {
		return false, nil
	}
	return sameFile(d.golden, d.root, p)
}

func stampOf(st unix.Stat_t) stamp {
	return stamp{st.Size, int64(st.Mtim.Sec), int64(st.Mtim.Nsec)}
}

// sameFile reports whether two trees have the same file or symbolic link at a
// path.
func sameFile(a, b int, p string) (bool, error) {
	x, err := lstat(a, p)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	y, err := lstat(b, p)
	if err != nil || x.Mode&unix.S_IFMT != y.Mode&unix.S_IFMT || x.Size != y.Size {
		return false, err
	}
	if uint32(x.Mode)&unix.S_IFMT == unix.S_IFLNK {
		to, err := readlink(a, p)
		if err != nil {
			return false, err
		}
		other, err := readlink(b, p)
		return to == other, err
	}
	if x.Mtim == y.Mtim {
		return true, nil
	}
	return sameBytes(a, b, p)
}

func sameBytes(a, b int, p string) (bool, error) {
	in, err := openBeneath(a, p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(in)
	other, err := openBeneath(b, p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(other)
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := unix.Pread(in, x, at)
		if err != nil {
			return false, err
		}
		m, err := unix.Pread(other, y[:max(n, 1)], at)
		if err != nil || n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, err
		}
		if n == 0 {
			return true, nil
		}
		at += int64(n)
	}
}

// readPushed returns what Push has put into a root.
func readPushed(dir string) (map[string]stamp, error) {
	parent, err := unix.Open(path.Dir(path.Clean(dir)), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(parent)
	s := &side{}
	s.dir, err = openDir(parent, path.Join(sideDir, path.Base(path.Clean(dir))))
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(s.dir)
	return s.pushed()
}

func (s *side) pushed() (map[string]stamp, error) {
	data, err := s.readFile(pushedName)
	if missing(err) {
		return nil, nil
	}
	var list []record
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	pushed := map[string]stamp{}
	for _, r := range list {
		pushed[string(r.Path)] = r.Stamp
	}
	return pushed, err
}

// remember adds to the record of what Push has put into the root.
func (s *side) remember(added []record) error {
	if len(added) == 0 {
		return nil
	}
	pushed, err := s.pushed()
	if err != nil || pushed == nil {
		pushed = map[string]stamp{} // unreadable: everything is a conflict again, at worst
	}
	for _, r := range added {
		pushed[string(r.Path)] = r.Stamp
	}
	list := make([]record, 0, len(pushed))
	for _, p := range slices.Sorted(maps.Keys(pushed)) {
		list = append(list, record{name(p), pushed[p]})
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return s.writeFile(pushedName, data)
}

// pushed returns what a plan of Push puts into its root.
func (w *work) pushed() []record {
	if !w.plan.push {
		return nil
	}
	var added []record
	for _, c := range w.plan.Changes {
		c.node.walk(c.Path, func(p string, n *node) {
			if !n.isDir() {
				added = append(added, record{name(p), stampOf(n.st)})
			}
		})
	}
	return added
}

// watchEvery is how often Watch looks when it is not told.
const watchEvery = 2 * time.Second

// Watch pushes, until ctx ends, what is new or changed and has been the same at
// two looks, every apart (0: two seconds): what a Pi is still writing waits.
// report is called after each look that changed a root, or met a conflict or an
// error that the look before had not; Watch goes on after an error. The path may be missing at first.
func Watch(ctx context.Context, push Push, every time.Duration, report func([]Plan, error)) error {
	if every <= 0 {
		every = watchEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	w := watch{push: push}
	for {
		plans, err := w.look(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if news := fmt.Sprint(conflicts(plans), err); news != w.said || changes(plans) {
			w.said = news
			if changes(plans) || err != nil || len(conflicts(plans)) > 0 {
				report(plans, err)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// watch is the state between two looks.
type watch struct {
	push Push
	seen map[string]unix.Stat_t
	said string
}

// look plans and applies what is settled.
func (w *watch) look(ctx context.Context) ([]Plan, error) {
	plans, err := PlanPush(ctx, w.push)
	if errors.Is(err, errNothing) {
		w.seen = nil
		return nil, nil
	}
	seen := map[string]unix.Stat_t{}
	for i := range plans {
		if plans[i].tree != nil {
			plans[i].tree.walk("", func(p string, n *node) { seen[p] = n.st })
			plans[i].Changes = slices.DeleteFunc(plans[i].Changes, w.unsettled)
		}
	}
	w.seen = seen
	return plans, errors.Join(err, Apply(ctx, plans, nil))
}

// unsettled reports whether something of a change differs from the last look.
func (w *watch) unsettled(c Change) (moving bool) {
	c.node.walk(c.Path, func(p string, n *node) {
		last, ok := w.seen[p]
		if !ok || !sameState(&last, &n.st) {
			moving = true
		}
	})
	return moving
}

func changes(plans []Plan) bool {
	return slices.ContainsFunc(plans, func(p Plan) bool { return len(p.Changes) > 0 })
}

func conflicts(plans []Plan) []string {
	var list []string
	for _, p := range plans {
		for _, c := range p.Conflicts {
			list = append(list, p.Root.Dir+": "+c.String())
		}
	}
	return list
}
