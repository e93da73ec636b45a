package nfsroot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Dialect is a reader of ip= and nfsroot=. The zero value is the kernel.
type Dialect int

// The readers, with the versions that were looked at.
const (
	Kernel  Dialect = iota // Linux 6.1 with CONFIG_IP_PNP
	Klibc                  // ipconfig and nfsmount of klibc 2.0.12, in Debian's initramfs
	Dracut                 // the network modules of dracut 059
	Systemd                // systemd-network-generator of systemd 252
)

// String returns the reader's name, such as "klibc".
func (d Dialect) String() string {
	names := [...]string{"kernel", "klibc", "dracut", "systemd"}
	if d < 0 || int(d) >= len(names) {
		return "dialect " + strconv.Itoa(int(d))
	}
	return names[d]
}

// Autoconf is the seventh field of ip=: how an address is found. Dracut and
// Systemd know words of their own, such as "auto6".
type Autoconf string

// What autoconf can be. An unset one means AutoconfOn to the kernel, and a
// word that the kernel does not know means AutoconfOff to it.
const (
	AutoconfUnset Autoconf = ""
	AutoconfOff   Autoconf = "off"   // or "none": only what the fields say
	AutoconfOn    Autoconf = "on"    // or "any": all that the kernel was built with
	AutoconfDHCP  Autoconf = "dhcp"  // and BOOTP
	AutoconfBOOTP Autoconf = "bootp" // kernels of a Pi are built without it
	AutoconfRARP  Autoconf = "rarp"
	AutoconfBoth  Autoconf = "both" // BOOTP and RARP
)

// fieldNames are the fields of ip= in their order.
var fieldNames = [...]string{"client", "server", "gateway", "netmask", "hostname", "device", "autoconf", "dns0", "dns1", "ntp0"}

// The kernel's sizes of its names, without the NUL at their ends.
const (
	maxHostname = 64  // __NEW_UTS_LEN
	maxDevice   = 15  // IFNAMSIZ
	maxClientID = 251 // of DHCP's option 61
)

// IPConfig is the value of ip=, also spelt nfsaddrs=:
//
//	client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1:ntp0
//
// or autoconf alone. Each zero field is an empty one. Addresses are IPv4, but
// for Dracut and Systemd, which read IPv6 in brackets.
type IPConfig struct {
	Client  netip.Addr // the Pi's own address
	Server  netip.Addr // the NFS server, unless nfsroot= names it; the peer to Dracut and Systemd
	Gateway netip.Addr // of the default route; must be on the client's network
	// Bits is the netmask as a prefix length, 1 to 32; 0 is an empty field,
	// for which the kernel and klibc take the class of the address. 32 is for
	// Dracut and Systemd: the others read 255.255.255.255 as empty too.
	Bits int
	// Hostname has at most 64 bytes. The kernel ends it at the first ".",
	// what follows is the NISDomain; the others do not cut.
	Hostname  string
	NISDomain string
	Device    string   // at most 15 bytes; empty: the first that works
	Autoconf  Autoconf // how what is missing is found
	// ClientID is "type,identifier" of DHCP's option 61, the type as a
	// decimal number (RFC 2132 section 9.14); only with AutoconfDHCP.
	ClientID string
	DNS      [2]netip.Addr // resolvers; the zero Addr is none
	NTP      netip.Addr    // time server; the zero Addr is none
}

// ParseIPConfig reads the value of ip= as the dialect does. The kernel refuses
// nearly nothing and reads rubbish as some address: so does ParseIPConfig with
// [Kernel]. Its errors are texts that the dialect refuses or cannot use. What
// Dracut and Systemd take for an MTU or a MAC address is left out.
func ParseIPConfig(value string, d Dialect) (IPConfig, error) {
	var c IPConfig
	var err error
	switch d {
	case Kernel:
		c, err = parseKernel(value)
	case Klibc:
		c, err = parseKlibc(value)
	case Dracut:
		c, err = parseDracut(value)
	case Systemd:
		c, err = parseSystemd(value)
	default:
		err = errors.New("unknown dialect")
	}
	if err != nil {
		return IPConfig{}, fmt.Errorf("nfsroot: ip=%s: %v: %w", value, d, err)
	}
	return c, nil
}

