package node

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/berryrack/berryrack/munin"
)

// Conf is what a node needs to be collected from: munin-node.conf.
type Conf struct {
	// Masters are the addresses that the masters connect from, all of them.
	// There must be one: munin-node without an allow line lets everyone in.
	Masters []netip.Addr
	// Host is the address to listen on; the zero Addr is every one, or, in
	// Merge, what the file says.
	Host netip.Addr
	// Port is 0 for 4949, or, in Merge, for what the file says.
	Port uint16
	// HostName is what the node calls itself, which is the master's name of the
	// host; "" is the machine's own name, or, in Merge, what the file says.
	HostName string
}

// ErrNoAllow says that a munin-node.conf would let everyone in, or nobody.
var ErrNoAllow = errors.New("node: no allow line: name the master's addresses")

// AllowLine returns the line that lets one address in, without a line end. Net::Server
// compares it with the text of the peer's address, so there is one form: anchored,
// escaped, compressed, in lower case. An IPv4-mapped address is let in as the
// IPv4 address that it is; one with a zone, and those that no peer has, are
// refused.
func AllowLine(ip netip.Addr) (string, error) {
	mapped := ip.Unmap()
	var rule string
	switch {
	case !ip.IsValid():
		rule = "no address"
	case ip.Zone() != "":
		rule = "a peer is seen without its zone: give the address without it"
	case mapped.IsUnspecified(), mapped.IsMulticast():
		rule = "no peer has such an address"
	case mapped.Is6() && !mapped.IsLoopback() && isIPv4Compatible(mapped):
		// RFC 4291, section 2.5.5.1, deprecates these; the C library prints them
		// in another form than RFC 5952.
		rule = "an IPv4-compatible address, which is printed in more than one form"
	default:
		return "allow ^" + strings.ReplaceAll(mapped.String(), ".", `\.`) + "$", nil
	}
	return "", fmt.Errorf("node: allow %v: %s", ip, rule)
}

func isIPv4Compatible(ip netip.Addr) bool {
	b := ip.As16()
	return bytes.Equal(b[:12], make([]byte, 12))
}

// The block of lines in a merged file that is ours.
const (
	blockBegin = "# berryrack: the masters"
	blockEnd   = "# berryrack: end"
)

// block returns our lines.
func (c Conf) block() (string, error) {
	if len(c.Masters) == 0 {
		return "", ErrNoAllow
	}
	var lines []string
	var errs []error
	for _, ip := range c.Masters {
		line, err := AllowLine(ip)
		errs = append(errs, err)
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return blockBegin + "\n" + strings.Join(slices.Compact(lines), "\n") + "\n" + blockEnd + "\n", errors.Join(errs...)
}

// AppendText appends a whole munin-node.conf, as Debian's but for the settings
// of c.
func (c Conf) AppendText(b []byte) ([]byte, error) {
	text, err := c.Merge([]byte(nodeTemplate))
	if err != nil {
		return b, err
	}
	return append(b, text...), nil
}

const nodeTemplate = `log_level 4
log_file /var/log/munin/munin-node.log
pid_file /run/munin/munin-node.pid

background 1
setsid 1

user root
group root

ignore_file [\#~]$
ignore_file DEADJOE$
ignore_file \.bak$
ignore_file %$
ignore_file \.dpkg-(tmp|new|old|dist)$
ignore_file \.rpm(save|new)$
ignore_file \.pod$

host *
port 4949

`

// Merge returns the munin-node.conf with the masters let in by a block of lines
// that a later Merge replaces, and with the other fields of c that are set. All
// else stays as it is. It fails, with the lines, when munin-node would refuse the
// file, or let in everyone, or keep a master out.
func (c Conf) Merge(conf []byte) ([]byte, error) {
	block, err := c.block()
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, err
	}
	lines := cutBlock(splitNode(conf))
	for _, s := range []struct{ key, value string }{
		{"host", hostText(c.Host)}, {"port", portText(c.Port)}, {"host_name", c.HostName},
	} {
		if s.value != "" {
			lines = setNode(lines, s.key, s.value)
		}
	}
	at := len(lines)
	for i, line := range lines {
		if key, _, ok := netServerSetting(line); ok && key == "allow" {
			at = i + 1
		}
	}
	lines = slices.Insert(lines, at, block)
	merged := []byte(strings.Join(lines, ""))
	if err := errors.Join(checkConf(merged, false), c.admitted(merged)); err != nil {
		return nil, err
	}
	return merged, nil
}

