package nfsroot

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"
)

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
func FormatExports(exports []Export) (string, error) {
	var b strings.Builder
	var errs []error
	seen := map[Export]bool{}
	for i, e := range exports {
		if err := e.check(); err != nil {
			errs = append(errs, fmt.Errorf("nfsroot: export %d, %q: %w", i+1, e.Path, err))
		}
		key := Export{Path: e.Path, Client: e.Client}
		if seen[key] {
			errs = append(errs, fmt.Errorf("nfsroot: export %d, %q: exported to %v twice", i+1, e.Path, e.Client))
		}
		seen[key] = true
		fmt.Fprintf(&b, "%s %s(%s)\n", escapeExport(e.Path), e.Client, cmp.Or(e.Options, ExportOptions))
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return b.String(), nil
}

func (e Export) check() error {
	var errs []error
	if !path.IsAbs(e.Path) || path.Clean(e.Path) != e.Path {
		errs = append(errs, errors.New("the path must be absolute, without //, /. or /.. and without / at its end"))
	}
	if strings.Contains(e.Path, "\x00") {
		errs = append(errs, errors.New("the path has a NUL"))
	}
	if !e.Client.IsValid() || e.Client.IsUnspecified() || e.Client.IsMulticast() || e.Client.Zone() != "" {
		errs = append(errs, fmt.Errorf("the client must be the address of one host, not %v", e.Client))
	}
	if strings.ContainsFunc(e.Options, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`()#"\`, r) }) {
		errs = append(errs, fmt.Errorf("the options %q hold a blank or one of ()#\"\\", e.Options))
	}
	return errors.Join(errs...)
}

// escapeExport writes what exports(5) takes for syntax as octal escapes.
func escapeExport(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c <= ' ', c >= 0x7f, strings.IndexByte(`"#\()`, c) >= 0:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// CheckFilesystems returns an error for each two exports of different
// directories that are on one filesystem, and for each directory whose device
// cannot be told. device returns the st_dev of a path, as stat(2) does.
func CheckFilesystems(exports []Export, device func(path string) (uint64, error)) error {
	var errs []error
	first, asked := map[uint64]string{}, map[string]bool{}
	for _, e := range exports {
		if asked[e.Path] {
			continue
		}
		asked[e.Path] = true
		dev, err := device(e.Path)
		if err != nil {
			errs = append(errs, fmt.Errorf("nfsroot: which filesystem %s is on: %w", e.Path, err))
			continue
		}
		if other, shared := first[dev]; shared {
			errs = append(errs, fmt.Errorf("nfsroot: %s and %s are on one filesystem: root on either client can reach both by a made-up file handle: give each a filesystem of its own", other, e.Path))
			continue
		}
		first[dev] = e.Path
	}
	return errors.Join(errs...)
}
