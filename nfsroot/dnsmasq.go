package nfsroot

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
)

const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	// raspberryPiBoot is what the boot ROM of a Pi 3 looks for in option 43;
	// that of the 3B measures it wrongly and wants the blanks.
	raspberryPiBoot = "Raspberry Pi Boot   "
)

// TFTPClient is a Pi that boots over the interface of its own link.
type TFTPClient struct {
	Interface string           // the server's, such as eth0.10
	Link      Link             // its addresses are the Pi's and the server's
	Name      string           // of the Pi: a DNS label
	MAC       net.HardwareAddr // optional. With it, DHCP answers this Pi alone
	Serial    Serial           // optional. With it, the TFTP directory is stated in a comment
}

// FormatDnsmasq writes a file for /etc/dnsmasq.d: TFTP below the directory
// root, and DHCP with the "Raspberry Pi Boot" that a Pi 3's boot ROM waits
// for, on the clients' interfaces and on no other; no DNS. Problems are
// errors, all at once: an interface, a link, a name, a MAC or a serial number
// twice or malformed.
func FormatDnsmasq(root string, clients []TFTPClient) (string, error) {
	var errs []error
	if !path.IsAbs(root) || path.Clean(root) != root || strings.Trim(root, alphanumeric+"/._+-") != "" {
		errs = append(errs, fmt.Errorf("nfsroot: dnsmasq: the TFTP root %q must be an absolute path of letters, digits and /._+-", root))
	}
	seen := map[string]string{}
	for i, c := range clients {
		if err := c.check(seen); err != nil {
			errs = append(errs, fmt.Errorf("nfsroot: dnsmasq: client %d, %q: %w", i+1, c.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "port=0\nbind-dynamic\nexcept-interface=lo\ntftp-root=%s\npxe-service=0,\"%s\"\n", root, raspberryPiBoot)
	for _, c := range clients {
		c.write(&b)
	}
	return b.String(), nil
}

func (c TFTPClient) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n# %s", c.Name)
	if c.Serial != 0 {
		fmt.Fprintf(b, ", TFTP directory %v", c.Serial)
	}
	fmt.Fprintf(b, "\ninterface=%s\nenable-tftp=%s\n", c.Interface, c.Interface)
	mask := netmask(c.Link.Network.Bits())
	if c.MAC == nil {
		fmt.Fprintf(b, "dhcp-range=%v,%v,%s\n", c.Link.Client, c.Link.Client, mask)
		return
	}
	fmt.Fprintf(b, "dhcp-range=%v,static,%s\ndhcp-host=%v,%v,%s\n", c.Link.Client, mask, c.MAC, c.Link.Client, c.Name)
}

// check returns what is wrong with a client, and what it shares with an
// earlier one; seen maps a value to the client that has it.
func (c TFTPClient) check(seen map[string]string) error {
	var errs []error
	if c.Interface == "" || len(c.Interface) > maxDevice || strings.Trim(c.Interface, alphanumeric+"._-") != "" {
		errs = append(errs, fmt.Errorf("%q is no interface: at most %d letters, digits and ._-", c.Interface, maxDevice))
	}
	if !isLabel(c.Name) {
		errs = append(errs, errors.New("the name must be a DNS label: letters, digits and inner hyphens"))
	}
	errs = append(errs, c.Link.check())
	unique := [][2]string{{"interface", c.Interface}, {"name", strings.ToLower(c.Name)}, {"link", c.Link.Network.String()}}
	if c.MAC != nil {
		errs = append(errs, checkMAC(c.MAC))
		unique = append(unique, [2]string{"MAC address", c.MAC.String()})
	}
	if c.Serial != 0 {
		unique = append(unique, [2]string{"serial number", c.Serial.String()})
	}
	for _, u := range unique {
		key := u[0] + " " + u[1]
		if other, taken := seen[key]; taken {
			errs = append(errs, fmt.Errorf("%q has the %s as well", other, key))
		}
		seen[key] = c.Name
	}
	return errors.Join(errs...)
}
