package rack

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFS writes the file system that holds f to its disk.
func syncFS(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }

// device returns the st_dev of a path.
func device(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Dev, nil
}
