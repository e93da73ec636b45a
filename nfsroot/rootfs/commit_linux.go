package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// commit carries out steps, those that can be, whether or not they have been
// before, and moves what they have displaced to the trash. problems are those
// of the steps; with err the stage still holds what a Pi may have open. When the
// steps are another run's, what the Pi has changed since is no problem.
func (s *side) commit(steps []step, again bool) (problems, err error) {
	if err := s.remove(reserveName); err != nil {
		return nil, err
	}
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	var all []error
	for _, step := range steps {
		err := s.step(root, step)
		if err != nil && !(again && errors.Is(err, ErrConflict)) {
			all = append(all, fmt.Errorf("%q: %s: %w", step.Path, step.Kind, err))
		}
	}
	return errors.Join(all...), s.discard()
}

func (s *side) step(root int, step step) error {
	dir, name, err := openParent(root, string(step.Path))
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	there := err == nil
	if err != nil && !missing(err) {
		return err
	}
	slot := path.Join(stageName, step.Slot)
	switch step.Kind {
	case New, Replace:
		if there && st.Ino == step.Inode {
			return nil
		}
		if there && !step.displaces(st) || !there && step.Was != 0 {
			return ErrConflict
		}
		return s.put(slot, dir, name, there)
	case Delete:
		if !there || st.Ino != step.Inode {
			return nil // taken away already, or something else by now
		}
		return rename(dir, name, s.dir, slot, unix.RENAME_NOREPLACE)
	}
	if !there || uint32(st.Mode)&unix.S_IFMT != step.Meta.Mode&unix.S_IFMT {
		return errors.New("has become something else")
	}
	return setMetadata(dir, name, step.Meta.node(), false)
}

// displaces reports whether what stands in a step's way is what the plan saw.
func (s step) displaces(st unix.Stat_t) bool {
	return st.Ino == s.Was && (s.Stamp == nil || *s.Stamp == stampOf(st))
}

// put puts a slot in place. What was there takes the slot, and so keeps a name.
func (s *side) put(slot string, dir int, name string, there bool) error {
	flags := uint(unix.RENAME_NOREPLACE)
	if there {
		flags = unix.RENAME_EXCHANGE
	}
	err := rename(s.dir, slot, dir, name, flags)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("this filesystem cannot exchange names: %w", err)
	}
	return err
}

func (m *metadata) node() *node {
	n := &node{xattrs: m.Xattrs}
	n.st.Mode, n.st.Uid, n.st.Gid = m.Mode, m.UID, m.GID
	n.st.Atim, n.st.Mtim = m.Atime, m.Mtime
	return n
}

// discard moves what is left in the stage to the trash.
func (s *side) discard() error {
	dir, err := openDir(s.dir, stageName)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	list, err := names(dir, make([]byte, 4096))
	if err != nil || len(list) == 0 {
		return err
	}
	_, next, err := s.numbered(trashName)
	if err != nil {
		return err
	}
	return s.rename(stageName, path.Join(trashName, strconv.Itoa(next)))
}
