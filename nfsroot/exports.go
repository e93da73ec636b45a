package nfsroot

import "net/netip"

// ExportOptions are the options of an [Export] that names none.
//
// With no_subtree_check the server does not look whether a file handle is
// below the exported directory, and with no_root_squash the Pi's root is the
// server's: a Pi's root can make up a handle and read and write everything on
// the same filesystem, the other Pis' roots included. subtree_check is no way
// out, as it breaks files that are renamed while open. Give every Pi a
// filesystem of its own; [CheckFilesystems] sees whether they have one.
const ExportOptions = "rw,no_root_squash,no_subtree_check,sync"

// Export is one directory for one client.
type Export struct {
	Path    string     // absolute and clean
	Client  netip.Addr // one host: never a name, a network or a wildcard
	Options string     // as in exports(5), set off by commas; "" is ExportOptions
}

// FormatExports writes a file for /etc/exports.d, whose name must end in
// ".exports": one export a line, in the given order. Problems are errors, all
// at once: a path or a client that is not one, a client that has a path twice,
// options that hold blanks or parentheses.
func FormatExports(exports []Export) (string, error) { return "", nil }

// CheckFilesystems returns an error for each two exports that are on one
// filesystem, and for each whose device cannot be told. device returns the
// st_dev of a path, as stat(2) does.
func CheckFilesystems(exports []Export, device func(path string) (uint64, error)) error { return nil }
