package publish

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll has the file system of the root written to its disk: one call for thousands of files.
func syncAll(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return os.NewSyscallError("syncfs", err)
	}
	return nil
}
