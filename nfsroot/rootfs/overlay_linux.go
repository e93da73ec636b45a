package rootfs

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay returns the tree that the golden tree and the edits of one identity
// come to, sharing with the golden tree all that is the same. have is the root
// as it is, in which same content is marked.
func overlay(golden *node, edits []Edit, have reader) (*node, error) {
	top := *golden
	for _, e := range edits {
		names := strings.Split(e.Path, "/")
		if e.remove {
			without(&top, names)
			continue
		}
		n := with(&top, names, e)
		old, err := have.read(e.Path)
		if err != nil {
			return nil, err
		}
		n.same = old.regular && string(old.data) == string(e.data)
	}
	return &top, nil
}

// with puts an edit into a copy of the path that leads to it.
func with(dir *node, names []string, e Edit) *node {
	dir.children, dir.mixed = slices.Clone(dir.children), true
	i, found := slices.BinarySearchFunc(dir.children, names[0], byName)
	if len(names) == 1 {
		if !found {
			dir.children = slices.Insert(dir.children, i, *e.node(nil, dir.st))
		} else {
			dir.children[i] = *e.node(&dir.children[i], dir.st)
		}
		return &dir.children[i]
	}
	if !found {
		made := node{name: names[0], made: true}
		made.st.Mode, made.st.Uid, made.st.Gid = unix.S_IFDIR|0o755, dir.st.Uid, dir.st.Gid
		dir.children = slices.Insert(dir.children, i, made)
	}
	return with(&dir.children[i], names[1:], e)
}

func without(dir *node, names []string) {
	i, found := slices.BinarySearchFunc(dir.children, names[0], byName)
	if !found {
		return
	}
	dir.children, dir.mixed = slices.Clone(dir.children), true
	if len(names) == 1 {
		dir.children = slices.Delete(dir.children, i, i+1)
		return
	}
	without(&dir.children[i], names[1:])
}

func byName(n node, name string) int { return strings.Compare(n.name, name) }

// rebase returns where below a place a path below top lies.
func rebase(p, top, place string) (string, bool) {
	if p == top {
		return place, true
	}
	rest, ok := strings.CutPrefix(p, top+"/")
	return path.Join(place, rest), ok
}