func (c Conf) check() error {
	if c.HostName != "" && !hostName.MatchString(c.HostName) {
		return fmt.Errorf("node: host_name %q: a name has letters, digits, hyphens and dots, or the master cannot ask for it", c.HostName)
	}
	if c.Host.Zone() != "" {
		return fmt.Errorf("node: host %v: munin-node listens on no address with a zone", c.Host)
	}
	return nil
}

// hostText writes IPv6 in brackets: Net::Server takes a colon at the beginning
// of a value away.
func hostText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return munin.IPAddress(ip).String()
}

func portText(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

// splitNode returns the lines, the last one ended.
func splitNode(conf []byte) []string {
	lines := slices.Collect(strings.Lines(string(conf)))
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += "\n"
	}
	return lines
}

// cutBlock returns the lines without our blocks: what begins and ends as one,
// and has nothing but allow lines between.
func cutBlock(lines []string) []string {
	begin := -1
	for i := 0; i < len(lines); i++ {
		switch line := lines[i]; {
		case line == blockBegin+"\n":
			begin = i
		case line == blockEnd+"\n" && begin >= 0:
			lines = slices.Delete(lines, begin, i+1)
			i, begin = begin-1, -1
		case !strings.HasPrefix(line, "allow "):
			begin = -1
		}
	}
	return lines
}

// setNode gives a key one line: in place of its first, or at the end.
func setNode(lines []string, key, value string) []string {
	line := key + " " + value + "\n"
	var kept []string
	done := false
	for _, old := range lines {
		if k, _, ok := netServerSetting(old); !ok || k != key {
			kept = append(kept, old)
		} else if !done {
			kept, done = append(kept, line), true
		}
	}
	if !done {
		kept = append(kept, line)
	}
	return kept
}

var (
	hostName      = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$`)
	nodeLine      = regexp.MustCompile(`(?s)^(\w+)[ \t\n\v\f\r]+(.+)$`)
	netServerLine = regexp.MustCompile(`^[ \t\n\v\f\r]*((?:--)?\w+)(?:[ \t\n\v\f\r]*[=:][ \t\n\v\f\r]*|[ \t\n\v\f\r]+)(.+)`)
)

// netServerSetting reads a line as Net::Server does, which is not as munin does:
// a value keeps its trailing blanks, and loses a colon at its beginning.
func netServerSetting(line string) (key, value string, ok bool) {
	line = stripComment(strings.TrimSuffix(line, "\n"))
	parts := netServerLine.FindStringSubmatch(line)
	if parts == nil {
		return "", "", false
	}
	return strings.TrimPrefix(parts[1], "--"), parts[2], true
}

// CheckConf returns, joined and with their lines, what munin-node would
// refuse in a munin-node.conf, what can never let a peer in or lets everyone in,
// and [ErrNoAllow]. An allow line other than that of [AllowLine] is reported too:
// whom an expression lets in is not known here.
func CheckConf(conf []byte) error { return checkConf(conf, true) }

// checkConf is CheckConf, without what is not certain unless strict.
func checkConf(conf []byte, strict bool) error {
	var errs []error
	rules := 0
	for i, line := range splitNode(conf) {
		problem := func(key, format string, args ...any) {
			errs = append(errs, &munin.Problem{File: "munin-node.conf", Line: i + 1, Key: key, Rule: fmt.Sprintf(format, args...)})
		}
		if text := strings.Trim(stripComment(line), blanks); text != "" && !nodeLine.MatchString(text) {
			problem("", "%q is no key and value set off by a blank: munin-node does not start", text)
			continue
		}
		key, value, ok := netServerSetting(line)
		if !ok || !isAccess(key) {
			continue
		}
		rule, certain := accessRule(key, value)
		if rule != "" && (certain || strict) {
			problem(key, "%s", rule)
		}
		if strings.HasSuffix(key, "allow") && !certain {
			rules++
		}
	}
	if rules == 0 {
		errs = append(errs, fmt.Errorf("munin-node.conf: %w", ErrNoAllow))
	}
	return errors.Join(errs...)
}

// blanks are the bytes that Perl's \s matches.
const blanks = " \t\n\v\f\r"

// stripComment cuts from the first # on that no backslash precedes.
func stripComment(line string) string {
	for i := 0; i < len(line); i++ {
		if line[i] == '#' && (i == 0 || line[i-1] != '\\') {
			line = line[:i]
		}
	}
	return strings.ReplaceAll(line, `\#`, "#")
}

