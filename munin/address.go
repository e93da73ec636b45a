package munin

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Address is how the master reaches a host's node. The zero Address is none,
// which is right only for a host that is not updated.
//
// Addresses of ssh:// and cmd:// run a shell command on the master. They have
// constructors of their own, and no function here makes one from a text.
type Address struct {
	kind addressKind
	ip   netip.Addr
	text string
}

type addressKind uint8

const (
	noAddress addressKind = iota
	ipAddress
	nameAddress
	sshAddress
	commandAddress
)

// IPAddress returns the address of a node that listens on ip, which may have a
// zone.
func IPAddress(ip netip.Addr) Address { return Address{kind: ipAddress, ip: ip} }

// NameAddress returns an address that the master looks up at each update.
func NameAddress(name string) Address { return Address{kind: nameAddress, text: name} }

// SSHAddress returns an address that the master reaches by running ssh to host,
// an [IPAddress] or [NameAddress], with the command, which may be empty and
// begins with an absolute path. A user of "" is the master's own; a port of 0
// is 22. The master's shell reads all of it.
func SSHAddress(user string, host Address, port uint16, command string) Address {
	if host.kind != ipAddress && host.kind != nameAddress {
		return Address{kind: sshAddress, text: "ssh://"}
	}
	text := host.String()
	if user != "" {
		text = user + "@" + text
	}
	if port != 0 {
		text += ":" + strconv.Itoa(int(port))
	}
	if command == "" {
		command = "/"
	}
	return Address{kind: sshAddress, text: "ssh://" + text + command}
}

// CommandAddress returns an address for which the master runs a command of its
// own machine and speaks to that. It begins with an absolute path; the master's
// shell reads all of it.
func CommandAddress(command string) Address {
	return Address{kind: commandAddress, text: "cmd://" + command}
}

// ParseAddress makes an [IPAddress] or a [NameAddress] of a text, as an
// inventory has it: an IPv6 address with or without brackets. A port, ssh://
// and cmd:// are refused.
func ParseAddress(s string) (Address, error) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
		if !strings.Contains(bare, ":") {
			return Address{}, fmt.Errorf("munin: address %q: only an IPv6 address stands in brackets", s)
		}
	}
	a := NameAddress(s)
	if ip, err := netip.ParseAddr(strings.Replace(bare, "%25", "%", 1)); err == nil {
		a = IPAddress(ip)
	}
	if err := a.check(); err != nil {
		return Address{}, fmt.Errorf("munin: address %q: %w", s, err)
	}
	return a, nil
}

// IP returns the address of an [IPAddress].
func (a Address) IP() (netip.Addr, bool) { return a.ip, a.kind == ipAddress }

// Name returns the name of a [NameAddress].
func (a Address) Name() (string, bool) { return a.text, a.kind == nameAddress }

// IsZero reports whether a is no address at all.
func (a Address) IsZero() bool { return a == Address{} }

// String returns a as munin.conf has it: IPv6 in brackets, in the form of
// RFC 5952, section 4, with a zone set off by %25 (RFC 6874, section 2).
func (a Address) String() string {
	if a.kind != ipAddress {
		return a.text
	}
	if !a.ip.Is6() {
		return a.ip.String()
	}
	text := "[" + a.ip.WithZone("").String()
	if zone := a.ip.Zone(); zone != "" {
		text += "%25" + zone
	}
	return text + "]"
}

var (
	errNoAddress = errors.New("no address: munin-update stops; give one, or do not update the host")
	errRawIPv6   = errors.New("an IPv6 address must stand in brackets: without them munin fails, or takes the last part for a port and asks another host")
	errPort      = errors.New("munin ignores a port in an address: write it as port")
)

// check returns why munin could not use the address, or not as it is meant.
func (a Address) check() error {
	switch a.kind {
	case ipAddress:
		return checkIP(a.ip)
	case nameAddress:
		return checkName(a.text)
	case sshAddress:
		return checkSSH(a.text)
	case commandAddress:
		return checkCommand(strings.TrimPrefix(a.text, "cmd://"))
	}
	return errNoAddress
}

