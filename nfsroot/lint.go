package nfsroot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Finding is something on a command line that will not work, or not as it reads.
type Finding struct {
	// Rule names the kind of finding, for programs; see [Lint].
	Rule string
	// Dialect is who trips over it.
	Dialect Dialect
	// Param is the parameter's name as written, "" for the whole line.
	Param string
	// Problem says what happens, why, and what to write instead.
	Problem string
}

// String returns one line: dialect, parameter, problem and rule.
func (f Finding) String() string {
	if f.Param == "" {
		return fmt.Sprintf("%v: %s [%s]", f.Dialect, f.Problem, f.Rule)
	}
	return fmt.Sprintf("%v: %s=: %s [%s]", f.Dialect, f.Param, f.Problem, f.Rule)
}

// Lint returns what will not work on the line, for whom and why; for the
// kernel when no dialect is given. The rules:
//
//	line         the line cannot be written, or not on one line
//	length       it is longer than [FirmwareBudget]
//	root         root= and nfsroot= do not fit together, or one is missing
//	ip-missing   no ip=
//	ip-repeated  ip= more than once
//	ip-refused   the reader refuses the value of ip=
//	ip-ignored   it does not look at a field, or not as at what it is
//	address      an address is read as another one, or is none of the link's
//	netmask      the netmask is empty, /31, or a prefix length
//	gateway      the gateway is not on the link
//	server       no server, or one that is not to be reached
//	autoconf     the way to configure is unknown, or at odds with the address
//	device       none is named, or its name is too long
//	hostname     the name is cut, or too long
//	nfs-version  nfsroot= does not say vers=
//	nfs-proto    it does not say tcp or udp
//	nfs-option   an option is refused, or there are too many
//	nfs-path     the path is not what it seems, %s included
func Lint(c Cmdline, dialects ...Dialect) []Finding {
	if len(dialects) == 0 {
		dialects = []Dialect{Kernel}
	}
	var all []Finding
	for _, d := range dialects {
		l := linter{dialect: d, line: c}
		l.run()
		all = append(all, l.findings...)
	}
	return all
}

// linter collects the findings of one dialect.
type linter struct {
	dialect  Dialect
	line     Cmdline
	findings []Finding
}

func (l *linter) add(rule, param, format string, args ...any) {
	l.findings = append(l.findings, Finding{rule, l.dialect, param, fmt.Sprintf(format, args...)})
}

func (l *linter) run() {
	l.lintLine()
	ips := slices.Concat(l.line.All("ip"), l.line.All("nfsaddrs"))
	roots := l.line.All("nfsroot")
	l.lintRoot(roots)

	var ip IPConfig
	for _, p := range ips {
		ip = l.lintIP(p)
	}
	switch {
	case len(ips) == 0 && l.dialect == Kernel:
		l.add("ip-missing", "", "without ip= the kernel configures no interface: add one")
	case len(ips) > 1 && l.dialect == Kernel:
		l.add("ip-repeated", ips[1].Name, "the kernel puts the fields of all %d together, the later ones over the earlier: write one", len(ips))
	}
	if len(roots) > 0 && roots[len(roots)-1].HasValue {
		l.lintNFSRoot(roots[len(roots)-1], ip)
	}
}

func (l *linter) lintLine() {
	line, err := l.line.Format()
	switch {
	case err != nil:
		l.add("line", "", "%v", err)
		return
	case strings.ContainsAny(line, "\r\n"):
		l.add("line", "", "a parameter has a line break, and the firmware reads the first line of cmdline.txt only")
	}
	if err := l.line.CheckLength(FirmwareBudget); err != nil {
		l.add("length", "", "%v, beside what the firmware adds", strings.TrimPrefix(err.Error(), "nfsroot: "))
	}
}

func (l *linter) lintRoot(roots []Param) {
	root, ok := l.line.Get("root")
	switch {
	case len(roots) == 0 && root == "/dev/nfs":
		l.add("root", "root", "without nfsroot= the path is %s or what DHCP says: add nfsroot=", DefaultPath)
	case len(roots) == 0:
		l.add("root", "", "neither root=/dev/nfs nor nfsroot= is there: the root will not be on a fileserver")
	case !ok && l.dialect == Dracut:
		l.add("root", "nfsroot", "dracut accepts it with root=/dev/nfs only: add that")
	case ok && root != "/dev/nfs":
		l.add("root", "root", "it is %q, and nfsroot= is for root=/dev/nfs", root)
	case len(roots) > 1:
		l.add("root", "nfsroot", "there are %d, and the last one counts: write one", len(roots))
	}
}

