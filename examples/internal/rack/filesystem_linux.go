package rack

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncFS writes the file system that holds f to its disk.
func syncFS(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }
