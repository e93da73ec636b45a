package nfsroot

import "net"

// FormatCmdlineTxt writes the firmware's cmdline.txt: the line and one line
// feed. A line break inside a parameter is an error, since the firmware reads
// one line only, and so is a line longer than CommandLineSizeARM64.
func FormatCmdlineTxt(c Cmdline) (string, error) { return "", nil }

// Setting is a line of config.txt or of the EEPROM's configuration.
type Setting struct{ Key, Value string }

// FormatConfigTxt writes a config.txt: the settings below [all], so that they
// hold for every model, in the given order. Its lines have at most 98 bytes;
// the firmware ignores what is longer.
func FormatConfigTxt(settings []Setting) (string, error) { return "", nil }

// BootOrder is the order in which the bootloader of a Pi 4 or 5 tries its
// ways to boot: one way a hexadecimal digit, the lowest first.
type BootOrder uint32

// Network boots. The zero BootOrder is BootNetwork.
const (
	BootNetwork       BootOrder = 0xf2  // network, again and again
	BootNetworkThenSD BootOrder = 0xf12 // network, SD card, again
	BootSDThenNetwork BootOrder = 0xf21 // SD card, network, again
)

// FormatEEPROM writes the settings that make the bootloader of a Pi 4 or 5
// boot over its link without DHCP, for `rpi-eeprom-config --apply`: CLIENT_IP,
// SUBNET, TFTP_IP, TFTP_PREFIX=0 (a directory named after the serial number)
// and BOOT_ORDER. There is no GATEWAY: the server is on the link.
func FormatEEPROM(link Link, order BootOrder) (string, error) { return "", nil }

// Serial is the lower half of a Pi's serial number, which names its directory
// on the TFTP server. 0 is none.
type Serial uint32

// ParseSerial reads the 8 hexadecimal digits that the firmware asks for, or
// the 16 of /proc/cpuinfo, of which the last 8 are taken.
func ParseSerial(s string) (Serial, error) { return 0, nil }

// String returns 8 hexadecimal digits, as the firmware writes them.
func (s Serial) String() string { return "" }

// ParseMAC reads the Ethernet address of one interface: six bytes in one of
// the forms of [net.ParseMAC], neither multicast nor all zero.
func ParseMAC(s string) (net.HardwareAddr, error) { return nil, nil }
