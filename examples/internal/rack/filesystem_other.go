//go:build unix && !linux

package rack

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFS writes all file systems to their disks: there is no syncfs here.
func syncFS(*os.File) error { return unix.Sync() }

// device returns the st_dev of a path.
func device(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return uint64(st.Dev), nil
}
