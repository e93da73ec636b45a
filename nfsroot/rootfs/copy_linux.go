package rootfs

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// target is a root that is written to. The first error ends it, and not what
// is written to others.
type target struct {
	dir    string // the root's path, for errors
	base   int    // the open directory that places are relative to
	failed atomic.Bool
	mu     sync.Mutex
	err    error
}

func (t *target) fail(p string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = fmt.Errorf("rootfs: %s: %q: %w", t.dir, p, asRoot(err))
	}
	t.failed.Store(true)
}

// place is where something goes in a target.
type place struct {
	*target
	path string
}

// slot is a place whose directory is open.
type slot struct {
	*target
	dir  int
	name string
	path string // for errors: as the root will have it
}

// copier copies from one tree to many places, reading each file once.
type copier struct {
	ctx    context.Context // ends with the first error
	caller context.Context
	source int // the open top of the tree
	group  *errgroup.Group
	meter  *meter
	noLink atomic.Bool // the filesystems have no reflinks

	mu    sync.Mutex
	links []hardLink
}

// hardLink is an entry that shares its inode with an earlier one.
type hardLink struct {
	n      *node
	path   string // in the source
	places []place
}

// copyBatch is how many files of one directory one goroutine takes.
const copyBatch = 128

// bufferSize is what is read at a time, in bytes.
const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func newCopier(ctx context.Context, source int, m *meter) *copier {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(parallel())
	return &copier{ctx: inner, caller: ctx, source: source, group: group, meter: m}
}

// run does f, at the same time as others when there is room.
func (c *copier) run(f func() error) error {
	if c.group.TryGo(f) {
		return nil
	}
	return f()
}

// finish waits for all that copy began. Without it nothing is complete, and
// hard links and the metadata of directories still are to follow.
func (c *copier) finish(err error) error {
	if other := c.group.Wait(); err == nil {
		err = other
	}
	c.ctx = c.caller
	return err
}

// copy begins to copy the node at a path of the source, with all below it.
func (c *copier) copy(n *node, p string, places []place) error {
	if n.isDir() {
		for _, to := range places {
			if err := makeDir(to); err != nil {
				to.fail(p, err)
			}
		}
		c.meter.done(len(places), 0)
		return c.dir(n, p, places)
	}
	parents := make([]place, len(places))
	for i, to := range places {
		parents[i] = place{to.target, parentOf(to.path)}
	}
	names := make([]string, len(places))
	for i, to := range places {
		names[i] = path.Base(to.path)
	}
	return c.run(func() error { return c.files(parentOf(p), []*node{n}, parents, names) })
}

func makeDir(to place) error {
	parent, name, err := openParent(to.base, to.path)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Mkdirat(parent, name, 0o700)
}

// dir copies what a directory holds into places that exist.
func (c *copier) dir(n *node, p string, places []place) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	var files, dirs []*node
	for i := range n.children {
		if child := &n.children[i]; child.isDir() {
			dirs = append(dirs, child)
		} else {
			files = append(files, child)
		}
	}
	for batch := range slices.Chunk(files, copyBatch) {
		if err := c.run(func() error { return c.files(p, batch, places, nil) }); err != nil {
			return err
		}
	}
	for _, child := range dirs {
		sub := make([]place, len(places))
		for i, to := range places {
			sub[i] = place{to.target, join(to.path, child.name)}
		}
		if err := c.run(func() error { return c.copy(child, join(p, child.name), sub) }); err != nil {
			return err
		}
	}
	return nil
}

// files copies entries of one directory, dir in the source, that are no
// directories. names are what they are called there when not the same.
func (c *copier) files(dir string, list []*node, places []place, names []string) error {
	source, err := openDir(c.source, dir)
	if err != nil {
		return fmt.Errorf("rootfs: source %q: %w", dir, changedMeanwhile(err))
	}
	defer unix.Close(source)
	slots := make([]slot, 0, len(places))
	for i, to := range places {
		if to.failed.Load() {
			continue
		}
		fd, err := openDir(to.base, to.path)
		if err != nil {
			to.fail(dir, err)
			continue
		}
		defer unix.Close(fd)
		s := slot{target: to.target, dir: fd}
		if names != nil {
			s.name = names[i]
		}
		slots = append(slots, s)
	}
	for _, n := range list {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		p := join(dir, n.name)
		for i := range slots {
			slots[i].path = p
			if names == nil {
				slots[i].name = n.name
			}
		}
		if n.first != "" {
			c.linkLater(n, p, places, names)
			continue
		}
		if err := c.entry(source, n, p, slots); err != nil {
			return err
		}
		c.meter.done(len(slots), n.content())
	}
	return nil
}