func isAccess(key string) bool {
	return key == "allow" || key == "deny" || key == "cidr_allow" || key == "cidr_deny"
}

// accessRule returns why a line of access matches no peer, or more than it
// seems; or, as not certain, why that is not known.
func accessRule(key, value string) (rule string, certain bool) {
	switch {
	case strings.Trim(value, blanks) != value:
		return fmt.Sprintf("the blank or carriage return at the end of %q is part of the value: no peer matches", value), true
	case strings.HasPrefix(key, "cidr_"):
		if _, err := netip.ParsePrefix(value); err != nil {
			return fmt.Sprintf("%q is no prefix with a length; a value that begins with a colon loses it: write %s = ::/0", value, key), true
		}
		return "", false
	case strings.HasPrefix(value, ":"):
		return fmt.Sprintf("Net::Server takes the colon at the beginning away and sees %q: write ^ before it", value), true
	case strings.Contains(value, "|") && !strings.Contains(value, "("):
		return "each side of the | is anchored at one end only and matches other addresses: write one line for each address", true
	case strings.ContainsAny(value, "ABCDEF") && strings.Contains(value, ":"):
		return "a peer's address is in lower case: no peer matches", true
	case strings.HasPrefix(value, "^::ffff:"):
		return "an IPv4 peer is seen as a.b.c.d: write that", true
	}
	expression, err := regexp.Compile("^" + value + "$")
	var broken *syntax.Error
	if errors.As(err, &broken) {
		return fmt.Sprintf("%q: %s", value, broken.Code), broken.Code != syntax.ErrInvalidPerlOp
	}
	if key != "allow" {
		return "", false
	}
	return allowRule(value, expression)
}

// allowRule looks for the one address that an allow line means.
func allowRule(value string, expression *regexp.Regexp) (rule string, certain bool) {
	literal := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "^"), "$"), `\.`, ".")
	if _, err := netip.ParsePrefix(literal); err == nil {
		return "a prefix, which is for cidr_allow: no peer matches", true
	}
	ip, err := netip.ParseAddr(strings.Trim(literal, "[]"))
	if err != nil {
		if expression.MatchString("198.51.100.77") && expression.MatchString("2001:db8:7:77::77") {
			return "it lets everyone in: write one line for each address", true
		}
		return "an expression, and no one address: whom it lets in is not checked", false
	}
	line, err := AllowLine(ip)
	switch {
	case err != nil:
		return strings.TrimPrefix(err.Error(), "node: "), true
	case line == "allow "+value:
		return "", false
	case !expression.MatchString(ip.Unmap().String()):
		return "no peer matches: write " + line, true
	}
	return "write " + line + ", which matches nothing else", false
}

// admitted returns which masters the file keeps out, as Net::Server decides.
func (c Conf) admitted(conf []byte) error {
	var errs []error
	for i, line := range splitNode(conf) {
		key, value, ok := netServerSetting(line)
		if !ok || !strings.HasSuffix(key, "deny") {
			continue
		}
		for _, ip := range c.Masters {
			if denies(key, value, ip.Unmap()) {
				errs = append(errs, &munin.Problem{File: "munin-node.conf", Line: i + 1, Key: key, Rule: fmt.Sprintf("it keeps the master %v out, and deny wins over allow", ip)})
			}
		}
	}
	return errors.Join(errs...)
}

// denies reports whether a line keeps a peer out. An expression of Perl's that
// Go does not know denies nobody here.
func denies(key, value string, ip netip.Addr) bool {
	if key == "cidr_deny" {
		prefix, err := netip.ParsePrefix(value)
		return err == nil && prefix.Contains(ip)
	}
	expression, err := regexp.Compile("^" + value + "$")
	return err == nil && expression.MatchString(ip.String())
}
