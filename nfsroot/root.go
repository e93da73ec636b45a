package nfsroot

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// DefaultPath is what the kernel mounts when nfsroot= names no path.
const DefaultPath = defaultDir + "%s"

const defaultDir = "/tftpboot/"

// The kernel's buffers: NFS_MAXPATHLEN for the value and for "server:path",
// and 256 bytes for the options together with those that it puts before and
// after them.
const (
	maxRoot    = 1024
	maxOptions = 255 - len("vers=2,tcp,rsize=4096,wsize=4096,") - len(",nolock,addr=255.255.255.255")
)

// Root is the value of nfsroot=:
//
//	[server:]path[,options]
type Root struct {
	Server netip.Addr // IPv4; zero: the server of ip=
	// Path is absolute; "" is DefaultPath. The kernel takes it for a format:
	// one "%s" stands for the node name, which is the hostname of ip= and the
	// client's address only when that is empty; "%%" is a "%".
	Path    string
	Options []string // of mount, such as vers=3; the kernel adds nolock and addr=
}

// ParseRoot reads the value of nfsroot= as the kernel does: one that begins
// neither with "/" nor "," nor a digit is a name below /tftpboot. Every
// string is a value. Empty options are left out.
func ParseRoot(value string) Root {
	if value == "" || !strings.ContainsRune("/,0123456789", rune(value[0])) {
		value = defaultDir + value
	}
	var r Root
	r.Server, value = cutServer(truncate(value, maxRoot))
	path, options, _ := strings.Cut(value, ",")
	if path != "default" {
		r.Path = path
	}
	for option := range strings.SplitSeq(options, ",") {
		if option != "" {
			r.Options = append(r.Options, option)
		}
	}
	return r
}

// cutServer follows root_nfs_parse_addr: four numbers of at most three digits,
// then ":" or the end. Only the dots between them are counted; what else is a
// byte long and stands between digits is skipped.
func cutServer(value string) (server netip.Addr, rest string) {
	at := func(i int) byte {
		if i < len(value) {
			return value[i]
		}
		return 0
	}
	pos, octets := 0, 0
	for octets < 4 {
		start := pos
		for '0' <= at(pos) && at(pos) <= '9' {
			pos++
		}
		if pos == start || pos-start > 3 {
			return netip.Addr{}, value
		}
		if at(pos) == '.' || octets == 3 {
			octets++
		}
		if octets < 4 {
			pos++
		}
	}
	if at(pos) != ':' && pos < len(value) {
		return netip.Addr{}, value
	}
	n := inAton(value[:pos])
	rest = strings.TrimPrefix(value[pos:], ":")
	if n == 1<<32-1 {
		return netip.Addr{}, rest
	}
	return addr4(n), rest
}

// Format writes the value of nfsroot=. Reading it again gives an equal Root.
// What it cannot say is an error: a comma in the path, say, a server that is
// not IPv4, or options that are too long together.
func (r Root) Format() (string, error) {
	var errs []error
	if r.Server.IsValid() && (!r.Server.Is4() || r.Server.IsUnspecified()) {
		errs = append(errs, fmt.Errorf("server: %v is no IPv4 address of a host", r.Server))
	}
	errs = append(errs, r.checkPath()...)
	options := strings.Join(r.Options, ",")
	if strings.Contains(options, "\x00") || slices.ContainsFunc(r.Options, func(o string) bool { return o == "" || strings.Contains(o, ",") }) {
		errs = append(errs, fmt.Errorf("options: one of %q is empty or has a comma or a NUL", r.Options))
	}
	if len(options) > maxOptions {
		errs = append(errs, fmt.Errorf("options: %d bytes, and the kernel has room for %d", len(options), maxOptions))
	}
	value := r.write(options)
	if len(value) > maxRoot {
		errs = append(errs, fmt.Errorf("%d bytes, and the kernel has room for %d", len(value), maxRoot))
	}
	if len(errs) > 0 {
		return "", fmt.Errorf("nfsroot: nfsroot=: %w", errors.Join(errs...))
	}
	return value, nil
}

func (r Root) write(options string) string {
	value := r.Path
	if r.Server.IsValid() {
		value = r.Server.String() + ":" + value
	}
	if options != "" || value == "" {
		value += "," + options
	}
	return value
}

func (r Root) checkPath() (errs []error) {
	if r.Path != "" && r.Path[0] != '/' {
		errs = append(errs, fmt.Errorf("path: %q is not absolute", r.Path))
	}
	if strings.ContainsAny(r.Path, ",\x00") {
		errs = append(errs, fmt.Errorf("path: %q has a comma or a NUL", r.Path))
	}
	if err := checkFormat(r.Path); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// checkFormat looks at what the kernel will hand to snprintf with one string.
func checkFormat(path string) error {
	rest := strings.ReplaceAll(path, "%%", "")
	if strings.Count(rest, "%") > strings.Count(rest, "%s") || strings.Count(rest, "%s") > 1 {
		return fmt.Errorf("path: the kernel prints %q as a format with one string: write %%s once at most, and %%%% for a %%", path)
	}
	return nil
}

// Export returns the path that the kernel asks the server for when its node
// name is hostname.
func (r Root) Export(hostname string) string {
	path := r.Path
	if path == "" {
		path = DefaultPath
	}
	return strings.NewReplacer("%%", "%", "%s", hostname).Replace(path)
}

// Boot is what a Pi's command line consists of.
type Boot struct {
	Before Cmdline  // what comes first, such as console=
	IP     IPConfig // in the Kernel dialect
	Root   Root     // nfsroot=
	After  Cmdline  // what comes last, such as rootwait; its "--" is kept
}

// Cmdline returns Before, root=/dev/nfs, rootfstype=nfs, ip=, nfsroot= and
// After, in this order. A parameter that Before or After have as well is an
// error, as is a "--" in Before, and what IP or Root cannot say.
func (b Boot) Cmdline() (Cmdline, error) {
	ip, ipErr := b.IP.Format(Kernel)
	root, rootErr := b.Root.Format()
	errs := []error{ipErr, rootErr}
	if slices.Contains(b.Before, endOfKernel) {
		errs = append(errs, errors.New(`nfsroot: what comes before root= has a "--", which would make the rest init's`))
	}
	line := Cmdline{
		{"root", "/dev/nfs", true}, {"rootfstype", "nfs", true},
		{"ip", ip, true}, {"nfsroot", root, true},
	}
	for _, p := range append(slices.Clone(line), Param{Name: "nfsaddrs"}) {
		if len(b.Before.All(p.Name))+len(b.After.All(p.Name)) > 0 {
			errs = append(errs, fmt.Errorf("nfsroot: what comes before or after has %s=, which is generated", p.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return slices.Concat(b.Before, line, b.After), nil
}
