package nfsroot

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// systemdWords are the ways to configure of systemd-network-generator.
var systemdWords = []string{"none", "off", "on", "any", "dhcp", "dhcp6", "auto6", "either6", "ibft", "link6", "link-local"}

// parseSystemd follows parse_cmdline_ip of systemd's network-generator.c.
func parseSystemd(value string) (IPConfig, error) {
	if !strings.Contains(value, ":") {
		auto, err := systemdAutoconf(value)
		return IPConfig{Autoconf: auto}, err
	}
	if strings.HasSuffix(value, ":") {
		return IPConfig{}, errors.New("newer versions refuse a colon at the end")
	}
	c, err := parseSystemdAddress(value)
	if err == nil || strings.HasPrefix(value, "[") {
		return c, err
	}
	device, rest, _ := strings.Cut(value, ":")
	word, _, _ := strings.Cut(rest, ":")
	auto, wordErr := systemdAutoconf(word)
	if device == "" || wordErr != nil {
		return IPConfig{}, err
	}
	return IPConfig{Device: device, Autoconf: auto}, nil
}

func parseSystemdAddress(value string) (c IPConfig, err error) {
	fields := splitBrackets(value)
	if len(fields) < 7 {
		return c, fmt.Errorf("a device and how to configure it must be fields 6 and 7, and there are %d fields", len(fields))
	}
	var errs []error
	for i, addr := range []*netip.Addr{&c.Client, &c.Server, &c.Gateway} {
		*addr, err = bracketAddr(fields[i])
		errs = append(errs, err)
	}
	c.Bits, err = systemdMask(fields[3])
	errs = append(errs, err)
	c.Hostname, c.Device = fields[4], fields[5]
	if c.Hostname != "" && !isHostname(c.Hostname) {
		errs = append(errs, fmt.Errorf("%q is no host name", c.Hostname))
	}
	c.Autoconf, err = systemdAutoconf(fields[6])
	errs = append(errs, err)
	c.DNS, err = systemdTail(fields[7:], c.Device)
	return c, errors.Join(append(errs, err)...)
}

// systemdTail reads what follows autoconf: an MTU and a MAC address when a
// device is named, or two servers of DNS.
func systemdTail(fields []string, device string) (dns [2]netip.Addr, err error) {
	if len(fields) == 0 {
		return dns, nil
	}
	mtu := fields[0]
	if _, err := strconv.ParseUint(mtu, 10, 32); device != "" && (mtu == "" || err == nil) {
		if mac := strings.Join(fields[1:], ":"); mac != "" {
			_, err = ParseMAC(mac)
			return dns, err
		}
		return dns, nil
	}
	if len(fields) > 2 {
		return dns, errors.New("at most two fields may follow how to configure")
	}
	for i, field := range fields {
		if dns[i], err = bracketAddr(field); err != nil {
			return dns, err
		}
	}
	return dns, nil
}

func systemdAutoconf(word string) (Autoconf, error) {
	if !slices.Contains(systemdWords, word) {
		return "", fmt.Errorf("%q is no way to configure: write one of %q", word, systemdWords)
	}
	switch word {
	case "none":
		word = "off"
	case "any":
		word = "on"
	}
	return Autoconf(word), nil
}

// systemdMask reads a dotted netmask or a prefix length; an empty one is the
// host alone.
func systemdMask(field string) (length int, err error) {
	if field == "" {
		return 0, nil
	}
	if mask, parseErr := netip.ParseAddr(field); parseErr == nil && mask.Is4() {
		length, err = maskBits(mask)
	} else if n, parseErr := strconv.ParseUint(field, 10, 8); parseErr == nil {
		length = int(n)
	} else {
		return 0, fmt.Errorf("%q is neither a netmask nor a prefix length", field)
	}
	if err == nil && length == 0 {
		err = errors.New("a netmask of 0 bits makes every address a neighbour")
	}
	return length, err
}

// dracutDynamic are the ways to configure for which dracut wants no address.
var dracutDynamic = []string{"dhcp", "dhcp6", "on", "any", "single-dhcp"}

// parseDracut follows ip_to_var and parse-ip-opts.sh of dracut's modules
// 40network and 35network-legacy. They look at no address.
func parseDracut(value string) (c IPConfig, err error) {
	fields := splitBrackets(value)
	fields = append(fields, slices.Repeat([]string{""}, 9)...)
	word := fields[6]
	switch {
	case !strings.Contains(value, ":"):
		word = value
		fields = make([]string, 9)
	case slices.Contains([]string{"dhcp", "on", "any", "dhcp6", "auto6", "either6"}, fields[1]):
		c.Device = fields[0]
		word = fields[1]
		fields = make([]string, 9)
	default:
		c.Hostname, c.Device = fields[4], fields[5]
	}
	if err := dracutRefuses(word, fields[0], fields[3]); err != nil {
		return IPConfig{}, err
	}
	for i, addr := range []*netip.Addr{&c.Client, &c.Server, &c.Gateway} {
		if *addr, err = bracketAddr(fields[i]); err != nil {
			return IPConfig{}, err
		}
	}
	if c.Bits, err = systemdMask(fields[3]); err != nil {
		return IPConfig{}, err
	}
	for i, field := range fields[7:9] {
		c.DNS[i], _ = bracketAddr(field) // or an MTU and a MAC address
	}
	switch word {
	case "none":
		word = "off"
	case "any":
		word = "on"
	}
	c.Autoconf = Autoconf(word)
	return c, nil
}

// dracutRefuses returns what dracut dies of.
func dracutRefuses(word, client, mask string) error {
	switch {
	case slices.Contains([]string{"bootp", "rarp", "both"}, word):
		return fmt.Errorf("%s is not supported", word)
	case word == "none" || word == "off":
		if client == "" || mask == "" {
			return fmt.Errorf("%s needs an address and a netmask", word)
		}
	case word == "" && client != "":
		return errors.New("an empty autoconf is dhcp, which an address excludes: write off")
	case slices.Contains(dracutDynamic, word):
		if client != "" {
			return fmt.Errorf("an address excludes %s: write off", word)
		}
	case !slices.Contains([]string{"", "ibft", "auto6", "link6", "either6"}, word):
		return fmt.Errorf("%q is no way to configure", word)
	}
	return nil
}

// splitBrackets splits at colons, but for those in brackets.
func splitBrackets(value string) (fields []string) {
	for {
		end := 0
		if strings.HasPrefix(value, "[") {
			end = max(strings.IndexByte(value, ']'), 0)
		}
		colon := strings.IndexByte(value[end:], ':')
		if colon < 0 {
			return append(fields, value)
		}
		fields = append(fields, value[:end+colon])
		value = value[end+colon+1:]
	}
}

// bracketAddr reads an IPv4 address or one of IPv6 in brackets; "" is none.
func bracketAddr(field string) (netip.Addr, error) {
	if field == "" {
		return netip.Addr{}, nil
	}
	inner, bracketed := strings.CutPrefix(field, "[")
	addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	if err != nil || addr.Is6() != bracketed {
		return netip.Addr{}, fmt.Errorf("%q is no address", field)
	}
	if addr.IsUnspecified() {
		return netip.Addr{}, nil
	}
	return addr, nil
}

// isHostname reports whether the name consists of labels (RFC 1123 section
// 2.1) of at most 64 bytes together, which is Linux's limit.
func isHostname(name string) bool {
	if len(name) > maxHostname {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is one label of a host name.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
