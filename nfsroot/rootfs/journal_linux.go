package rootfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"

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
	Pushed []record `json:",omitempty"`
}

// name is a path as JSON can hold it, whatever its bytes are.
type name []byte

// record is a file that Push has put into the root.
type record struct {
	Path  name
	Stamp stamp
}

// step changes one path of a root.
type step struct {
	Kind Kind
	Path name
	// Slot is the name in the stage of what a New or Replace puts in place, or
	// where a Delete puts what it takes away.
	Slot string `json:",omitempty"`
	// Inode is what a New or Replace puts in place, or a Delete takes away.
	Inode uint64 `json:",omitempty"`
	// Was is the inode that a Replace takes the place of; 0 for none.
	Was uint64 `json:",omitempty"`
	// Stamp is what that inode must still be, of a Push.
	Stamp *stamp `json:",omitempty"`
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

// maxFile bounds what is read from the side directory, in bytes: it lies on the
// Pi's own filesystem, where a Pi with a forged handle can write.
const maxFile = 256 << 20

// readFile reads a file of the side directory.
func (s *side) readFile(name string) ([]byte, error) {
	fd, err := openBeneath(s.dir, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", filepath.Join(s.dirPath(), name), maxFile)
	}
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// dirPath is for errors.
func (s *side) dirPath() string { return filepath.Join(filepath.Dir(s.path), sideDir, s.name) }

// recover finishes what the journal says, or clears away what never came to be
// written there. A swap that has not happened yet is given up, since the Pi may
// be up by now.
func (s *side) recover() error {
	data, err := s.readFile(journalName)
	if missing(err) {
		return s.clear()
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	var j journal
	if err = json.Unmarshal(data, &j); err == nil {
		err = j.check()
	}
	if err != nil {
		return fmt.Errorf("the journal of an interrupted run cannot be read; look at %s, then remove it: %w",
			filepath.Join(s.dirPath(), journalName), err)
	}
	if j.Swap == 0 {
		return s.replay(j, true)
	}
	st, err := lstat(s.parent, s.name)
	if err != nil && !missing(err) {
		return err
	}
	if err == nil && st.Ino == j.Swap {
		return s.finishSwap(j)
	}
	return s.done()
}

// check makes sure that nothing outside the side directory and the root is
// named.
func (j journal) check() error {
	for _, p := range []string{j.From, j.Retire} {
		dir, number := path.Split(p)
		if p == "" || p == stageName {
			continue
		}
		if dir != oldName+"/" && dir != trashName+"/" || !isNumber(number) {
			return fmt.Errorf("%q is no place for a root", p)
		}
	}
	for _, s := range j.Steps {
		p := string(s.Path)
		if p != "" && (!filepath.IsLocal(p) || path.Clean(p) != p) {
			return fmt.Errorf("%q is no path in a root", p)
		}
		if s.Kind < New || s.Kind > Delete || s.Kind == Metadata && s.Meta == nil || s.Kind != Metadata && (p == "" || !isNumber(s.Slot)) {
			return fmt.Errorf("%q: no step that is ever written", p)
		}
	}
	return nil
}

func isNumber(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 0 && strconv.Itoa(n) == s
}

// clear removes what is left of a run that put nothing in place.
func (s *side) clear() error {
	return errors.Join(s.remove(stageName), s.remove(reserveName))
}

// replay does the steps of a journal, from wherever they were left; again says
// that it was another run that left them. Without room for what they displace,
// all stays for the next time.
func (s *side) replay(j journal, again bool) error {
	problems, err := s.commit(j.Steps, again)
	if err != nil {
		return errors.Join(problems, err)
	}
	// Steps that fail are the Pi's doing; the next plan shows them again.
	return errors.Join(problems, s.remember(j.Pushed), s.done())
}

// done forgets the journal.
func (s *side) done() error {
	return errors.Join(s.sync(), s.remove(journalName), s.clear(), unix.Fsync(s.dir))
}

// swap puts a tree in the root's place, by one rename, and the former one where
// it is kept.
func (s *side) swap(j journal) error {
	flags := uint(unix.RENAME_EXCHANGE)
	_, err := lstat(s.parent, s.name)
	if missing(err) {
		flags, err = unix.RENAME_NOREPLACE, nil
	}
	if err == nil {
		err = rename(s.dir, j.From, s.parent, s.name, flags)
	}
	if errors.Is(err, unix.EBUSY) {
		err = ErrMountPoint
	}
	if err != nil {
		return fmt.Errorf("swap: %w", err)
	}
	return s.finishSwap(j)
}

// finishSwap keeps the former root, once the new one is in place.
func (s *side) finishSwap(j journal) error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.rename(j.From, j.Retire); err != nil && !missing(err) {
		return fmt.Errorf("keep the former root: %w", err)
	}
	return errors.Join(unix.Fsync(s.parent), s.done())
}
