package rack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// manifestName lists, a path a line, what an earlier write made: only that is ever removed.
const manifestName = ".berryrack"

// stagingName holds new files until all of them are on the disk.
const stagingName = ".berryrack.new"

// Step is one change to a directory of files.
type Step struct {
	Action string // "new", "changed" or "removed"
	File   File   // of a removed one, the path alone
	dir    string
}

// String returns the command that a person would type.
func (s Step) String() string {
	name := shellQuote(filepath.Join(s.dir, filepath.FromSlash(s.File.Path)))
	if s.Action == "removed" {
		return "rm " + name
	}
	return fmt.Sprintf("install -D -m %04o /dev/stdin %s  # %s, %d bytes", s.File.Mode, name, s.Action, len(s.File.Data))
}

// Diff returns what makes dir hold the tree: its new and changed files, and
// without those that an earlier write made and the tree no longer has.
func (t Tree) Diff(dir string) ([]Step, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return t.steps(dir, func(string) (string, fs.FileMode, error) { return "", 0, fs.ErrNotExist }, nil)
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	written, err := readList(root, manifestName)
	if err != nil {
		return nil, err
	}
	return t.steps(dir, plain{root, map[string]error{}}.read, written)
}

// steps compares the tree with what read finds and with what was written before.
func (t Tree) steps(dir string, read func(string) (string, fs.FileMode, error), written []string) ([]Step, error) {
	var steps []Step
	var errs []error
	wanted := map[string]bool{}
	for _, f := range t {
		wanted[f.Path] = true
		data, mode, err := read(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			steps = append(steps, Step{"new", f, dir})
		case err != nil:
			errs = append(errs, err)
		case data != f.Data || mode != f.Mode:
			steps = append(steps, Step{"changed", f, dir})
		}
	}
	for _, name := range written {
		if wanted[name] {
			continue
		}
		// What is no file any more is not what was made.
		if _, _, err := read(name); err == nil {
			steps = append(steps, Step{"removed", File{Path: name}, dir})
		}
	}
	return steps, errors.Join(errs...)
}

// plain looks whether directories are ones that no link leads to, each once.
type plain struct {
	root *os.Root
	seen map[string]error
}

// check returns an error for a directory that a link leads to. What has a file
// where the name has a directory is not there.
func (p plain) check(dir string) error {
	if dir == "." {
		return nil
	}
	err, done := p.seen[dir]
	if !done {
		if err = p.check(path.Dir(dir)); err == nil {
			err = p.look(dir)
		}
		p.seen[dir] = err
	}
	return err
}

func (p plain) look(dir string) error {
	info, err := p.root.Lstat(dir)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: put a directory in its place", filepath.Join(p.root.Name(), dir))
	case !info.IsDir():
		return fs.ErrNotExist
	}
	return nil
}

// read reads a file that no link leads to.
func (p plain) read(name string) (string, fs.FileMode, error) {
	if err := p.check(path.Dir(name)); err != nil {
		return "", 0, err
	}
	return readFile(p.root, name)
}

func readFile(root *os.Root, name string) (string, fs.FileMode, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is no regular file: move it out of the way", filepath.Join(root.Name(), name))
	}
	data, err := root.ReadFile(name)
	return string(data), info.Mode().Perm(), err
}

// readList returns the paths in a list of what an earlier run made, none when
// there is no list. A path that leads elsewhere is an error: what is listed may
// be removed.
func readList(root *os.Root, name string) ([]string, error) {
	data, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	lines := strings.FieldsFunc(string(data), func(r rune) bool { return r == '\n' })
	for i, line := range lines {
		if !filepath.IsLocal(line) || path.Clean(line) != line {
			return nil, fmt.Errorf("%s:%d: %q is not a path that was made here", filepath.Join(root.Name(), name), i+1, line)
		}
	}
	return lines, nil
}