func (c *copier) linkLater(n *node, p string, places []place, names []string) {
	to := make([]place, len(places))
	for i := range places {
		name := n.name
		if names != nil {
			name = names[i]
		}
		to[i] = place{places[i].target, path.Join(places[i].path, name)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.links = append(c.links, hardLink{n, p, to})
}

// entry copies one entry that is no directory.
func (c *copier) entry(source int, n *node, p string, slots []slot) error {
	if n.regular() && !n.made {
		if err := c.file(source, n, slots); err != nil {
			return fmt.Errorf("rootfs: source %q: %w", p, err)
		}
		return nil
	}
	for _, s := range slots {
		if s.failed.Load() {
			continue
		}
		if err := create(s, n); err != nil {
			s.fail(s.path, err)
		}
	}
	return nil
}

// create makes an entry that needs nothing from the source's data.
func create(s slot, n *node) error {
	var err error
	switch n.kind() {
	case unix.S_IFREG:
		err = writeFile(s.dir, s.name, n.data)
	case unix.S_IFLNK:
		err = unix.Symlinkat(n.link, s.dir, s.name)
	default:
		err = unix.Mknodat(s.dir, s.name, n.kind()|0o600, int(n.st.Rdev))
	}
	if err != nil {
		return err
	}
	return setMetadata(s.dir, s.name, n, true)
}

// writeFile makes a new file.
func writeFile(dir int, name string, data []byte) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(pwriteAll(fd, data, 0), unix.Close(fd))
}

// setMetadata gives the entry of an open directory the owner, attributes, mode
// and times of n, in the order in which the kernel does not undo them: a new
// owner clears set-user-ID and capabilities.
func setMetadata(dir int, name string, n *node, fresh bool) error {
	if err := unix.Fchownat(dir, name, int(n.st.Uid), int(n.st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	if err := setXattrs(procPath(dir, name), n.xattrs, fresh); err != nil {
		return err
	}
	if n.kind() != unix.S_IFLNK {
		if err := chmod(dir, name, n.perm()); err != nil {
			return fmt.Errorf("change mode: %w", err)
		}
	}
	if n.made {
		return nil
	}
	if err := unix.UtimesNanoAt(dir, name, []unix.Timespec{n.st.Atim, n.st.Mtim}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("change times: %w", err)
	}
	return nil
}

// chmod changes the mode of an entry and never of what a symbolic link in its
// place points to.
func chmod(dir int, name string, mode uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Chmod(procPath(fd, ""), mode)
}

// link makes the hard links of all places once the files are there. where
// tells in which place a target has the first entry of an inode, or that it
// must be copied.
func (c *copier) link(where func(t *target, first string) (place, bool)) error {
	slices.SortFunc(c.links, func(a, b hardLink) int { return comparePaths(a.path, b.path) })
	for _, l := range c.links {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		for _, to := range l.places {
			if to.failed.Load() {
				continue
			}
			if err := c.linkOne(l, to, where); err != nil {
				to.fail(l.path, err)
			}
		}
		c.meter.done(len(l.places), 0)
	}
	return nil
}

func (c *copier) linkOne(l hardLink, to place, where func(*target, string) (place, bool)) error {
	dir, name, err := openParent(to.base, to.path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	from, ok := where(to.target, l.n.first)
	if !ok {
		return c.alone(l, slot{target: to.target, dir: dir, name: name, path: l.path})
	}
	first, firstName, err := openParent(from.base, from.path)
	if err != nil {
		return err
	}
	defer unix.Close(first)
	return unix.Linkat(first, firstName, dir, name, 0)
}

// alone copies a further entry of an inode whose first one the target does not
// have.
func (c *copier) alone(l hardLink, s slot) error {
	dir, _, err := openParent(c.source, l.path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return c.entry(dir, l.n, l.path, []slot{s})
}

// finishDirs gives the directories that were copied their metadata, deepest
// first, since every entry made in one changes its time.
func (c *copier) finishDirs(n *node, p string, to place) error {
	for i := range n.children {
		child := &n.children[i]
		if !child.isDir() {
			continue
		}
		if err := c.finishDirs(child, join(p, child.name), place{to.target, join(to.path, child.name)}); err != nil {
			return err
		}
	}
	if to.failed.Load() || !n.isDir() {
		return c.ctx.Err()
	}
	dir, name, err := openParent(to.base, to.path)
	if err != nil {
		to.fail(p, err)
		return nil
	}
	defer unix.Close(dir)
	if err := setMetadata(dir, name, n, true); err != nil {
		to.fail(p, err)
	}
	return c.ctx.Err()
}