// lintIP looks at one ip= and returns what the dialect reads.
func (l *linter) lintIP(p Param) IPConfig {
	if !p.HasValue {
		l.add("ip-ignored", p.Name, "without a value it does nothing")
		return IPConfig{}
	}
	if l.dialect > Klibc && p.Name == "nfsaddrs" {
		l.add("ip-ignored", p.Name, "%v does not know it: write ip=", l.dialect)
		return IPConfig{}
	}
	fields := strings.Split(p.Value, ":")
	c, err := ParseIPConfig(p.Value, l.dialect)
	l.lintFields(p, fields, c)
	if err != nil {
		l.add("ip-refused", p.Name, "%v", strings.TrimPrefix(err.Error(), "nfsroot: "))
		return IPConfig{}
	}
	if c.Client.IsValid() {
		l.lintMask(p, c)
		l.lintGateway(p, c)
	}
	l.lintAutoconf(p, fields, c)
	l.lintReader(p, fields, c)
	return c
}

// lintFields compares what is written with what is read.
func (l *linter) lintFields(p Param, fields []string, c IPConfig) {
	if len(fields) == 1 && !c.Client.IsValid() {
		return // autoconf alone
	}
	for i, field := range fields {
		if i >= len(fieldNames) {
			if l.dialect == Kernel || l.dialect == Klibc {
				l.add("ip-ignored", p.Name, "nobody looks at what follows the field of ntp0, %q", field)
			}
			return
		}
		read := c.addr(i)
		switch {
		case field == "" || l.dialect > Klibc:
		case i == 3 && strings.Trim(field, "0123456789") == "":
			l.add("netmask", p.Name, "it is the prefix length %s, and %v wants a dotted netmask: write %s", field, l.dialect, cmp.Or(netmask(number(field)), "one"))
		case i == 3 && !isDotted(field) && l.dialect == Kernel:
			l.add("netmask", p.Name, "%q is read as %v", field, addr4(inAton(field)))
		case read != nil && !isDotted(field) && l.dialect == Kernel:
			l.add("address", p.Name, "%s: %q is no dotted address, and the kernel reads it as %v", fieldNames[i], field, addr4(inAton(field)))
		}
	}
}

