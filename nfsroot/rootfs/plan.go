package rootfs

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Kind is what a Change does to a path.
type Kind int

const (
	New      Kind = iota // is not in the root: a file, or a whole new tree
	Replace              // has other content or another type, or is linked otherwise
	Metadata             // has another owner, mode, time or extended attribute
	Delete               // is not in the source, with all below it
)

// String returns the kind as one word.
func (k Kind) String() string {
	if k < New || k > Delete {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return [...]string{"new", "replace", "metadata", "delete"}[k]
}

// Change is one difference between a root and what it is to be.
type Change struct {
	Path string // relative to the root
	Kind Kind   // what becomes of Path
	// Files and Bytes are what a New or Replace writes, or a Delete takes away:
	// entries, and their content.
	Files, Bytes int64

	node  *node  // what is wanted
	inode uint64 // of what a Delete takes away, or a Replace takes the place of
	stamp *stamp // what that must still be, of a Push
}

// String returns the change as one line, with a path of odd characters quoted.
func (c Change) String() string {
	p := quote(c.Path)
	if c.Files > 1 {
		return fmt.Sprintf("%s %s (%d files, %d bytes)", c.Kind, p, c.Files, c.Bytes)
	}
	return fmt.Sprintf("%s %s", c.Kind, p)
}

// quote returns a path as it is, or quoted when it has odd characters.
func quote(p string) string {
	if strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || !unicode.IsPrint(r) || r == '"' || r == '\\' || r == '\ufffd' }) {
		return strconv.Quote(p)
	}
	return p
}

// Plan is what brings one root up to its source.
type Plan struct {
	Root    Root     // that is brought up
	Changes []Change // in the order of a walk through the tree
	// Conflicts are paths that PlanPush leaves alone, since another Pi has
	// changed them too.
	Conflicts []Conflict

	source string // the tree that content comes from
	tree   *node
	push   bool // to be remembered in the root's record of pushes
}

// Counts sums up a plan.
type Counts struct {
	New, Replaced, Metadata, Deleted int64 // entries
	Bytes                            int64 // content to write
}

// Counts sums up the changes.
func (p Plan) Counts() Counts {
	var sum Counts
	for _, c := range p.Changes {
		switch c.Kind {
		case New:
			sum.New += c.Files
			sum.Bytes += c.Bytes
		case Replace:
			sum.Replaced += c.Files
			sum.Bytes += c.Bytes
		case Metadata:
			sum.Metadata++
		case Delete:
			sum.Deleted += c.Files
		}
	}
	return sum
}

// String returns the counts as one line.
func (c Counts) String() string {
	if c == (Counts{}) {
		return "up to date"
	}
	return fmt.Sprintf("%d new, %d replaced, %d metadata, %d deleted, %d bytes to write", c.New, c.Replaced, c.Metadata, c.Deleted, c.Bytes)
}
