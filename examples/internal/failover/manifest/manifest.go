// Package manifest lists the files of large trees, and compares such lists in
// memory that does not grow with them.
//
// A manifest has a line for each file:
//
//	SHA-256 SIZE PATH
//
// What sha256sum prints, and the SHA256 part of a Debian archive's Release file, are
// read as well. The order does not matter: what is written here is sorted.
package manifest

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// MaxLine bounds a line of a manifest, in bytes.
const MaxLine = 1 << 16

// Entry is one file of a manifest.
type Entry struct {
	Path string // with slashes, relative
	Size int64  // in bytes; -1: not told
	Hash string // SHA-256 in lower-case hexadecimal digits
}

// escapes are those of sha256sum, which then has a backslash in front of the line.
var (
	escaper   = strings.NewReplacer("\\", "\\\\", "\n", "\\n", "\r", "\\r")
	unescaper = strings.NewReplacer("\\\\", "\\", "\\n", "\n", "\\r", "\r")
)

// String is a line of a manifest.
func (e Entry) String() string {
	path, mark := escaper.Replace(e.Path), ""
	if path != e.Path {
		mark = "\\"
	}
	if e.Size < 0 {
		return mark + e.Hash + "  " + path
	}
	return mark + e.Hash + " " + strconv.FormatInt(e.Size, 10) + " " + path
}

// comparePaths orders paths as a walk through a tree meets them: a directory's
// files come before those of a sibling whose name is longer.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return cmp.Compare(rank(a[i]), rank(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

func rank(c byte) int {
	if c == '/' {
		return -1
	}
	return int(c)
}

// Write lists the files below dir, in order, and calls progress for each.
// A symbolic link counts as a file that holds its target. Files that are one of
// leaveOut are passed over, such as w itself. Memory does not grow with the number
// of files.
func Write(ctx context.Context, w io.Writer, dir string, progress func(), leaveOut ...fs.FileInfo) error {
	out := bufio.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err := cmp.Or(err, ctx.Err()); err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || slices.ContainsFunc(leaveOut, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			return err
		}
		e, err := describe(path, d)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		e.Path = filepath.ToSlash(name)
		progress()
		_, err = fmt.Fprintln(out, e)
		return err
	})
	return errors.Join(err, out.Flush())
}

func describe(path string, d fs.DirEntry) (Entry, error) {
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		sum := sha256.Sum256([]byte(target))
		return Entry{Size: int64(len(target)), Hash: hex.EncodeToString(sum[:])}, err
	}
	if !d.Type().IsRegular() {
		return Entry{}, fmt.Errorf("%s: neither a file nor a directory nor a symbolic link", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return Entry{}, err
	}
	defer f.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, f)
	return Entry{Size: size, Hash: hex.EncodeToString(sum.Sum(nil))}, err
}

// Entries are those of a list, one after the other; the error is io.EOF at the end.
type Entries interface{ Next() (Entry, error) }

// Reader reads a manifest.
type Reader struct {
	name    string // for errors
	lines   *bufio.Scanner
	n       int
	release bool // in a Release file, outside of its SHA256 part
}

// NewReader reads from r; name stands before errors.
func NewReader(name string, r io.Reader) *Reader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, MaxLine)
	return &Reader{name: name, lines: lines}
}

// Next returns the next file of the manifest.
func (r *Reader) Next() (Entry, error) {
	for r.lines.Scan() {
		r.n++
		line := r.lines.Text()
		if field, value, ok := strings.Cut(line, ":"); ok && releaseField(field) {
			r.release = field != "SHA256" || value != ""
			continue
		}
		if r.release || line == "" || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err != nil {
			err = fmt.Errorf("%s:%d: %w", r.name, r.n, err)
		}
		return e, err
	}
	if err := r.lines.Err(); err != nil {
		return Entry{}, fmt.Errorf("%s:%d: %w", r.name, r.n+1, err)
	}
	return Entry{}, io.EOF
}

// releaseField reports whether a word is the name of a field, such as Origin.
func releaseField(word string) bool {
	for _, c := range []byte(word) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return word != "" && len(word) < hex.EncodedLen(sha256.Size)
}

var errLine = errors.New("want SHA-256, size and path, or what sha256sum prints")

// parseEntry reads a line: sha256sum has two blanks, or a blank and a star, after the
// hash; a Release file has a blank before it.
func parseEntry(line string) (Entry, error) {
	escaped := strings.HasPrefix(line, "\\")
	line = strings.TrimPrefix(line, "\\")
	hash, rest, ok := strings.Cut(strings.TrimPrefix(line, " "), " ")
	if sum, err := hex.DecodeString(hash); err != nil || len(sum) != sha256.Size || !ok {
		return Entry{}, errLine
	}
	e := Entry{Size: -1, Hash: strings.ToLower(hash)}
	if rest != "" && (rest[0] == '*' || rest[0] == ' ') && line[0] != ' ' {
		e.Path = rest[1:]
	} else {
		size, path, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
		n, err := strconv.ParseUint(size, 10, 63)
		if err != nil || !ok {
			return Entry{}, errLine
		}
		e.Size, e.Path = int64(n), path
	}
	if escaped {
		e.Path = unescaper.Replace(e.Path)
	}
	if e.Path = strings.TrimPrefix(e.Path, "./"); !fs.ValidPath(e.Path) {
		return Entry{}, fmt.Errorf("%q is no path below the mirror", e.Path)
	}
	return e, nil
}
