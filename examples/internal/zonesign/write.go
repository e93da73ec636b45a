package zonesign

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/examples/internal/atomicfile"
)

// sumMark begins the last line of a signed zone, a comment with the SHA-256 of what
// is before it: signatures of a file that is as it was written need no checking.
const sumMark = "; sha256 "

// WriteZone writes a zone and its sum.
func WriteZone(w io.Writer, z *zone.Zone) error {
	sum := sha256.New()
	if _, err := z.WriteTo(io.MultiWriter(w, sum)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s%x\n", sumMark, sum.Sum(nil))
	return err
}

// isIntact reports whether a zone file is as WriteZone wrote it.
func isIntact(text []byte) bool {
	at := len(text) - len(sumMark) - 2*sha256.Size - 1
	return at >= 0 && string(text[at:]) == fmt.Sprintf("%s%x\n", sumMark, sha256.Sum256(text[:at]))
}

// writeFile writes a zone beside its place, syncs and renames it, so that the file
// is the old zone or the new one, whatever happens. It keeps the file's mode and
// owner; of a link, it replaces what that leads to. To a device or a pipe it
// writes what there is to write.
func writeFile(path string, z *zone.Zone) error {
	path, err := follow(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || isDescriptor(path)) {
		return writeThrough(path, z)
	}
	return atomicfile.Write(path, func(f *os.File) error { return errors.Join(WriteZone(f, z), takeAfter(f, info)) })
}

// takeAfter gives a file the mode and the owner of the one whose place it takes,
// if there is one.
func takeAfter(f *os.File, old fs.FileInfo) error {
	if old == nil {
		return f.Chmod(0o644)
	}
	if owner, ok := old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(owner.Uid), int(owner.Gid)) // only root may give files away
	}
	return f.Chmod(old.Mode().Perm())
}

func writeThrough(path string, z *zone.Zone) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return errors.Join(WriteZone(f, z), f.Close())
}

// isDescriptor reports whether a path is that of an open file, such as a shell has
// made of >>.
func isDescriptor(path string) bool {
	return strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/") || path == "/dev/stdout" || path == "/dev/stderr"
}

// maxLinks is how many links are followed, as Linux does.
const maxLinks = 40

// follow returns where a chain of symbolic links leads, which need not be there.
func follow(path string) (string, error) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil || isDescriptor(path) {
			return path, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(path) + "/" + to // as it stands: what .. leaves may be a link
		}
		path = to
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// isSame reports whether two files are one.
func isSame(a, b fs.FileInfo) bool { return a.Mode().IsRegular() && os.SameFile(a, b) }

// checkOut refuses to put the signed zone in the place of the zone.
func (j *Job) checkOut() error {
	out, err := os.Stat(j.Out)
	if j.Out == "" || err != nil {
		return nil
	}
	if out.IsDir() {
		return fmt.Errorf("%s is a directory", j.Out)
	}
	var source fs.FileInfo
	if stdin, ok := j.Stdin.(interface{ Stat() (fs.FileInfo, error) }); ok && j.File == "-" {
		source, err = stdin.Stat()
	} else if j.File != "-" {
		source, err = os.Stat(j.File)
	}
	if source != nil && err == nil && isSame(source, out) {
		return fmt.Errorf("%s is the zone file itself, and the signed zone would take its place: write to another file", j.Out)
	}
	return nil
}