// isDotted reports whether everybody reads the address alike.
func isDotted(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

// number reads digits, and returns 0 for what is no prefix length.
func number(digits string) (n int) {
	for _, c := range digits {
		if n = n*10 + int(c-'0'); n > 32 {
			return 0
		}
	}
	return n
}

func (l *linter) lintMask(p Param, c IPConfig) {
	if !c.Client.Is4() {
		return
	}
	bits := c.Netmask()
	if c.Bits == 0 {
		switch l.dialect {
		case Systemd, Dracut:
			l.add("netmask", p.Name, "it is empty, and %v takes the address alone (/32), where the kernel would take a /%d: write 255.255.255.252", l.dialect, bits)
			return
		default:
			l.add("netmask", p.Name, "it is empty (or 255.255.255.255, which the kernel reads as empty), and the class of %v makes it a /%d: write 255.255.255.252", c.Client, bits)
		}
	}
	network := netip.PrefixFrom(c.Client, bits).Masked()
	for _, reserved := range notForHosts {
		if reserved.Contains(c.Client) {
			l.add("address", p.Name, "the client %v is of %v, whose addresses are not for hosts", c.Client, reserved)
		}
	}
	switch {
	case bits == 31:
		l.add("netmask", p.Name, "the broadcast address of a /31 is %v, one of its two hosts, and the kernel will not talk to it as to one: write 255.255.255.252 (RFC 3021 does not help ip=)", c.Broadcast())
	case bits < 31 && c.Client == network.Addr():
		l.add("address", p.Name, "the client %v is the address of its network %v", c.Client, network)
	case bits < 31 && c.Client == c.Broadcast():
		l.add("address", p.Name, "the client %v is the broadcast address of its network %v", c.Client, network)
	}
}

func (l *linter) lintGateway(p Param, c IPConfig) {
	network := l.network(c)
	if c.Gateway.IsValid() && !network.Contains(c.Gateway) {
		l.add("gateway", p.Name, "%v is not on the client's network %v, and so there will be no default route; the kernel ends with an error: leave it empty or write one that is", c.Gateway, network)
	}
}

// network returns what the dialect takes for the client's network.
func (l *linter) network(c IPConfig) netip.Prefix {
	bits := c.Netmask()
	if c.Bits == 0 && l.dialect > Klibc {
		bits = c.Client.BitLen()
	}
	return netip.PrefixFrom(c.Client, bits).Masked()
}

func (l *linter) lintAutoconf(p Param, fields []string, c IPConfig) {
	var word string
	switch {
	case len(fields) == 1:
		word = p.Value
	case len(fields) > 6:
		word = fields[6]
	}
	dynamic := c.Autoconf != AutoconfOff && c.Autoconf != AutoconfUnset
	switch known := word == "" || word == "off" || word == "none" || c.Autoconf != AutoconfOff; {
	case l.dialect != Kernel:
	case !known && !c.Client.IsValid():
		l.add("autoconf", p.Name, "the kernel does not know %q and configures nothing: write dhcp or on", word)
	case !known:
		l.add("autoconf", p.Name, "the kernel does not know %q and reads it as off: write off", word)
	case c.Autoconf == AutoconfBOOTP || c.Autoconf == AutoconfBoth:
		l.add("autoconf", p.Name, "the kernels of a Pi are built without BOOTP: write dhcp")
	case c.Autoconf == AutoconfOff && !c.Client.IsValid():
		l.add("autoconf", p.Name, "no address and nothing to ask for one: the kernel configures nothing")
	}
	if c.Client.IsValid() && dynamic && l.dialect == Kernel {
		l.add("autoconf", p.Name, "with an address given, the kernel asks only when it has several interfaces or no server: write off")
	}
	if c.Client.IsValid() && dynamic && l.dialect == Klibc {
		l.add("autoconf", p.Name, "klibc asks by %s although an address is given: write off", c.Autoconf)
	}
}

// lintReader has what only some readers stumble over.
func (l *linter) lintReader(p Param, fields []string, c IPConfig) {
	hostname, device := fieldAt(fields, 4), fieldAt(fields, 5)
	switch l.dialect {
	case Kernel:
		if c.NISDomain != "" {
			l.add("hostname", p.Name, "%q ends at the dot; the rest is the NIS domain", hostname)
		}
		if c.Client.IsValid() && c.Device == "" {
			l.add("device", p.Name, "none is named: a kernel that finds several interfaces asks DHCP on all of them, for ever, although there is an address")
		}
		if len(device) > maxDevice {
			l.add("device", p.Name, "%q is cut to %d bytes", device, maxDevice)
		}
	case Klibc:
		if fieldAt(fields, 9) != "" {
			l.add("ip-ignored", p.Name, "klibc does not look at ntp0")
		}
	case Dracut, Systemd:
		if c.Server.IsValid() {
			l.add("ip-ignored", p.Name, "%v takes the second field, %v, for the peer of a point-to-point link: leave it empty and name the server in nfsroot=", l.dialect, c.Server)
		}
		if fieldAt(fields, 9) != "" {
			l.add("ip-ignored", p.Name, "%v reads no ntp0", l.dialect)
		}
	}
	if len(hostname) > maxHostname && l.dialect <= Klibc {
		l.add("hostname", p.Name, "it is cut to %d bytes", maxHostname)
	}
}

func fieldAt(fields []string, i int) string {
	if i < len(fields) {
		return fields[i]
	}
	return ""
}

// lintNFSRoot looks at nfsroot= beside what ip= says.
func (l *linter) lintNFSRoot(p Param, ip IPConfig) {
	r := ParseRoot(p.Value)
	l.lintPath(p, r, ip)
	l.lintServer(p, r, ip)
	l.lintOptions(p, r)
}

func (l *linter) lintPath(p Param, r Root, ip IPConfig) {
	if first := p.Value; first == "" || !strings.ContainsRune("/,0123456789", rune(first[0])) {
		l.add("nfs-path", p.Name, "%q begins with neither / nor an address, and the kernel mounts %s", p.Value, r.Path)
	} else if r.Path != "" && r.Path[0] != '/' {
		l.add("nfs-path", p.Name, "the path %q is not absolute", r.Path)
	}
	if r.Path == "" {
		l.add("nfs-path", p.Name, "no path: the kernel mounts %s", DefaultPath)
	}
	if err := checkFormat(r.Path); err != nil {
		l.add("nfs-path", p.Name, "%v", err)
	}
	if strings.Contains(r.Path, "%s") || r.Path == "" {
		switch {
		case l.dialect == Kernel && ip.Hostname != "":
			l.add("nfs-path", p.Name, "%%s stands for the node name, here %q as ip= has a hostname, and not for the client's address: write the path in full", ip.Hostname)
		case l.dialect == Dracut || l.dialect == Systemd:
			l.add("nfs-path", p.Name, "only the kernel and klibc know that %%s stands for the client: write the path in full")
		}
	}
}

func (l *linter) lintServer(p Param, r Root, ip IPConfig) {
	server := r.Server
	if !server.IsValid() && l.dialect <= Klibc {
		server = ip.Server
	}
	switch static := ip.Client.IsValid(); {
	case !static || l.dialect > Klibc && !server.IsValid():
	case !server.IsValid():
		l.add("server", p.Name, "neither it nor ip= names a server: the kernel would ask DHCP for it")
	case !ip.Gateway.IsValid() && !l.network(ip).Contains(server):
		l.add("server", p.Name, "the server %v is not on the client's network, and there is no gateway to it", server)
	case server == ip.Client:
		l.add("server", p.Name, "the server %v is the client itself", server)
	case ip.Netmask() < 31 && server == ip.Broadcast():
		l.add("server", p.Name, "the server %v is the broadcast address of the client's network", server)
	}
}

func (l *linter) lintOptions(p Param, r Root) {
	var version, proto bool
	size := 0
	for _, option := range r.Options {
		name, value, _ := strings.Cut(option, "=")
		size += len(option) + 1
		switch {
		case slices.Contains([]string{"vers", "nfsvers", "v2", "v3", "v4", "v4.0", "v4.1", "v4.2"}, name):
			version = true
		case slices.Contains([]string{"proto", "tcp", "udp", "rdma"}, name):
			proto = true
		}
		if l.dialect == Klibc {
			l.lintKlibcOption(p, name, value, strings.Contains(option, "="))
		}
	}
	if !version {
		l.add("nfs-version", p.Name, "the version of NFS is not said, and what it defaults to depends on the reader and on how it was built: add vers=3")
	}
	if !proto {
		l.add("nfs-proto", p.Name, "the transport is not said, and old kernels take udp: add tcp")
	}
	if size-1 > maxOptions && l.dialect == Kernel {
		l.add("nfs-option", p.Name, "the options have %d bytes, and the kernel has room for %d", size-1, maxOptions)
	}
}

// What klibc's nfsmount knows.
var (
	klibcNumbers = []string{"port", "nfsvers", "vers", "rsize", "wsize", "timeo", "retrans", "acregmin", "acregmax", "acdirmin", "acdirmax"}
	klibcFlags   = []string{"soft", "hard", "intr", "nointr", "posix", "noposix", "cto", "nocto", "ac", "noac", "lock", "nolock", "acl", "noacl", "v2", "v3", "udp", "tcp", "broken_suid", "ro", "rw"}
)

func (l *linter) lintKlibcOption(p Param, name, value string, hasValue bool) {
	switch {
	case hasValue && !slices.Contains(klibcNumbers, name), !hasValue && !slices.Contains(klibcFlags, name):
		l.add("nfs-option", p.Name, "klibc's nfsmount refuses %q", name)
	case (name == "vers" || name == "nfsvers") && value != "2" && value != "3":
		l.add("nfs-option", p.Name, "klibc's nfsmount knows versions 2 and 3 only, not %q", value)
	}
}
