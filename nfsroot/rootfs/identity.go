package rootfs

import "io/fs"

// Identity is what tells one Pi's root from another's.
type Identity struct {
	// Hostname is the Pi's name. With a domain ("pi1.example.org") the first
	// label goes to /etc/hostname, and both to /etc/hosts. "" leaves the
	// golden tree's.
	Hostname string
	// Files are the files that the Pi has for itself: its network
	// configuration, resolv.conf, munin-node.conf.
	Files []File
}

// File is one file of a Pi's own.
type File struct {
	Path string      // relative to the root, "etc/resolv.conf"
	Data []byte      // the whole content
	Mode fs.FileMode // permissions; 0 keeps those of the file it replaces, or 0644
}

// Edit is one change that Personalise makes.
type Edit struct {
	Path   string // relative to the root
	Reason string // "hostname pi1"

	data   []byte
	mode   fs.FileMode
	remove bool
}

// String returns the edit as a line for people.
func (e Edit) String() string { return e.Path + ": " + e.Reason }
