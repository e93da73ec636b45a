package vlan

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Peer is a private interface of the fileserver, and the two IPv4 addresses
// that may talk over it.
type Peer struct {
	// Interface is the interface's name.
	Interface string
	// Address is the computer's.
	Address netip.Addr
	// Server is the fileserver's own. Without it Linux would answer for any
	// of its addresses on any interface.
	Server netip.Addr
}

// Sysctl returns sysctl.d(5) text that makes the kernel drop packets of a
// source that is not behind the interface that they come in by (rp_filter, RFC
// 3704, section 2.2), and keeps IPv6 off the interfaces. The keys are set off
// by slashes, because a dot in an interface's name is read as a separator in
// the dotted form.
func Sysctl(interfaces []string) string {
	var b strings.Builder
	b.WriteString("# VLANs do not bind addresses: a source counts only by the interface that leads to it.\n")
	for _, name := range interfaces {
		fmt.Fprintf(&b, "net/ipv4/conf/%s/rp_filter = 1\nnet/ipv6/conf/%[1]s/disable_ipv6 = 1\n", name)
	}
	return b.String()
}

// Nftables returns nft(8) text of one table of family inet and the given name,
// which it replaces atomically, whether or not there is one. From each private
// interface only its peer's address is let in (and the DHCP request of a
// computer that has none yet, RFC 2131, section 4.1), and to no address of the
// fileserver but the one there. From any other interface none of these
// addresses is let in, neither as source nor as destination. Nothing is
// forwarded from or to a private interface. Sets are looked up, so that a
// thousand peers cost a packet no more than one.
//
// Debian's /etc/nftables.conf flushes the ruleset and includes nothing, so it
// must be told to, on a line after the flush:
//
//	include "/etc/nftables.d/*.nft"
func Nftables(table string, peers []Peer) (string, error) {
	if err := peerProblems(table, peers); err != nil {
		return "", err
	}
	var names, computers, servers, computerAddresses, serverAddresses strings.Builder
	for _, peer := range peers {
		fmt.Fprintf(&names, "\t\t\t%q,\n", peer.Interface)
		fmt.Fprintf(&computers, "\t\t\t%q . %v,\n", peer.Interface, peer.Address)
		fmt.Fprintf(&servers, "\t\t\t%q . %v,\n", peer.Interface, peer.Server)
		fmt.Fprintf(&computerAddresses, "\t\t\t%v,\n", peer.Address)
		fmt.Fprintf(&serverAddresses, "\t\t\t%v,\n", peer.Server)
	}
	return fmt.Sprintf(nftablesText, table, elements(&names), elements(&computers), elements(&servers),
		elements(&computerAddresses), elements(&serverAddresses)), nil
}

// elements returns what a set has; it may have nothing, but not say so.
func elements(list fmt.Stringer) string {
	lines := list.String()
	if lines == "" {
		return ""
	}
	return "\t\telements = {\n" + lines + "\t\t}\n"
}

const nftablesText = `# Read by: include "/etc/nftables.d/*.nft", on a line of /etc/nftables.conf after its flush.
# The table is made, deleted and made again in one transaction: nothing passes in between.
table inet %[1]s {}
delete table inet %[1]s
table inet %[1]s {
	# The private interfaces, one for each computer.
	set private {
		type ifname
%[2]s	}

	# Who may be behind each, and which address of this host they may talk to.
	set computers {
		type ifname . ipv4_addr
%[3]s	}
	set servers {
		type ifname . ipv4_addr
%[4]s	}

	# The same addresses wherever they turn up.
	set computer_addresses {
		type ipv4_addr
%[5]s	}
	set server_addresses {
		type ipv4_addr
%[6]s	}

	chain prerouting {
		type filter hook prerouting priority raw; policy accept;
		iifname "lo" accept
		iifname != @private ip saddr @computer_addresses counter drop
		iifname != @private ip daddr @server_addresses counter drop
		iifname != @private accept
		ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67 accept
		iifname . ip saddr @computers accept
		counter drop
	}

	chain input {
		type filter hook input priority filter; policy accept;
		iifname != @private accept
		ip daddr 255.255.255.255 udp dport 67 accept
		iifname . ip daddr @servers accept
		counter drop
	}

	chain forward {
		type filter hook forward priority filter; policy accept;
		iifname @private counter reject
		oifname @private counter reject
	}
}
`

func peerProblems(table string, peers []Peer) error {
	var problems []error
	if strings.Trim(table, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || table == "" {
		problems = append(problems, fmt.Errorf("vlan: nftables table %q: want letters and '_'", table))
	}
	seen, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, peer := range peers {
		if err := nameProblem(peer.Interface); err != nil {
			problems = append(problems, fmt.Errorf("vlan: nftables: %w", err))
		}
		if seen[peer.Interface] {
			problems = append(problems, fmt.Errorf("vlan: nftables: interface %s has two peers", peer.Interface))
		}
		if !peer.Address.Is4() || !peer.Server.Is4() || peer.Address == peer.Server {
			problems = append(problems, fmt.Errorf("vlan: nftables: %s: %v and %v are not two IPv4 addresses", peer.Interface, peer.Address, peer.Server))
		}
		if addresses[peer.Address] || addresses[peer.Server] {
			problems = append(problems, fmt.Errorf("vlan: nftables: %s: %v or %v is another peer's, too", peer.Interface, peer.Address, peer.Server))
		}
		seen[peer.Interface], addresses[peer.Address], addresses[peer.Server] = true, true, true
	}
	return errors.Join(problems...)
}
