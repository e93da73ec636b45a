package rootfs

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// openBeneath opens a path below dir, and never leaves the tree: no symbolic
// link is followed on the way or at the end.
func openBeneath(dir int, p string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if p == "" {
		p = "."
	}
	for {
		fd, err := unix.Openat2(dir, p, &how)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.ELOOP):
			return -1, fmt.Errorf("a symbolic link, which is not followed here: %w", err)
		case errors.Is(err, unix.ENOSYS):
			return -1, fmt.Errorf("openat2 needs Linux 5.6: %w", err)
		default:
			return fd, err
		}
	}
}

func openDir(dir int, p string) (int, error) {
	return openBeneath(dir, p, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// openHere opens a directory of an open directory, unless it is mounted there.
func openHere(dir int, name string) (int, error) {
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if errors.Is(err, unix.EXDEV) {
		err = fmt.Errorf("is mounted, and stays: %w", err)
	}
	if err != nil {
		return -1, fmt.Errorf("%q: %w", name, err)
	}
	return fd, nil
}

// openParent opens the directory that a path below dir is in.
func openParent(dir int, p string) (parent int, name string, err error) {
	parent, err = openDir(dir, parentOf(p))
	return parent, path.Base(p), err
}

// rename renames a path below one directory to one below another, as
// renameat2 with these flags.
func rename(fromDir int, from string, toDir int, to string, flags uint) error {
	fromDir, from, err := openParent(fromDir, from)
	if err != nil {
		return err
	}
	defer unix.Close(fromDir)
	toDir, to, err = openParent(toDir, to)
	if err != nil {
		return err
	}
	defer unix.Close(toDir)
	return unix.Renameat2(fromDir, from, toDir, to, flags)
}

// parentOf returns "" for what is at the top of a tree.
func parentOf(p string) string {
	if p = path.Dir(p); p == "." {
		return ""
	}
	return p
}

// lstat describes a path below dir.
func lstat(dir int, p string) (st unix.Stat_t, err error) {
	parent, name, err := openParent(dir, p)
	if err != nil {
		return st, err
	}
	defer unix.Close(parent)
	err = unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, err
}

// missing reports whether an error says that there is no such path.
func missing(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) }

// procPath names an entry of an open directory for the system calls that take
// only a path, or with "" what is open itself. The magic link leads to the very
// directory, so that one name is all that is resolved.
func procPath(dir int, name string) string {
	p := "/proc/self/fd/" + strconv.Itoa(dir)
	if name != "" {
		p += "/" + name
	}
	return p
}

// names returns what an open directory holds.
func names(dir int, buf []byte) ([]string, error) {
	var list []string
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return list, err
		}
		_, _, list = unix.ParseDirent(buf[:n], -1, list)
	}
}
