package install

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// directory is where a server's files are. It looks like this:
//
//	http.conf -> current/http.conf      what the server's configuration includes
//	server.conf -> current/server.conf
//	current -> set-123
//	before -> set-122                   from before the files change until the server has taken them
//	set-122/http.conf, ...
//
// so that all files change in one step: a server that reads them at any moment, and one that starts after this process
// was killed, finds those that belong together. The first ones come one after another, in the order of their names, and
// go in the opposite one.
type directory struct {
	path  string
	files map[string][]byte // whose names count
}

const (
	currentLink = "current"
	beforeLink  = "before"
	setPrefix   = "set-"
)

// step is called at each step of a change, by tests.
var step = func() {}

// keep sees to it that a set holds what the files are at present, and that "before" leads to it. A missing one is nil.
func (d directory) keep(present map[string][]byte) (set string, err error) {
	set, _ = d.target(currentLink)
	held, err := read(filepath.Join(d.path, set), d.files)
	ok := err == nil && set != "" && maps.EqualFunc(held, present, bytes.Equal)
	for name, data := range present {
		to, _ := d.target(name)
		ok = ok && (data == nil || to == currentLink+"/"+name)
	}
	if !ok { // the first time, or somebody else has put a file there
		if set, err = d.replace(present); err != nil {
			return "", err
		}
	}
	return set, d.link(set, beforeLink)
}

// replace makes a new set of these files the current one.
func (d directory) replace(files map[string][]byte) (set string, err error) {
	if set, err = d.save(files); err == nil {
		err = d.use(set)
	}
	return set, err
}

// settle makes a set the current one, the only one that is left, and the one that the server has taken.
func (d directory) settle(set string) error {
	if err := d.use(set); err != nil {
		return err
	}
	if err := errors.Join(os.Remove(filepath.Join(d.path, beforeLink)), syncDirectory(d.path)); err != nil {
		return err
	}
	step()
	entries, err := os.ReadDir(d.path)
	errs := []error{err}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), setPrefix) && e.Name() != set {
			errs = append(errs, os.RemoveAll(filepath.Join(d.path, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// use makes a set the current one.
func (d directory) use(set string) error {
	if err := d.link(set, currentLink); err != nil {
		return err
	}
	held, err := read(filepath.Join(d.path, set), d.files)
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(d.files))
	for _, name := range names {
		if held[name] != nil {
			if err := d.link(currentLink+"/"+name, name); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Backward(names) {
		if held[name] == nil {
			if err := os.Remove(filepath.Join(d.path, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			step()
		}
	}
	return nil
}

// target is where a link leads.
func (d directory) target(name string) (string, bool) {
	to, err := os.Readlink(filepath.Join(d.path, name))
	return to, err == nil
}

// link replaces a link, or whatever has its name, in one step.
func (d directory) link(to, name string) error {
	if present, _ := d.target(name); present == to {
		return nil
	}
	temporary := filepath.Join(d.path, ".new-"+name)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(to, temporary); err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(d.path, name)); err != nil {
		return err
	}
	step()
	return syncDirectory(d.path)
}

// save writes a new set; what is nil is not in it.
func (d directory) save(files map[string][]byte) (set string, err error) {
	if err := os.MkdirAll(d.path, 0o755); err != nil {
		return "", err
	}
	at, err := os.MkdirTemp(d.path, setPrefix+"*")
	if err != nil {
		return "", err
	}
	for name, data := range files {
		if data != nil {
			err = errors.Join(err, write(filepath.Join(at, name), data))
		}
	}
	if err = errors.Join(err, os.Chmod(at, 0o755), syncDirectory(at), syncDirectory(d.path)); err != nil {
		return "", errors.Join(err, os.RemoveAll(at))
	}
	step()
	return filepath.Base(at), nil
}

// write writes a new file that the server can read, whatever the umask is.
func write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