// parseKernel follows ip_auto_config_setup of net/ipv4/ipconfig.c.
func parseKernel(value string) (IPConfig, error) {
	var c IPConfig
	if auto, id := kernelAutoconf(value); auto != AutoconfOff {
		return IPConfig{Autoconf: auto, ClientID: id}, nil
	}
	if value == "" || value == "off" || value == "none" {
		return IPConfig{Autoconf: AutoconfOff}, nil
	}
	var err error
	for i, field := range strings.Split(value, ":") {
		if field == "" {
			continue
		}
		switch i {
		case 3:
			c.Bits, err = maskBits(kernelAddr(field))
		case 4:
			c.Hostname, c.NISDomain, _ = strings.Cut(field, ".")
			c.Hostname, c.NISDomain = truncate(c.Hostname, maxHostname), truncate(c.NISDomain, maxHostname)
		case 5:
			c.Device = truncate(field, maxDevice)
		case 6:
			c.Autoconf, c.ClientID = kernelAutoconf(field)
		default:
			if addr := c.addr(i); addr != nil {
				*addr = kernelAddr(field)
			}
		}
	}
	return c, err
}

// kernelAutoconf follows ic_proto_name. A word that it does not know is off.
func kernelAutoconf(word string) (auto Autoconf, clientID string) {
	switch {
	case word == "on" || word == "any":
		return AutoconfOn, ""
	case strings.HasPrefix(word, "dhcp"):
		_, id, _ := strings.Cut(word, "dhcp,")
		return AutoconfDHCP, kernelClientID(id)
	case word == "bootp" || word == "rarp" || word == "both":
		return Autoconf(word), ""
	}
	return AutoconfOff, ""
}

// kernelClientID reads "type,identifier". A type that is 0 or no number of
// eight bits means that no identifier is sent.
func kernelClientID(s string) string {
	number, id, ok := strings.Cut(s, ",")
	if !ok {
		return ""
	}
	digits, base := strings.TrimPrefix(number, "+"), 10
	switch {
	case len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0"):
		base = 8
	}
	kind, err := strconv.ParseUint(digits, base, 8)
	if err != nil || kind == 0 {
		return ""
	}
	return fmt.Sprintf("%d,%s", kind, truncate(id, maxClientID))
}

// kernelAddr follows in_aton, which looks at nothing: each part is worth the
// sum of its bytes less '0', whatever they are, and missing parts are 0. To
// ip=, 0.0.0.0 and 255.255.255.255 are no address.
func kernelAddr(s string) netip.Addr {
	if n := inAton(s); n != 0 && n != 1<<32-1 {
		return addr4(n)
	}
	return netip.Addr{}
}

func inAton(s string) (n uint32) {
	for range 4 {
		part := s
		if end := strings.IndexAny(s, ".\n"); end >= 0 {
			part, s = s[:end], s[end+1:]
		} else {
			s = ""
		}
		var value uint32
		for i := range len(part) {
			value = value*10 + uint32(part[i]) - '0'
		}
		n = n<<8 | value
	}
	return n
}

