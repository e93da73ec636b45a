package rootfs

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"
)

// outFile is a copy that is being written.
type outFile struct {
	slot
	fd int
}

// file copies a regular file to all slots.
func (c *copier) file(source int, n *node, slots []slot) error {
	// Not blocking: what was a file may be a fifo by now.
	in, err := unix.Openat(source, n.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return changedMeanwhile(err)
	}
	defer unix.Close(in)
	if err := stillIs(in, n); err != nil {
		return err
	}
	outs := openOutputs(slots)
	err = c.data(in, n, outs)
	if err == nil {
		err = stillIs(in, n)
	}
	for _, out := range outs {
		if err == nil && !out.failed.Load() {
			if err := out.finish(n); err != nil {
				out.fail(out.path, err)
			}
		}
		if err := unix.Close(out.fd); err != nil {
			out.fail(out.path, err)
		}
	}
	return err
}

// stillIs checks that an open file is what the scan has seen.
func stillIs(fd int, n *node) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if !sameState(&st, &n.st) {
		return ErrChanged
	}
	return nil
}

func openOutputs(slots []slot) []outFile {
	outs := make([]outFile, 0, len(slots))
	for _, s := range slots {
		if s.failed.Load() {
			continue
		}
		fd, err := unix.Openat(s.dir, s.name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			s.fail(s.path, err)
			continue
		}
		outs = append(outs, outFile{s, fd})
	}
	return outs
}

// finish gives a copy its metadata, in setMetadata's order.
func (out outFile) finish(n *node) error {
	if err := unix.Fchown(out.fd, int(n.st.Uid), int(n.st.Gid)); err != nil {
		return fmt.Errorf("change owner: %w", err)
	}
	for _, x := range n.xattrs {
		if err := unix.Fsetxattr(out.fd, x.Name, x.Value, 0); err != nil {
			return fmt.Errorf("set extended attribute %q: %w", x.Name, err)
		}
	}
	if err := unix.Fchmod(out.fd, n.perm()); err != nil {
		return fmt.Errorf("change mode: %w", err)
	}
	if err := unix.UtimesNanoAt(out.dir, out.name, []unix.Timespec{n.st.Atim, n.st.Mtim}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("change times: %w", err)
	}
	return nil
}

// data copies the content: as reflinks, within the kernel, or through one
// buffer for all, whichever is the first that works.
func (c *copier) data(in int, n *node, outs []outFile) error {
	size := n.st.Size
	if size == 0 {
		return nil
	}
	outs = slices.DeleteFunc(slices.Clone(outs), func(out outFile) bool { return c.reflink(out.fd, in) })
	sparse := n.st.Blocks*512 < size
	for _, out := range outs {
		if !sparse {
			break
		}
		if err := unix.Ftruncate(out.fd, size); err != nil {
			out.fail(out.path, err)
		}
	}
	for start, end := int64(0), size; start < size && len(outs) > 0; start, end = end, size {
		if sparse {
			var err error
			if start, end, err = extent(in, start, size); err != nil || start == size {
				return err
			}
		}
		if err := c.copyRange(in, outs, start, end); err != nil {
			return err
		}
	}
	return nil
}

// reflink shares the source's blocks, where the filesystem can.
func (c *copier) reflink(out, in int) bool {
	if c.noLink.Load() {
		return false
	}
	err := unix.IoctlFileClone(out, in)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL) {
		c.noLink.Store(true)
	}
	return err == nil
}

// extent returns the next part of a sparse file that holds data.
func extent(fd int, from, size int64) (start, end int64, err error) {
	start, err = unix.Seek(fd, from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // a hole to the end
		return size, size, nil
	case err != nil: // this filesystem does not tell
		return from, size, nil
	}
	end, err = unix.Seek(fd, start, unix.SEEK_HOLE)
	return start, min(end, size), err
}

func (c *copier) copyRange(in int, outs []outFile, start, end int64) error {
	if len(outs) == 1 && end-start > bufferSize && kernelCopy(in, outs[0].fd, start, end) {
		return nil
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for start < end {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		got, err := unix.Pread(in, buf[:min(int64(len(buf)), end-start)], start)
		if err != nil {
			return err
		}
		if got == 0 {
			return ErrChanged // shorter than it was
		}
		for _, out := range outs {
			if out.failed.Load() {
				continue
			}
			if err := pwriteAll(out.fd, buf[:got], start); err != nil {
				out.fail(out.path, err)
			}
		}
		start += int64(got)
	}
	return nil
}

// kernelCopy copies without passing the data through this process, and may
// let a network filesystem copy at its server. False asks for another way.
func kernelCopy(in, out int, start, end int64) bool {
	from, to := start, start
	for from < end {
		n, err := unix.CopyFileRange(in, &from, out, &to, int(min(end-from, 1<<30)), 0)
		if err != nil || n == 0 {
			return false
		}
	}
	return true
}

func pwriteAll(fd int, data []byte, at int64) error {
	for len(data) > 0 {
		n, err := unix.Pwrite(fd, data, at)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		data, at = data[n:], at+int64(n)
	}
	return nil
}
