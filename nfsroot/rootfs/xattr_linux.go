package rootfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// xattr is one extended attribute: a file capability, an ACL.
type xattr struct {
	Name  string
	Value []byte
}

// xattrsOf reads all attributes of the file that path, one step from an open
// directory, names. buf is for the names.
func xattrsOf(path string, buf []byte) ([]xattr, error) {
	n, err := unix.Llistxattr(path, buf)
	if errors.Is(err, unix.ERANGE) {
		buf = make([]byte, 1<<16) // XATTR_LIST_MAX
		n, err = unix.Llistxattr(path, buf)
	}
	if n == 0 || errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var list []xattr
	value := make([]byte, 512) // of most
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		n, err := unix.Lgetxattr(path, name, value)
		if errors.Is(err, unix.ERANGE) {
			value = make([]byte, 1<<16) // XATTR_SIZE_MAX
			n, err = unix.Lgetxattr(path, name, value)
		}
		if err != nil {
			return nil, fmt.Errorf("read extended attribute %q: %w", name, err)
		}
		list = append(list, xattr{name, slices.Clone(value[:n])})
	}
	slices.SortFunc(list, func(a, b xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// setXattrs gives the file at path these attributes and no others.
func setXattrs(path string, want []xattr, fresh bool) error {
	if !fresh {
		have, err := xattrsOf(path, make([]byte, 1024))
		if err != nil {
			return err
		}
		for _, x := range have {
			if slices.ContainsFunc(want, func(w xattr) bool { return w.Name == x.Name }) {
				continue
			}
			if err := unix.Lremovexattr(path, x.Name); err != nil && !errors.Is(err, unix.ENODATA) {
				return fmt.Errorf("remove extended attribute %q: %w", x.Name, err)
			}
		}
	}
	for _, x := range want {
		if err := unix.Lsetxattr(path, x.Name, x.Value, 0); err != nil {
			return fmt.Errorf("set extended attribute %q: %w", x.Name, err)
		}
	}
	return nil
}

func sameXattrs(a, b []xattr) bool {
	return slices.EqualFunc(a, b, func(x, y xattr) bool { return x.Name == y.Name && string(x.Value) == string(y.Value) })
}
