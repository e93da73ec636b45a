package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// journal is what is about to be put in place. Every step can be told from the
// disk to be done or not, so that doing all of them again is harmless.
type journal struct {
	// Swap is the inode of the tree that takes the root's place; 0 for none.
	Swap uint64 `json:",omitempty"`
	// From is where that tree is.
	From string `json:",omitempty"`
	// Retire is where the tree goes that stood there before.
	Retire string `json:",omitempty"`
	// Steps change a root in place.
	Steps []step `json:",omitempty"`
	// Pushed is what Push puts into the root with these steps.
	Pushed map[string]stamp `json:",omitempty"`
}

// step changes one path of a root.
type step struct {
	Kind Kind
	Path string
	// Slot is the name in the stage of what a New or Replace puts in place, or
	// where a Delete puts what it takes away.
	Slot string `json:",omitempty"`
	// Inode is what a New or Replace puts in place, or a Delete takes away.
	Inode uint64 `json:",omitempty"`
	// Meta is what Metadata sets.
	Meta *metadata `json:",omitempty"`
}

type metadata struct {
	Mode, UID, GID uint32
	Atime, Mtime   unix.Timespec
	Xattrs         []xattr `json:",omitempty"`
}

func metadataOf(n *node) *metadata {
	return &metadata{Mode: uint32(n.st.Mode), UID: n.st.Uid, GID: n.st.Gid, Atime: n.st.Atim, Mtime: n.st.Mtim, Xattrs: n.xattrs}
}

// writeJournal makes the intent last before the effect begins.
func (s *side) writeJournal(j journal) error {
	data, err := json.Marshal(j)
	if err != nil {
		return err
	}
	if err := s.writeFile(journalName, data); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// writeFile replaces a file of the side directory as a whole.
func (s *side) writeFile(name string, data []byte) error {
	next := name + ".new"
	if err := s.remove(next); err != nil {
		return err
	}
	if err := writeFile(s.dir, next, data); err != nil {
		return err
	}
	fd, err := openBeneath(s.dir, next, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Fsync(fd), unix.Close(fd)); err != nil {
		return err
	}
	if err := s.rename(next, name); err != nil {
		return err
	}
	return unix.Fsync(s.dir)
}

// readFile reads a file of the side directory.
func (s *side) readFile(name string) ([]byte, error) {
	fd, err := openBeneath(s.dir, name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(f)
}

// recover finishes what the journal says, or clears away what never came to be
// written there.
func (s *side) recover() error {
	data, err := s.readFile(journalName)
	if missing(err) {
		return s.clear()
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	var j journal
	if err := json.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("the journal of an interrupted run cannot be read; look at %s, then remove it: %w",
			filepath.Join(filepath.Dir(s.path), sideDir, s.name, journalName), err)
	}
	return s.replay(j)
}

// clear removes what is left of a run that put nothing in place.
func (s *side) clear() error {
	return errors.Join(s.remove(stageName), s.remove(reserveName))
}

// replay does what a journal says, from wherever it was left.
func (s *side) replay(j journal) error {
	var err error
	if j.Swap != 0 {
		err = s.swap(j)
	} else {
		err = errors.Join(s.commit(j.Steps), s.remember(j.Pushed))
	}
	if err != nil && j.Swap != 0 {
		return err
	}
	// Steps that fail are the Pi's doing; the next plan shows them again.
	return errors.Join(err, s.sync(), s.remove(journalName), s.clear(), unix.Fsync(s.dir))
}

// swap puts a tree in the root's place, by one rename, and the
// former one where it is kept.
func (s *side) swap(j journal) error {
	st, err := lstat(s.parent, s.name)
	switch {
	case missing(err):
		err = unix.Renameat2(s.dir, j.From, s.parent, s.name, unix.RENAME_NOREPLACE)
	case err == nil && st.Ino != j.Swap:
		err = unix.Renameat2(s.dir, j.From, s.parent, s.name, unix.RENAME_EXCHANGE)
		if missing(err) { // someone has taken the other tree away: the root stays
			return nil
		}
	}
	if errors.Is(err, unix.EBUSY) {
		err = ErrMountPoint
	}
	if err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.rename(j.From, j.Retire); err != nil && !missing(err) {
		return fmt.Errorf("keep the former root: %w", err)
	}
	return unix.Fsync(s.parent)
}