func checkIP(ip netip.Addr) error {
	switch {
	case !ip.IsValid():
		return errNoAddress
	case ip.IsUnspecified(), ip.IsMulticast():
		return errors.New("no node listens on such an address")
	case strings.Trim(ip.Zone(), letters+digits+"-._") != "":
		// munin decodes %XX in an address, and takes @, : and / for its own.
		return fmt.Errorf("zone %q has characters other than letters, digits, dot, hyphen and underscore", ip.Zone())
	}
	return nil
}

// checkName accepts what a resolver takes for a name and munin for nothing else.
func checkName(name string) error {
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case name == "":
		return errNoAddress
	case strings.Contains(name, "://"):
		return errors.New("it would run a command on the master, or is no scheme that munin knows: give a host's name or address")
	case isPort(name):
		return errPort
	case strings.Trim(name, letters+digits+"-._") != "":
		return errors.New("neither an IP address nor a host's name: a name has letters, digits, dots, hyphens and underscores")
	case len(name) > 253, strings.HasPrefix(name, "-"), strings.HasPrefix(name, "."), strings.Contains(name, ".."):
		return errors.New("no host's name: it is too long, begins with a hyphen or dot, or has an empty label")
	case strings.Trim(last, digits) == "", strings.HasPrefix(strings.ToLower(last), "0x"):
		// inet_aton takes 127.1 and 0x7f.1 for addresses.
		return errors.New("neither an IP address nor a host's name: it ends in a number")
	}
	return nil
}

// isPort reports whether a name, an IPv4 address or a bracketed IPv6 address is
// followed by a port.
func isPort(s string) bool {
	host, port, ok := cutLast(s, ":")
	if !ok || port == "" || strings.Trim(port, digits) != "" {
		return false
	}
	return strings.HasSuffix(host, "]") || !strings.Contains(host, ":")
}

func checkSSH(text string) error {
	rest := strings.TrimPrefix(text, "ssh://")
	host, path, _ := strings.Cut(rest, "/")
	if user, after, ok := strings.Cut(host, "@"); ok {
		host = after
		if user == "" || strings.Trim(user, letters+digits+"-._") != "" || strings.HasPrefix(user, "-") {
			return fmt.Errorf("ssh user %q has characters other than letters, digits, dot, hyphen and underscore", user)
		}
	}
	if isPort(host) {
		host, _, _ = cutLast(host, ":")
	}
	if _, err := ParseAddress(host); err != nil || host == "" {
		return errors.New("an ssh address names a host: SSHAddress(user, IPAddress or NameAddress, port, command)")
	}
	if path == "" {
		return nil
	}
	return checkCommand("/" + path)
}

// checkCommand accepts a command whose program reaches the shell unchanged.
func checkCommand(command string) error {
	program, _, _ := strings.Cut(command, " ")
	if !strings.HasPrefix(program, "/") || strings.Trim(program, letters+digits+"/-._+") != "" {
		return fmt.Errorf("command %q must begin with an absolute path of letters, digits, slash, hyphen, dot, underscore and plus", command)
	}
	return nil
}

// confAddress reads the value of an address key of munin.conf, and refuses what
// munin would not take for what it seems to be.
func confAddress(s string) (Address, error) {
	a := NameAddress(s)
	switch {
	case strings.HasPrefix(s, "ssh://"):
		a = Address{kind: sshAddress, text: s}
	case strings.HasPrefix(s, "cmd://"):
		a = Address{kind: commandAddress, text: s}
	case strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"):
		return bracketed(s)
	default:
		if ip, err := netip.ParseAddr(s); err == nil && ip.Is6() {
			return Address{}, errRawIPv6
		} else if err == nil {
			a = IPAddress(ip)
		}
	}
	return a, a.check()
}

func bracketed(s string) (Address, error) {
	text := s[1 : len(s)-1]
	text, zone, zoned := strings.Cut(text, "%")
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil || !ip.Is6():
		return Address{}, errors.New("only an IPv6 address stands in brackets")
	case zoned && !strings.HasPrefix(zone, "25"):
		return Address{}, errors.New("write the % before the zone as %25: munin decodes %XX")
	case zoned:
		ip = ip.WithZone(zone[2:])
	}
	a := IPAddress(ip)
	return a, a.check()
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// cutLast slices s around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
