package includedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berryrack/berryrack/munin"
)

// Load reads what munin would: a munin.conf and the files of its includedir,
// or, when path is a directory, the files that munin would load from it, in
// munin's order. The warnings name what munin would load by accident, or fail
// at.
func Load(path string) (files []*munin.File, warnings []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("includedir: %w", err)
	}
	if info.IsDir() {
		return loadDir(path)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("includedir: %s is neither a regular file nor a directory", path)
	}
	f, err := munin.ParseFile(path)
	if err != nil {
		return nil, nil, err
	}
	m, _ := munin.Decode(f) // what is wrong with it is the caller's to see
	dir := m.Settings["includedir"]
	if dir == "" {
		return []*munin.File{f}, nil, nil
	}
	files, warnings, err = loadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return []*munin.File{f}, []string{fmt.Sprintf("%s: includedir %s does not exist", path, dir)}, nil
	}
	return append([]*munin.File{f}, files...), warnings, err
}

// loadDir reads a directory as munin does, which sorts by bytes, as os.ReadDir.
func loadDir(dir string) (files []*munin.File, warnings []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("includedir: %w", err)
	}
	for _, entry := range entries {
		if !isLoaded(entry.Name()) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if warning := accident(path); warning != "" {
			warnings = append(warnings, warning)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		f, err := munin.ParseFile(path)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, f)
	}
	return files, warnings, nil
}

// isLoaded reports whether munin loads a file of this name from its includedir:
// all but hidden ones and editors' backups.
func isLoaded(name string) bool {
	return !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~")
}

// accident says what is odd in an includedir, "" when nothing is.
func accident(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Sprintf("%s: munin-update stops at it: %v", path, err)
	case info.IsDir():
		return path + ": munin-update stops at a directory in its includedir: move it away"
	case !info.Mode().IsRegular():
		return path + ": munin-update would wait for this, which is no regular file: move it away"
	case filepath.Ext(path) != ".conf":
		return path + ": munin loads it too, as it does all but hidden files and those ending in ~: move it away if it is a copy"
	}
	return ""
}
