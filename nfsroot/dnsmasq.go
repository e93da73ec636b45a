package nfsroot

import "net"

// TFTPClient is a Pi that boots over the interface of its own link.
type TFTPClient struct {
	Interface string // the server's, such as eth0.10
	Link      Link
	Name      string           // of the Pi: a DNS label
	MAC       net.HardwareAddr // optional. With it, DHCP answers this Pi alone
	Serial    Serial           // optional. With it, the TFTP directory is stated in a comment
}

// FormatDnsmasq writes a file for /etc/dnsmasq.d: TFTP below the directory
// root, and DHCP with the "Raspberry Pi Boot" that a Pi 3's boot ROM waits
// for, on the clients' interfaces and on no other; no DNS. Problems are
// errors, all at once: an interface, a name, a MAC or a serial number twice or
// malformed.
func FormatDnsmasq(root string, clients []TFTPClient) (string, error) { return "", nil }