// parseKlibc follows parse_device of klibc's usr/kinit/ipconfig/main.c.
func parseKlibc(value string) (IPConfig, error) {
	var c IPConfig
	if !strings.Contains(value, ":") {
		auto, err := klibcAutoconf(value)
		return IPConfig{Autoconf: auto}, err
	}
	var errs []error
	for i, field := range strings.Split(value, ":") {
		if field == "" {
			continue
		}
		var err error
		switch i {
		case 3:
			var mask netip.Addr
			if mask, err = klibcAddr(field); err == nil && mask != addr4(1<<32-1) {
				c.Bits, err = maskBits(mask)
			}
		case 4:
			c.Hostname = truncate(field, maxHostname)
		case 5:
			c.Device = field
			if len(field) > maxDevice {
				err = fmt.Errorf("%q is too long for a device: at most %d bytes", field, maxDevice)
			}
		case 6:
			c.Autoconf, err = klibcAutoconf(field)
		case 9: // NTP servers are not looked at.
		default:
			if addr := c.addr(i); addr != nil {
				*addr, err = klibcAddr(field)
			}
		}
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

func klibcAutoconf(word string) (Autoconf, error) {
	switch word {
	case "", "on", "any":
		return AutoconfOn, nil
	case "none", "static", "off":
		return AutoconfOff, nil
	case "both", "dhcp", "bootp", "rarp":
		return Autoconf(word), nil
	}
	return "", fmt.Errorf("%q is no way to configure: write off, on, dhcp, bootp, rarp or both", word)
}

// klibcAddr follows klibc's inet_aton: four numbers modulo 256, each with
// blanks and a sign before it if it likes, and anything after the last.
func klibcAddr(s string) (netip.Addr, error) {
	var addr [4]byte
	rest := s
	for i := range addr {
		if i > 0 {
			var dot bool
			if rest, dot = strings.CutPrefix(rest, "."); !dot {
				return netip.Addr{}, notDotted(s)
			}
		}
		var ok bool
		if addr[i], rest, ok = scanByte(rest); !ok {
			return netip.Addr{}, notDotted(s)
		}
	}
	if addr == [4]byte{} {
		return netip.Addr{}, nil
	}
	return netip.AddrFrom4(addr), nil
}

func notDotted(s string) error { return fmt.Errorf("%q is no dotted address", s) }

// scanByte reads a number as scanf's %hhu does.
func scanByte(s string) (value byte, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 {
		return 0, "", false
	}
	rest = strings.TrimLeft(digits, "0123456789")
	for i := range len(digits) - len(rest) {
		value = value*10 + digits[i] - '0'
	}
	if strings.HasPrefix(s, "-") {
		value = -value
	}
	return value, rest, len(digits) > len(rest)
}

// addr returns the address that is field i of ip=, nil when it is none.
func (c *IPConfig) addr(i int) *netip.Addr {
	switch i {
	case 0:
		return &c.Client
	case 1:
		return &c.Server
	case 2:
		return &c.Gateway
	case 7, 8:
		return &c.DNS[i-7]
	case 9:
		return &c.NTP
	}
	return nil
}

// maskBits returns the length of a netmask, 0 for none.
func maskBits(mask netip.Addr) (int, error) {
	if !mask.IsValid() {
		return 0, nil
	}
	a := mask.As4()
	n := binary.BigEndian.Uint32(a[:])
	if n != ^uint32(0)<<(32-bits.OnesCount32(n)) {
		return 0, fmt.Errorf("netmask %v has holes, and the interface refuses it", mask)
	}
	return bits.OnesCount32(n), nil
}

func truncate(s string, limit int) string { return s[:min(len(s), limit)] }

// Format writes the value of ip= for a dialect, without empty fields at its
// end. Reading it again in that dialect gives an equal IPConfig. IPv6, and all
// that the dialect would not read as it is meant is an error, all at once.
func (c IPConfig) Format(d Dialect) (string, error) {
	errs := c.check(d)
	value := c.write()
	if len(errs) == 0 {
		switch read, err := ParseIPConfig(value, d); {
		case err != nil:
			return "", err
		case read != c:
			errs = append(errs, fmt.Errorf("it would be read as %+v", read))
		}
	}
	if len(errs) > 0 {
		return "", fmt.Errorf("nfsroot: ip= for %v: %w", d, errors.Join(errs...))
	}
	return value, nil
}

func (c IPConfig) write() string {
	if c == (IPConfig{Autoconf: c.Autoconf, ClientID: c.ClientID}) && c.Autoconf != "" {
		return c.autoconf()
	}
	hostname := c.Hostname
	if c.NISDomain != "" {
		hostname += "." + c.NISDomain
	}
	fields := []string{text(c.Client), text(c.Server), text(c.Gateway), netmask(c.Bits), hostname, c.Device, c.autoconf(), text(c.DNS[0]), text(c.DNS[1]), text(c.NTP)}
	value := strings.TrimRight(strings.Join(fields, ":"), ":")
	if !strings.Contains(value, ":") {
		value += ":" // or it would be taken for autoconf
	}
	return value
}

func (c IPConfig) autoconf() string {
	if c.ClientID != "" {
		return string(c.Autoconf) + "," + c.ClientID
	}
	return string(c.Autoconf)
}

// text writes an address as a field of ip=.
func text(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return ""
	case addr.Is6():
		return "[" + addr.String() + "]"
	}
	return addr.String()
}

// netmask writes a prefix length as ip= has it.
func netmask(length int) string {
	if length <= 0 || length > 32 {
		return ""
	}
	return addr4(^uint32(0) << (32 - length)).String()
}

// check returns what the dialect cannot say or would read otherwise.
func (c IPConfig) check(d Dialect) []error {
	errs := slices.Concat(c.checkAddrs(), c.checkNames(d))
	switch {
	case c.Bits < 0 || c.Bits > 32:
		errs = append(errs, fmt.Errorf("netmask: /%d is no prefix length of IPv4", c.Bits))
	case c.Bits == 32 && d <= Klibc:
		errs = append(errs, fmt.Errorf("netmask: %v reads 255.255.255.255 as an empty field", d))
	}
	known := []Autoconf{AutoconfUnset, AutoconfOff, AutoconfOn, AutoconfDHCP, AutoconfBOOTP, AutoconfRARP, AutoconfBoth}
	if (d == Kernel || d == Klibc) && !slices.Contains(known, c.Autoconf) {
		errs = append(errs, fmt.Errorf("autoconf: %q is none of %q", c.Autoconf, known[1:]))
	}
	if c.ClientID != "" && (d != Kernel || c.Autoconf != AutoconfDHCP) {
		errs = append(errs, errors.New("a client identifier is for the kernel's dhcp"))
	}
	if c.NTP.IsValid() && d != Kernel {
		errs = append(errs, errors.New("ntp0: only the kernel reads it"))
	}
	return errs
}

func (c IPConfig) checkAddrs() (errs []error) {
	for i, name := range fieldNames {
		addr := c.addr(i)
		if addr != nil && addr.IsValid() && (!addr.Is4() || addr.IsUnspecified()) {
			errs = append(errs, fmt.Errorf("%s: %v is no IPv4 address of a host", name, *addr))
		}
	}
	return errs
}

func (c IPConfig) checkNames(d Dialect) (errs []error) {
	for _, field := range []struct {
		name, value, forbidden string
		limit                  int
	}{
		{"hostname", c.Hostname, ":\x00", maxHostname},
		{"NIS domain", c.NISDomain, ":\x00", maxHostname},
		{"device", c.Device, ":\x00", maxDevice},
	} {
		if strings.ContainsAny(field.value, field.forbidden) || len(field.value) > field.limit {
			errs = append(errs, fmt.Errorf("%s: %q is longer than %d bytes or has a colon or a NUL", field.name, field.value, field.limit))
		}
	}
	if d == Kernel && strings.Contains(c.Hostname, ".") {
		errs = append(errs, fmt.Errorf("hostname: the kernel ends %q at the dot; what follows is the NIS domain", c.Hostname))
	}
	if d != Kernel && c.NISDomain != "" {
		errs = append(errs, errors.New("NIS domain: only the kernel reads one"))
	}
	return errs
}

// Netmask returns the length of the netmask that the kernel and klibc will
// use: that of the client's class (RFC 791 section 3.2) when Bits is 0. It is 0
// when that has none, and 32 for 240.0.0.0/4, which klibc knows nothing of.
func (c IPConfig) Netmask() (bits int) {
	if c.Bits != 0 || !c.Client.Is4() {
		return c.Bits
	}
	switch first := c.Client.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	case first < 224:
		return 24
	case first < 240:
		return 0
	}
	return 32
}

// Broadcast returns the address that the kernel and klibc will take for the
// network's broadcasts: the client's with all bits beyond the netmask set. It
// is the zero Addr when there is no client.
func (c IPConfig) Broadcast() netip.Addr {
	if !c.Client.Is4() {
		return netip.Addr{}
	}
	a := c.Client.As4()
	return addr4(binary.BigEndian.Uint32(a[:]) | uint32(1<<(32-c.Netmask())-1))
}
