package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// sideDir holds, beside the roots of one directory, what is kept for each.
const sideDir = ".berryrack"

// What a root's side directory holds.
const (
	lockName    = "lock"
	stageName   = "stage"   // what is being made
	journalName = "journal" // what is being put in place
	reserveName = "reserve" // room for directories to grow
	trashName   = "trash"   // what a running Pi may hold open: directories named by numbers
	oldName     = "old"     // former roots, named by numbers
	pushedName  = "pushed"  // what Push has put there
)

// side is a locked root with the directory beside it.
type side struct {
	path   string // the root's
	parent int    // open: the directory of the root
	name   string // of the root in it
	dir    int    // open: the side directory
	lock   int
	dev    uint64
}

// asRoot adds to what only root may do that it needs root.
func asRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		return fmt.Errorf("%w (this needs root)", err)
	}
	return err
}

// openSide locks a root, and finishes what an earlier run has left. The root
// itself need not exist.
func openSide(path string) (*side, error) {
	s := &side{path: filepath.Clean(path), parent: -1, dir: -1, lock: -1}
	err := s.open()
	if err == nil {
		err = s.recover()
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("rootfs: %s: %w", path, asRoot(err))
	}
	return s, nil
}

func (s *side) open() (err error) {
	if !filepath.IsAbs(s.path) || s.path == "/" {
		return errors.New("want the absolute path of a directory")
	}
	s.name = filepath.Base(s.path)
	if s.parent, err = unix.Open(filepath.Dir(s.path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open the directory above: %w", err)
	}
	if err := s.checkDevice(); err != nil {
		return err
	}
	for _, p := range []string{sideDir, sideDir + "/" + s.name} {
		if err := mkdir(s.parent, p); err != nil {
			return err
		}
	}
	if s.dir, err = openDir(s.parent, sideDir+"/"+s.name); err != nil {
		return err
	}
	for _, p := range []string{trashName, oldName} {
		if err := mkdir(s.dir, p); err != nil {
			return err
		}
	}
	return s.takeLock()
}

// checkDevice makes sure that the root can be renamed.
func (s *side) checkDevice() error {
	var above, root unix.Stat_t
	if err := unix.Fstat(s.parent, &above); err != nil {
		return err
	}
	s.dev = uint64(above.Dev)
	err := unix.Fstatat(s.parent, s.name, &root, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case missing(err):
		return nil
	case err != nil:
		return err
	case uint32(root.Mode)&unix.S_IFMT != unix.S_IFDIR:
		return unix.ENOTDIR
	case root.Dev != above.Dev:
		return ErrMountPoint
	}
	return nil
}

func (s *side) takeLock() (err error) {
	if s.lock, err = openBeneath(s.dir, lockName, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK, 0o600); err != nil {
		return err
	}
	err = unix.FcntlFlock(uintptr(s.lock), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}

// locked reports whether a run has the lock, without taking it.
func (s *side) locked() (bool, error) {
	fd, err := openBeneath(s.dir, lockName, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock)
	return lock.Type != unix.F_UNLCK, err
}

func (s *side) close() {
	for _, fd := range []int{s.lock, s.dir, s.parent} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// root opens the root itself.
func (s *side) root() (int, error) { return openDir(s.parent, s.name) }

// exists reports whether there is a root that is not empty.
func (s *side) exists() (bool, error) {
	fd, err := s.root()
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	list, err := names(fd, make([]byte, 4096))
	return len(list) > 0, err
}

// mkdir makes a private directory unless it is there, one from which nothing
// inherits an ACL.
func mkdir(dir int, p string) error {
	parent, name, err := openParent(dir, p)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	err = unix.Mkdirat(parent, name, 0o700)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, acl := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		err := unix.Lremovexattr(procPath(parent, name), acl)
		if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	return nil
}

// remove removes a tree in the side directory, if it is there.
func (s *side) remove(p string) error {
	dir, name, err := openParent(s.dir, p)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if err := removeTree(dir, name); err != nil {
		return fmt.Errorf("remove %s: %w", p, err)
	}
	return nil
}

// removeTree removes an entry of an open directory with all below it, but
// nothing that is mounted there.
func removeTree(dir int, name string) error {
	err := unix.Unlinkat(dir, name, 0)
	if err == nil || missing(err) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) {
		return fmt.Errorf("%q: %w", name, err)
	}
	fd, err := openHere(dir, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	list, err := names(fd, make([]byte, 4096))
	for _, below := range list {
		if sub := removeTree(fd, below); sub != nil {
			err = errors.Join(err, fmt.Errorf("%q: %w", name, sub))
		}
	}
	if err != nil {
		return err
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

// numbered returns the numbers of the directories in trash or old, and the
// next free one.
func (s *side) numbered(p string) (numbers []int, next int, err error) {
	dir, err := openDir(s.dir, p)
	if err != nil {
		return nil, 0, err
	}
	defer unix.Close(dir)
	list, err := names(dir, make([]byte, 4096))
	for _, name := range list {
		if n, err := strconv.Atoi(name); err == nil && isNumber(name) {
			numbers = append(numbers, n)
			next = max(next, n+1)
		}
	}
	return numbers, next, err
}

// rename renames within the side directory.
func (s *side) rename(from, to string) error { return rename(s.dir, from, s.dir, to, 0) }

// sync writes all of the root's filesystem to its disk.
func (s *side) sync() error {
	if err := unix.Syncfs(s.dir); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// closeAll unlocks roots.
func closeAll(sides []*side) {
	for _, s := range sides {
		if s != nil {
			s.close()
		}
	}
}
