// Package nfsroot plans the network boot of Raspberry Pis whose root
// filesystem is on a fileserver: the kernel command line, an IPv4 /30 for each
// Pi, the exports, and the files that the Pi's firmware reads.
//
//	pool, err := nfsroot.NewPool(netip.MustParsePrefix("10.46.189.0/27"))
//	if err != nil {
//		return err
//	}
//	link, err := pool.Link(0) // server 10.46.189.1, client 10.46.189.2
//	if err != nil {
//		return err
//	}
//	line, err := nfsroot.Boot{
//		IP:   nfsroot.IPConfig{Client: link.Client, Bits: 30, Device: "eth0", Autoconf: nfsroot.AutoconfOff},
//		Root: nfsroot.Root{Server: link.Server, Path: "/export/pi1", Options: []string{"vers=3", "tcp"}},
//	}.Cmdline()
//	if err != nil {
//		return err
//	}
//	for _, f := range nfsroot.Lint(line, nfsroot.Kernel) {
//		fmt.Println("warning:", f)
//	}
//	text, err := nfsroot.FormatCmdlineTxt(line)
//
// The package is pure: values in, values and text out. It needs no privilege,
// reads and writes no file, and talks to nobody.
//
// # What decides
//
// A command line means what the program that reads it makes of it. [Cmdline]
// follows the kernel's lib/cmdline.c, [IPConfig] its net/ipv4/ipconfig.c and,
// where it differs, the ipconfig of klibc that an initramfs runs, and [Root]
// its fs/nfs/nfsroot.c; kernel 6.1 and klibc 2.0.12. The parameters are
// described in Documentation/admin-guide/nfs/nfsroot.rst. [FormatExports]
// follows exports(5), [FormatDnsmasq] dnsmasq(8), and the Pi's own files the
// Raspberry Pi documentation. A private network holds a server, a client and
// the two addresses that RFC 919 section 7 and RFC 3021 section 2 take away: hence
// a /30, not a /31.
//
// # What it will not do
//
// It boots nothing, configures no interface, and knows no IPv6 for the root:
// neither the kernel's ip= nor the firmware's static settings can say it.
//
// All values may be used from several goroutines as long as none changes them.
// Before version 1.0 of the module, names may still change.
package nfsroot
