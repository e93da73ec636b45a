package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// maxEdited bounds the files that edits read.
const maxEdited = 16 << 20

// treeReader reads a tree on disk.
type treeReader struct{ base int }

func (t treeReader) read(p string) (present, error) {
	st, err := lstat(t.base, p)
	if missing(err) || errors.Is(err, unix.ELOOP) {
		return present{}, nil
	}
	if err != nil {
		return present{}, fmt.Errorf("%s: %w", p, err)
	}
	out := present{exists: true, mode: permissions(uint32(st.Mode))}
	if uint32(st.Mode)&unix.S_IFMT != unix.S_IFREG {
		return out, nil
	}
	fd, err := openBeneath(t.base, p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return present{}, fmt.Errorf("%s: %w", p, err)
	}
	f := os.NewFile(uintptr(fd), p)
	defer f.Close()
	out.regular = true
	// A program is looked at, not edited: what is larger is not read whole.
	out.data, err = io.ReadAll(io.LimitReader(f, maxEdited))
	return out, err
}

func (t treeReader) list(p string) ([]string, error) {
	dir, err := openDir(t.base, p)
	if missing(err) || errors.Is(err, unix.ELOOP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	defer unix.Close(dir)
	return names(dir, make([]byte, 4096))
}

// permissions converts between the kernel's mode bits and Go's.
func permissions(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, goBit := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= goBit
		}
	}
	return m
}

// unixMode is the inverse of permissions.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for bit, goBit := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if m&goBit != 0 {
			mode |= bit
		}
	}
	return mode
}

// personalise edits the tree in the stage, which no Pi has seen.
func personalise(side int, id Identity) error {
	base, err := openDir(side, stageName)
	if err != nil {
		return err
	}
	defer unix.Close(base)
	edits, err := id.edits(treeReader{base})
	if err != nil {
		return err
	}
	for _, e := range edits {
		if err := e.apply(base); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

// apply makes an edit in a tree that nobody uses.
func (e Edit) apply(base int) error {
	if err := makeParents(base, parentOf(e.Path)); err != nil {
		return err
	}
	dir, name, err := openParent(base, e.Path)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var old unix.Stat_t
	err = unix.Fstatat(dir, name, &old, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		err = unix.Unlinkat(dir, name, 0)
	}
	if err != nil && !missing(err) || e.remove {
		return err
	}
	if err := writeFile(dir, name, e.data); err != nil {
		return err
	}
	var in unix.Stat_t
	if err := unix.Fstat(dir, &in); err != nil {
		return err
	}
	return setMetadata(dir, name, e.node(&node{st: old}, in), true)
}

// node is the entry that an edit makes in a directory, in the place of old. It
// has the owner of that, or of the directory.
func (e Edit) node(old *node, dir unix.Stat_t) *node {
	n := &node{name: path.Base(e.Path), made: true, data: e.data}
	n.st.Uid, n.st.Gid = dir.Uid, dir.Gid
	if old != nil && old.regular() {
		n.st.Uid, n.st.Gid = old.st.Uid, old.st.Gid
	}
	n.st.Mode = unix.S_IFREG | unixMode(e.mode)
	n.st.Size = int64(len(e.data))
	return n
}

// makeParents makes the directories that an edit needs.
func makeParents(base int, p string) error {
	if p == "" {
		return nil
	}
	if _, err := lstat(base, p); !missing(err) {
		return err
	}
	if err := makeParents(base, parentOf(p)); err != nil {
		return err
	}
	dir, name, err := openParent(base, p)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := unix.Mkdirat(dir, name, 0o700); err != nil {
		return err
	}
	made := &node{made: true}
	if err := unix.Fstat(dir, &made.st); err != nil {
		return err
	}
	made.st.Mode = unix.S_IFDIR | 0o755
	return setMetadata(dir, name, made, true)
}
