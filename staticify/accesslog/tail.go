package accesslog

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// headSize is how many of a file's first bytes tell it from another one.
const headSize = 256

// tail is a file that is being written, and how far it has been read.
type tail struct {
	file  *os.File
	info  os.FileInfo
	base  int64 // where lines began
	lines lines
	head  head
}

// head is the hash of a file's first Size bytes. It grows with the file up to headSize, and then stays.
type head struct {
	Size int64  `json:"size"`
	Hash uint64 `json:"hash"`
}

// place is what Save keeps of a tail.
type place struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // of the first line that was not read whole
	Head   head   `json:"head"`
}

func openTail(path string) (*tail, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would wait for who writes it
	if err != nil {
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("accesslog: %w", err), file.Close())
	}
	return &tail{file: file, info: info, lines: lines{r: file}}, nil
}

func (t *tail) offset() int64 { return t.base + t.lines.consumed }

func (t *tail) place() place {
	device, inode := identity(t.info)
	return place{Device: device, Inode: inode, Offset: t.offset(), Head: t.head}
}

// checkTruncated goes back to the start of a file that was cut and written anew.
func (t *tail) checkTruncated() error {
	info, err := t.file.Stat()
	if err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	now, err := headOf(t.file, t.head.Size)
	if err != nil {
		return err
	}
	if info.Size() >= t.offset() && now == t.head {
		return nil
	}
	return t.seek(0)
}

// remember takes the file's first bytes down once they have been read.
func (t *tail) remember() error {
	var err error
	if size := min(headSize, t.offset()); size > t.head.Size {
		t.head, err = headOf(t.file, size)
	}
	return err
}

func (t *tail) seek(offset int64) error {
	if _, err := t.file.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("accesslog: %w", err)
	}
	t.base, t.lines = offset, lines{r: t.file, buf: t.lines.buf}
	if offset == 0 {
		t.head = head{}
	}
	return nil
}

// headOf hashes the first size bytes of a file, or what there is of them.
func headOf(file io.ReaderAt, size int64) (head, error) {
	first := make([]byte, size)
	n, err := file.ReadAt(first, 0)
	if err != nil && err != io.EOF {
		return head{}, fmt.Errorf("accesslog: %w", err)
	}
	if n == 0 {
		return head{}, nil
	}
	h := fnv.New64a()
	h.Write(first[:n])
	return head{Size: int64(n), Hash: h.Sum64()}, nil
}

// find opens the file that p is a place in, or returns nil.
func (p place) find(names []string) *tail {
	for _, name := range names {
		t, err := openTail(name)
		if err != nil {
			continue
		}
		if p.in(t) && t.seek(p.Offset) == nil {
			t.head = p.Head
			return t
		}
		t.file.Close()
	}
	return nil
}

func (p place) in(t *tail) bool {
	device, inode := identity(t.info)
	if device != p.Device || inode != p.Inode || t.info.Size() < p.Offset || p.Offset < 0 ||
		p.Head.Size < 0 || p.Head.Size > headSize {
		return false
	}
	now, err := headOf(t.file, p.Head.Size)
	return err == nil && now == p.Head
}

// identity returns what tells files of one machine apart.
func identity(info os.FileInfo) (device, inode uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Dev), s.Ino
	}
	return 0, 0
}

// escapeGlob makes a pattern that matches path itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// replaceFile writes a file beside its place, and renames it when it is safe on the disk.
func replaceFile(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
