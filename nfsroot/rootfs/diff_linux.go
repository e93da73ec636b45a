package rootfs

import (
	"strings"
)

// differ compares two scanned trees.
type differ struct {
	keeps   map[string]bool
	changes []Change
	inodes  map[string]uint64 // of the first entries of hard links that stay
	claims  map[uint64]uint64 // which source inode an inode of the root stands for
}

// diff returns what makes have like want, but for what is kept. It reads
// nothing.
func diff(want, have *node, keeps map[string]bool) []Change {
	d := differ{keeps: keeps, inodes: map[string]uint64{}, claims: map[uint64]uint64{}}
	d.dir(want, have, "")
	return d.changes
}

// dir compares two directories at one path.
func (d *differ) dir(want, have *node, p string) {
	if !sameMetadata(want, have) {
		d.add(Change{Path: p, Kind: Metadata, node: want})
	}
	d.entries(want.children, have.children, p)
}

func (d *differ) entries(want, have []node, p string) {
	for len(want) > 0 || len(have) > 0 {
		switch {
		case len(have) == 0 || len(want) > 0 && want[0].name < have[0].name:
			d.missing(&want[0], join(p, want[0].name))
			want = want[1:]
		case len(want) == 0 || have[0].name < want[0].name:
			d.extra(&have[0], join(p, have[0].name))
			have = have[1:]
		default:
			d.both(&want[0], &have[0], join(p, want[0].name))
			want, have = want[1:], have[1:]
		}
	}
}

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

func (d *differ) missing(n *node, p string) {
	c := Change{Path: p, Kind: New, node: n}
	c.Files, c.Bytes = n.totals()
	d.add(c)
}

func (d *differ) replace(n, have *node, p string) {
	c := Change{Path: p, Kind: Replace, node: n, inode: have.st.Ino}
	c.Files, c.Bytes = n.totals()
	d.add(c)
}

// extra takes away what only the root has.
func (d *differ) extra(have *node, p string) {
	switch {
	case d.keeps[p] || have.mounted:
	case have.isDir() && (have.mounts || d.keepsBelow(p)):
		d.entries(nil, have.children, p)
	default:
		c := Change{Path: p, Kind: Delete, inode: have.st.Ino}
		c.Files, c.Bytes = have.totals()
		d.add(c)
	}
}

// keepsBelow reports whether something in a directory is kept.
func (d *differ) keepsBelow(p string) bool {
	for kept := range d.keeps {
		if strings.HasPrefix(kept, p+"/") {
			return true
		}
	}
	return false
}

func (d *differ) both(want, have *node, p string) {
	switch {
	case d.keeps[p] || have.mounted:
	case want.kind() != have.kind() && have.isDir() && (have.mounts || d.keepsBelow(p)): // what it holds stays
	case want.kind() != have.kind():
		d.replace(want, have, p)
	case want.isDir():
		d.dir(want, have, p)
	case !sameContent(want, have) || !d.sameLinks(want, have, p):
		d.replace(want, have, p)
	case !sameMetadata(want, have):
		d.add(Change{Path: p, Kind: Metadata, node: want})
	}
}

// sameContent compares entries of one type as rsync does, by size and time.
func sameContent(want, have *node) bool {
	switch {
	case want.made:
		return want.same
	case want.regular():
		return want.st.Size == have.st.Size && want.st.Mtim == have.st.Mtim
	}
	return want.link == have.link && want.st.Rdev == have.st.Rdev
}

// sameLinks reports whether an entry shares its inode with the same paths on
// both sides, as far as they have been met.
func (d *differ) sameLinks(want, have *node, p string) bool {
	if want.first != "" {
		inode, ok := d.inodes[want.first]
		return ok && inode == have.st.Ino
	}
	if have.st.Nlink > 1 {
		if _, claimed := d.claims[have.st.Ino]; claimed {
			return false
		}
		d.claims[have.st.Ino] = want.st.Ino
	}
	if want.linked() {
		d.inodes[p] = have.st.Ino
	}
	return true
}

func sameMetadata(want, have *node) bool {
	return want.st.Mode == have.st.Mode && want.st.Uid == have.st.Uid && want.st.Gid == have.st.Gid &&
		(want.made || want.st.Mtim == have.st.Mtim && sameXattrs(want.xattrs, have.xattrs))
}
