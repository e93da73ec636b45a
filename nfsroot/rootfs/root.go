package rootfs

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// Errors that a caller may want to tell apart.
var (
	// ErrUnsupported is returned by everything on systems other than Linux.
	ErrUnsupported = errors.New("rootfs: only Linux has the system calls that this needs")
	// ErrLocked means that another run works on the root.
	ErrLocked = errors.New("another run is at work on this root")
	// ErrMountPoint means that a root is a mount point, which cannot be renamed.
	ErrMountPoint = errors.New("is a mount point, which cannot be swapped: keep the root in a directory of that filesystem")
	// ErrExists means that Clone found a root in place.
	ErrExists = errors.New("there is a root already: sync or rebuild it")
	// ErrChanged means that the tree that was read changed meanwhile.
	ErrChanged = errors.New("changed while it was read: try again when nothing writes there")
	// ErrRunning means that the Pi is up, and what was asked would pull the
	// root from under it.
	ErrRunning = errors.New("the Pi is up, and a swap would make its whole root stale")
	// ErrNoOld means that no former root is kept.
	ErrNoOld = errors.New("no former root is kept")
	// ErrConflict means that Apply has left a path alone since a Pi has written
	// there after the plan was made.
	ErrConflict = errors.New("changed on both sides")
)

// Root is the tree that one Pi mounts as its root.
type Root struct {
	// Dir is the tree's absolute path on the server. Its parent exists and is
	// on the same filesystem.
	Dir string
	// Identity is what makes the tree this Pi's own.
	Identity Identity
	// Keep lists, relative to Dir, what is the Pi's own besides what
	// [DefaultKeep] says: PlanSync leaves these files and trees alone once
	// they are there. No patterns.
	Keep []string
}

// DefaultKeep returns the paths that belong to each Pi in every root.
func DefaultKeep() []string {
	return []string{
		"dev", "etc/machine-id", "etc/ssh", "home", "proc", "root", "run", "sys", "tmp",
		"var/lib/dbus/machine-id", "var/lib/munin-node", "var/lib/systemd", "var/log", "var/spool", "var/tmp",
	}
}

// keeps returns the set of paths that Sync leaves alone.
func (r Root) keeps() map[string]bool {
	kept := map[string]bool{}
	for _, p := range slices.Concat(DefaultKeep(), r.Keep) {
		kept[cleanPath(p)] = true
	}
	return kept
}

// cleanPath returns the path relative to a root of what a person may have
// written with a slash before or after.
func cleanPath(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

// join is path.Join of a clean path and a name.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// comparePaths orders paths as a walk meets them: what a directory holds
// directly after it.
func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}
