package rootfs

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device tells the filesystem of a path as NFS file handles see it: roots with
// the same number are not apart. It is the st_dev, but for btrfs: each of its
// subvolumes has an st_dev of its own, while a handle names any of them.
func Device(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, fmt.Errorf("rootfs: %s: %w", path, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return 0, fmt.Errorf("rootfs: %s: %w", path, err)
	}
	if uint32(fs.Type) == unix.BTRFS_SUPER_MAGIC {
		return btrfsID(path)
	}
	return uint64(st.Dev), nil
}

// btrfsID returns a number for the UUID of the btrfs that holds path.
func btrfsID(path string) (uint64, error) {
	dir, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("rootfs: %w", err)
	}
	defer dir.Close()
	// struct btrfs_ioctl_fs_info_args of linux/btrfs.h, which is 1024 bytes long.
	var info struct {
		maxID, devices uint64
		fsid           [16]byte
		_              [992]byte
	}
	const fsInfo = 0x8400941f // BTRFS_IOC_FS_INFO
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), fsInfo, uintptr(unsafe.Pointer(&info))); errno != 0 {
		return 0, fmt.Errorf("rootfs: %s: BTRFS_IOC_FS_INFO: %w", path, errno)
	}
	return binary.LittleEndian.Uint64(info.fsid[:8]) ^ binary.LittleEndian.Uint64(info.fsid[8:]), nil
}
