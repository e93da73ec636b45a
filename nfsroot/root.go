package nfsroot

import "net/netip"

// DefaultPath is what the kernel mounts when nfsroot= names no path; %s is
// replaced by the host's name, or by its address when ip= gave no name.
const DefaultPath = "/tftpboot/%s"

// Root is the value of nfsroot=:
//
//	[server:]path[,options]
type Root struct {
	Server  netip.Addr // IPv4; zero: the server of ip=
	Path    string     // absolute; "" is DefaultPath. "%s" is replaced as there
	Options []string   // of mount, such as vers=3; the kernel adds nolock and addr=
}

// ParseRoot reads the value of nfsroot= as the kernel does: one that begins
// neither with "/" nor "," nor a digit is a name below /tftpboot. Every
// string is a value.
func ParseRoot(value string) Root { return Root{} }

// Format writes the value of nfsroot=; what it cannot say is an error: a
// comma in the path, say, a server that is not IPv4, or options that are too
// long together.
func (r Root) Format() (string, error) { return "", nil }

// Export returns the path that the kernel asks the server for, when its node
// name is hostname.
func (r Root) Export(hostname string) string { return "" }

// Boot is what a Pi's command line consists of.
type Boot struct {
	Before Cmdline  // what comes first, such as console=
	IP     IPConfig // in the Kernel dialect
	Root   Root
	After  Cmdline // what comes last, such as rootwait; its "--" is kept
}

// Cmdline returns Before, root=/dev/nfs, rootfstype=nfs, ip=, nfsroot= and
// After, in this order. A parameter that Before or After have as well is an
// error, as is a "--" in Before, and what IP or Root cannot say.
func (b Boot) Cmdline() (Cmdline, error) { return nil, nil }
