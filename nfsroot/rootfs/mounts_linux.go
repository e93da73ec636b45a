package rootfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// SharedFilesystems returns the groups of directories that are on one
// filesystem, so that an NFS client of one of them can read the others with a
// file handle that it makes up. Each root wants to be in none, and apart from
// the golden tree and the server's own files. Subvolumes of one btrfs are one
// filesystem here: its handles say which subvolume they mean.
func SharedFilesystems(dirs ...string) ([][]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	defer f.Close()
	mounts, err := parseMounts(f)
	if err != nil {
		return nil, fmt.Errorf("rootfs: mountinfo: %w", err)
	}
	groups := map[string][]string{}
	var order []string
	var problems []error
	for _, dir := range dirs {
		key, err := filesystemOf(dir, mounts)
		if err != nil {
			problems = append(problems, fmt.Errorf("rootfs: %s: %w", dir, err))
			continue
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], dir)
	}
	var shared [][]string
	for _, key := range order {
		if len(groups[key]) > 1 {
			shared = append(shared, groups[key])
		}
	}
	return shared, errors.Join(problems...)
}

// filesystemOf returns what two directories of one filesystem have in common.
func filesystemOf(dir string, sources map[string]string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	device := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	var stx unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stx); err != nil {
		return "", err
	}
	if source, ok := sources[fmt.Sprint(stx.Mnt_id)]; ok {
		return source, nil
	}
	return device, nil
}

// parseMounts returns the block devices of btrfs mounts by the mount's id:
// their subvolumes have different device numbers (proc(5), mountinfo).
func parseMounts(r io.Reader) (map[string]string, error) {
	mounts := map[string]string{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		id, _, _ := strings.Cut(before, " ")
		if f := strings.Fields(after); ok && len(f) >= 2 && f[0] == "btrfs" {
			mounts[id] = f[1]
		}
	}
	return mounts, lines.Err()
}
