package rootfs

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// node is one entry of a tree in memory.
type node struct {
	name     string
	st       unix.Stat_t
	xattrs   []xattr
	link     string // what a symbolic link holds
	children []node // of a directory, by name

	// first is the path of the first entry of the same inode, for all the
	// others of it.
	first string
	// made says that an Edit makes this node: data is a file's content, and
	// times mean nothing. same says that the root has it already.
	made, same bool
	data       []byte
	// mixed says that some of what a directory holds is made.
	mixed bool
	// mounted says that something is mounted here, which is taken for empty;
	// mounts that it is so here or somewhere below.
	mounted, mounts bool
}

func (n *node) kind() uint32  { return uint32(n.st.Mode) & unix.S_IFMT }
func (n *node) isDir() bool   { return n.kind() == unix.S_IFDIR }
func (n *node) regular() bool { return n.kind() == unix.S_IFREG }
func (n *node) linked() bool  { return n.st.Nlink > 1 && !n.isDir() && !n.made }
func (n *node) perm() uint32  { return uint32(n.st.Mode) & 0o7777 }

// content returns how many bytes there are to write for n.
func (n *node) content() int64 {
	if !n.regular() || n.first != "" {
		return 0
	}
	return n.st.Size
}

// find returns the entry at a path below n, nil when there is none.
func (n *node) find(p string) *node {
	for name := range strings.SplitSeq(p, "/") {
		if name == "" {
			continue
		}
		i, ok := slices.BinarySearchFunc(n.children, name, byName)
		if !ok {
			return nil
		}
		n = &n.children[i]
	}
	return n
}

// walk calls visit for n and all below it, directories before what they hold,
// in one order.
func (n *node) walk(p string, visit func(p string, n *node)) {
	visit(p, n)
	for i := range n.children {
		n.children[i].walk(join(p, n.children[i].name), visit)
	}
}

// totals returns what writing n and all below it comes to.
func (n *node) totals() (files, bytes int64) {
	n.walk("", func(_ string, n *node) {
		files++
		bytes += n.content()
	})
	return files, bytes
}

// parallel is how many directories are worked on at once: most of the time
// goes into system calls, some of which wait for a disk.
func parallel() int { return 2 * runtime.GOMAXPROCS(0) }

// scanner reads a tree, directories in parallel.
type scanner struct {
	ctx    context.Context
	dev    uint64
	xattrs bool
	live   *live // nil: nothing may change
	group  *errgroup.Group
	bufs   *sync.Pool
}

// live is how the root of a Pi that runs is read.
type live struct {
	keeps map[string]bool // not descended into
}

// scan reads the tree below an open directory, whose mode and times are the
// top's. What is mounted in it is taken for empty. In a live tree, what goes
// away during the scan was never there.
func scan(ctx context.Context, base int, withXattrs bool, live *live) (*node, error) {
	top := &node{}
	if err := unix.Fstat(base, &top.st); err != nil {
		return nil, err
	}
	if !top.isDir() {
		return nil, unix.ENOTDIR
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel())
	s := &scanner{ctx: ctx, dev: uint64(top.st.Dev), xattrs: withXattrs, live: live, group: group,
		bufs: &sync.Pool{New: func() any { return new([32 << 10]byte) }}}
	if withXattrs {
		var err error
		if top.xattrs, err = xattrsOf(procPath(base, "."), make([]byte, 1024)); err != nil {
			return nil, err
		}
	}
	fd, err := openDir(base, "")
	if err != nil {
		return nil, err
	}
	err = s.dir(top, fd, "")
	if other := group.Wait(); err == nil {
		err = other
	}
	if err != nil {
		return nil, err
	}
	markLinks(top)
	markMounts(top)
	return top, nil
}

// dir reads an open directory with all below it, and closes it. Each is opened
// from the one above, so that no path is too long.
func (s *scanner) dir(n *node, dir int, p string) error {
	defer unix.Close(dir)
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if err := s.read(n, dir, p); err != nil {
		return err
	}
	for i := range n.children {
		child := &n.children[i]
		sub := join(p, child.name)
		if !child.isDir() || child.mounted || s.live != nil && s.live.keeps[sub] {
			continue
		}
		fd, err := openDir(dir, child.name)
		if missing(err) && s.live != nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("%q: %w", sub, changedMeanwhile(err))
		}
		if !s.group.TryGo(func() error { return s.dir(child, fd, sub) }) {
			if err := s.dir(child, fd, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

// read fills in the entries of one directory.
func (s *scanner) read(n *node, dir int, p string) error {
	buf := s.bufs.Get().(*[32 << 10]byte)
	defer s.bufs.Put(buf)
	list, err := names(dir, buf[:])
	if missing(err) && s.live != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%q: read directory: %w", p, err)
	}
	slices.Sort(list)
	n.children = make([]node, 0, len(list))
	for _, name := range list {
		child := node{name: name}
		err := s.entry(dir, &child, buf[:])
		if missing(err) && s.live != nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("%q: %w", join(p, name), changedMeanwhile(err))
		}
		n.children = append(n.children, child)
	}
	return nil
}

func (s *scanner) entry(dir int, n *node, buf []byte) error {
	if err := unix.Fstatat(dir, n.name, &n.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	mounted, err := isMount(dir, n.name)
	if err != nil {
		return err
	}
	n.mounted = mounted || uint64(n.st.Dev) != s.dev
	if n.kind() == unix.S_IFLNK {
		size, err := unix.Readlinkat(dir, n.name, buf)
		if err != nil {
			return err
		}
		n.link = string(buf[:size])
	}
	if !s.xattrs {
		return nil
	}
	n.xattrs, err = xattrsOf(procPath(dir, n.name), buf)
	return err
}

// isMount reports whether something is mounted on an entry, of whatever
// filesystem.
func isMount(dir int, name string) (bool, error) {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &st)
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, err
}

// changedMeanwhile explains why what a directory listed is gone.
func changedMeanwhile(err error) error {
	if missing(err) {
		return fmt.Errorf("%w (%w)", ErrChanged, err)
	}
	return err
}

// markLinks finds the hard links of a tree.
func markLinks(top *node) {
	firsts := map[uint64]string{}
	top.walk("", func(p string, n *node) {
		if !n.linked() {
			return
		}
		if first, ok := firsts[n.st.Ino]; ok {
			n.first = first
		} else {
			firsts[n.st.Ino] = p
		}
	})
}

// markMounts tells all directories above what is mounted.
func markMounts(n *node) bool {
	n.mounts = n.mounted
	for i := range n.children {
		if markMounts(&n.children[i]) {
			n.mounts = true
		}
	}
	return n.mounts
}

// unchanged returns an error that names the first path where two scans of one
// tree differ: then what was copied between them is no tree that ever was.
func unchanged(before, after *node, p string) error {
	if !sameState(&before.st, &after.st) || len(before.children) != len(after.children) {
		return fmt.Errorf("%q: %w", p, ErrChanged)
	}
	for i := range before.children {
		a, b := &before.children[i], &after.children[i]
		if a.name != b.name {
			return fmt.Errorf("%q: %w", join(p, a.name), ErrChanged)
		}
		if err := unchanged(a, b, join(p, a.name)); err != nil {
			return err
		}
	}
	return nil
}

// sameState reports whether nothing was written to an inode between two looks.
// Hard links that others make and drop do count: they change the tree.
func sameState(a, b *unix.Stat_t) bool {
	return a.Ino == b.Ino && a.Dev == b.Dev && a.Ctim == b.Ctim && a.Mtim == b.Mtim && a.Size == b.Size
}
