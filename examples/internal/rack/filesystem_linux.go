package rack

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// syncFS writes the file system that holds f to its disk.
func syncFS(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }

// device tells the file system of a path. It is the st_dev, but for btrfs: each
// of its subvolumes has an st_dev of its own, while a file handle names any of
// them (btrfs_get_dentry in fs/btrfs/export.c).
func device(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	if fs.Type == unix.BTRFS_SUPER_MAGIC {
		return btrfsID(path)
	}
	return st.Dev, nil
}

// btrfsID returns a number for the UUID of the btrfs that holds path.
func btrfsID(path string) (uint64, error) {
	dir, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	// struct btrfs_ioctl_fs_info_args of linux/btrfs.h, which is 1024 bytes long.
	var info struct {
		maxID, devices uint64
		fsid           [16]byte
		_              [992]byte
	}
	const btrfsIocFSInfo = 0x8400941f
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), btrfsIocFSInfo, uintptr(unsafe.Pointer(&info)))
	if errno != 0 {
		return 0, &os.PathError{Op: "BTRFS_IOC_FS_INFO", Path: path, Err: errno}
	}
	return binary.LittleEndian.Uint64(info.fsid[:8]) ^ binary.LittleEndian.Uint64(info.fsid[8:]), nil
}
