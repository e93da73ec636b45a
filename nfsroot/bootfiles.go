package nfsroot

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxConfigLine is the length of a line of config.txt, behind which the
// firmware ignores what follows.
const maxConfigLine = 98

// FormatCmdlineTxt writes the firmware's cmdline.txt: the line and one line
// feed. A line break inside a parameter is an error, since the firmware reads
// one line only, and so is a line longer than CommandLineSizeARM64.
func FormatCmdlineTxt(c Cmdline) (string, error) {
	line, err := c.Format()
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(line, "\r\n") {
		return "", errors.New("nfsroot: a parameter has a line break, and the firmware reads the first line of cmdline.txt only")
	}
	if err := c.CheckLength(CommandLineSizeARM64); err != nil {
		return "", err
	}
	return line + "\n", nil
}

// Setting is a line of config.txt or of the EEPROM's configuration: Key=Value.
type Setting struct{ Key, Value string }

// FormatConfigTxt writes a config.txt: the settings below [all], so that they
// hold for every model, in the given order. A Pi boots over the network with
// none; console=ttyAMA0 wants enable_uart=1 and, where Bluetooth has that UART,
// dtoverlay=disable-bt. Lines have at most 98 bytes: the firmware ignores what
// is longer. Problems are errors, all at once.
func FormatConfigTxt(settings []Setting) (string, error) {
	var b strings.Builder
	var errs []error
	b.WriteString("[all]\n")
	for i, s := range settings {
		line := s.Key + "=" + s.Value
		if s.Key == "" || strings.Trim(s.Key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			errs = append(errs, fmt.Errorf("nfsroot: config.txt: setting %d: %q is no key", i+1, s.Key))
		}
		if strings.ContainsAny(s.Value, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("nfsroot: config.txt: setting %d, %s: the value has a line break or a NUL", i+1, s.Key))
		}
		if len(line) > maxConfigLine {
			errs = append(errs, fmt.Errorf("nfsroot: config.txt: setting %d, %s: %d bytes, and the firmware reads %d of a line", i+1, s.Key, len(line), maxConfigLine))
		}
		b.WriteString(line + "\n")
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return b.String(), nil
}

// BootOrder is the order in which the bootloader of a Pi 4 or 5 tries its
// ways to boot: one way a hexadecimal digit, the lowest first.
type BootOrder uint32

// Orders with the network. The zero BootOrder is BootNetwork.
const (
	BootNetwork       BootOrder = 0xf2  // network, again and again
	BootNetworkThenSD BootOrder = 0xf12 // network, SD card, again
	BootSDThenNetwork BootOrder = 0xf21 // SD card, network, again
)

// The digits of a BootOrder that matter here.
const (
	bootByNetwork = 0x2
	bootStop      = 0xe
	bootRestart   = 0xf
)

func (o BootOrder) check() error {
	network := false
	for rest := o; rest != 0; rest >>= 4 {
		switch digit := rest & 0xf; {
		case digit == bootByNetwork:
			network = true
		case digit > 7 && digit < bootStop:
			return fmt.Errorf("BOOT_ORDER %#x: %#x is no way to boot", uint32(o), uint32(digit))
		case digit >= bootStop && rest>>4 != 0:
			return fmt.Errorf("BOOT_ORDER %#x: it is read from right to left, and what is left of %#x is never tried", uint32(o), uint32(digit))
		}
	}
	if !network {
		return fmt.Errorf("BOOT_ORDER %#x has no %#x, the network", uint32(o), bootByNetwork)
	}
	return nil
}

// FormatEEPROM writes the settings that make the bootloader of a Pi 4 or 5
// boot over its link without DHCP, for `rpi-eeprom-config --apply`: TFTP_IP,
// CLIENT_IP, SUBNET, GATEWAY, TFTP_PREFIX=0 (a directory named after the serial
// number) and BOOT_ORDER. The gateway is the server, which the bootloader asks
// only for what is off its link: nothing, as long as TFTP_IP is on it. When the
// server has no start4.elf or start.elf in that directory the bootloader takes
// its files from the TFTP root instead, so keep that without any.
func FormatEEPROM(link Link, order BootOrder) (string, error) {
	order = cmp.Or(order, BootNetwork)
	if err := order.check(); err != nil {
		return "", fmt.Errorf("nfsroot: EEPROM: %w", err)
	}
	if err := link.check(); err != nil {
		return "", fmt.Errorf("nfsroot: EEPROM: %w", err)
	}
	return fmt.Sprintf("[all]\nBOOT_ORDER=%#x\nTFTP_PREFIX=0\nTFTP_IP=%v\nCLIENT_IP=%v\nSUBNET=%s\nGATEWAY=%v\n",
		uint32(order), link.Server, link.Client, netmask(link.Network.Bits()), link.Server), nil
}

// check returns an error for a link that no pool made.
func (l Link) check() error {
	if !l.Network.IsValid() || !l.Server.Is4() || !l.Client.Is4() || l.Server == l.Client || !l.Network.Contains(l.Server) || !l.Network.Contains(l.Client) {
		return fmt.Errorf("the link %+v is not one of a pool", l)
	}
	return nil
}

// Serial is the lower half of a Pi's serial number, which names its directory
// on the TFTP server. 0 is none.
type Serial uint32

// ParseSerial reads the 8 hexadecimal digits that the firmware asks for, or
// the 16 of /proc/cpuinfo, of which the last 8 are taken.
func ParseSerial(s string) (Serial, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || (len(s) != 8 && len(s) != 16) {
		return 0, fmt.Errorf("nfsroot: serial number %q: it must be 8 hexadecimal digits, or the 16 of /proc/cpuinfo", s)
	}
	if uint32(n) == 0 {
		return 0, fmt.Errorf("nfsroot: serial number %q: no Pi has all zeros", s)
	}
	return Serial(n), nil
}

// String returns 8 hexadecimal digits, as the firmware writes them.
func (s Serial) String() string { return fmt.Sprintf("%08x", uint32(s)) }

// ParseMAC reads the Ethernet address of one interface: six bytes in one of
// the forms of [net.ParseMAC], neither multicast nor all zero.
func ParseMAC(s string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(s)
	if err != nil {
		return nil, fmt.Errorf("nfsroot: MAC address %q: write six bytes, such as b8:27:eb:00:00:01", s)
	}
	if err := checkMAC(mac); err != nil {
		return nil, err
	}
	return mac, nil
}

func checkMAC(mac net.HardwareAddr) error {
	switch {
	case len(mac) != 6:
		return fmt.Errorf("nfsroot: MAC address %v: it has %d bytes, and Ethernet's have 6", mac, len(mac))
	case mac[0]&1 != 0:
		return fmt.Errorf("nfsroot: MAC address %v: it is of a group (multicast), not of one interface", mac)
	case mac.String() == "00:00:00:00:00:00":
		return fmt.Errorf("nfsroot: MAC address %v: no interface has all zeros", mac)
	}
	return nil
}