// Write carries out the steps of [Tree.Diff]. Every file is replaced whole, and
// all new contents are on the disk before the first one is: after a crash each
// file is the old one or the new one, and a second Write finishes the work.
func (t Tree) Write(ctx context.Context, dir string, steps []Step) error {
	if len(steps) == 0 {
		return os.RemoveAll(filepath.Join(dir, stagingName)) // of a write that was killed
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	release, err := lock(root)
	if err != nil {
		return err
	}
	defer release()
	// Until the last step is done, what was there and what will be are both ours.
	before, err := readList(root, manifestName)
	if err != nil {
		return err
	}
	now := make([]string, len(t))
	for i, f := range t {
		now[i] = f.Path
	}
	w := writer{root: root, steps: steps, parents: map[string]bool{}}
	defer root.RemoveAll(stagingName)
	return w.run(ctx, append(before, now...), now)
}

// writer carries out steps below a root.
type writer struct {
	root    *os.Root
	steps   []Step
	parents map[string]bool // that exist
}

// run goes through the steps: after a failure or a crash at any of them the
// manifest names what there is, and each file is whole.
func (w *writer) run(ctx context.Context, during, after []string) error {
	for _, act := range []func() error{
		func() error { return w.stage(ctx) },
		func() error { return w.manifest(during) },
		w.sync,
		w.place,
		w.remove,
		func() error { return w.manifest(after) },
		w.sync,
	} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

// stage writes the new contents, each into a file named by its step's number.
func (w *writer) stage(ctx context.Context) error {
	if err := w.root.RemoveAll(stagingName); err != nil {
		return err
	}
	if err := w.root.Mkdir(stagingName, 0o700); err != nil {
		return err
	}
	staging, err := w.root.OpenRoot(stagingName)
	if err != nil {
		return err
	}
	defer staging.Close()
	for i, s := range w.steps {
		if s.Action == "removed" {
			continue
		}
		if err := errors.Join(ctx.Err(), writeFile(staging, strconv.Itoa(i), s.File)); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a file's contents, with its mode whatever the umask.
func writeFile(root *os.Root, name string, file File) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, file.Mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(file.Data)
	return errors.Join(err, f.Chmod(file.Mode), f.Close())
}

// place renames what was staged to where it belongs.
func (w *writer) place() error {
	for i, s := range w.steps {
		if s.Action == "removed" {
			continue
		}
		if err := w.parent(path.Dir(s.File.Path)); err != nil {
			return err
		}
		if err := w.root.Rename(path.Join(stagingName, strconv.Itoa(i)), s.File.Path); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) parent(dir string) error {
	if w.parents[dir] {
		return nil
	}
	w.parents[dir] = true
	return w.root.MkdirAll(dir, 0o755)
}

// remove deletes what the tree no longer has, and directories that this leaves empty.
func (w *writer) remove() error {
	for _, s := range w.steps {
		if s.Action != "removed" {
			continue
		}
		if err := w.root.Remove(s.File.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for dir := path.Dir(s.File.Path); dir != "."; dir = path.Dir(dir) {
			if w.root.Remove(dir) != nil {
				break // not empty
			}
		}
	}
	return nil
}

// manifest replaces the list of what is ours.
func (w *writer) manifest(names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	file := File{manifestName, 0o644, strings.Join(names, "\n") + "\n"}
	staged := path.Join(stagingName, "manifest")
	if err := errors.Join(writeFile(w.root, staged, file), syncFile(w.root, staged)); err != nil {
		return err
	}
	return w.root.Rename(staged, manifestName)
}

// lock keeps two writes of one directory apart.
func lock(root *os.Root) (release func() error, err error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		return nil, fmt.Errorf("%s: another run is at work there: %w", root.Name(), err)
	}
	return dir.Close, nil
}

// sync puts on the disk all that was done so far: one call, however many files.
func (w *writer) sync() error {
	f, err := w.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return syncFS(f)
}

func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
