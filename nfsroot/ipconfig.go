package nfsroot

import "net/netip"

// Dialect is a reader of ip= and nfsroot=. The zero value is the kernel.
type Dialect int

// The readers, with the versions that were looked at.
const (
	Kernel  Dialect = iota // Linux 6.1 with CONFIG_IP_PNP
	Klibc                  // ipconfig and nfsmount of klibc 2.0.12, in Debian's initramfs
	Dracut                 // dracut's network modules
	Systemd                // systemd-network-generator
)

// String returns the reader's name, such as "klibc".
func (d Dialect) String() string { return "" }

// Autoconf is the seventh field of ip=: how an address is found.
type Autoconf string

// What autoconf can be. An unset one means AutoconfOn, and a word that the
// kernel does not know means AutoconfOff to it.
const (
	AutoconfUnset Autoconf = ""
	AutoconfOff   Autoconf = "off"   // or "none": only what the fields say
	AutoconfOn    Autoconf = "on"    // or "any": all that the kernel was built with
	AutoconfDHCP  Autoconf = "dhcp"  // and BOOTP
	AutoconfBOOTP Autoconf = "bootp" // kernels of a Pi are built without it
	AutoconfRARP  Autoconf = "rarp"
	AutoconfBoth  Autoconf = "both" // BOOTP and RARP
)

// IPConfig is the value of ip=, also spelt nfsaddrs=:
//
//	client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1:ntp0
//
// or autoconf alone. Each zero field is an empty one. Addresses are IPv4.
type IPConfig struct {
	Client  netip.Addr // the Pi's own address
	Server  netip.Addr // the NFS server, unless nfsroot= names it; the peer to Dracut and Systemd
	Gateway netip.Addr // of the default route; must be on the client's network
	// Bits is the netmask as a prefix length, 1 to 31; 0 is an empty field,
	// for which the kernel takes the class of the address. The kernel reads
	// 255.255.255.255 as empty too.
	Bits int
	// Hostname has at most 64 bytes. The kernel ends it at the first ".",
	// what follows is the NISDomain; klibc does not cut.
	Hostname  string
	NISDomain string
	Device    string   // at most 15 bytes; empty: the first that works
	Autoconf  Autoconf // of AutoconfDHCP, ClientID is a part
	ClientID  string   // "type,identifier", both as text; only with AutoconfDHCP
	DNS       [2]netip.Addr
	NTP       netip.Addr
}

// ParseIPConfig reads the value of ip= as the dialect does. The kernel refuses
// nearly nothing and reads rubbish as some address: so does ParseIPConfig with
// [Kernel]. Its errors are texts that the dialect refuses or cannot use.
func ParseIPConfig(value string, d Dialect) (IPConfig, error) { return IPConfig{}, nil }

// Format writes the value of ip= for a dialect, without empty fields at its
// end. Reading it again in that dialect gives an equal IPConfig. Everything
// that the dialect would not read as it is meant is an error, all at once.
func (c IPConfig) Format(d Dialect) (string, error) { return "", nil }

// Netmask returns the netmask that the kernel and klibc will use, which is
// that of the client's class (RFC 791 section 3.2) when Bits is 0.
func (c IPConfig) Netmask() (bits int) { return 0 }

// Broadcast returns the address that the kernel will take for the network's
// broadcasts: the client's with all bits beyond the netmask set. It is the
// zero Addr when there is no client.
func (c IPConfig) Broadcast() netip.Addr { return netip.Addr{} }
