// Package vlan plans the VLANs of a rack in which every computer has a private
// one to its fileserver, writes the files that set them up, and brings a
// running kernel to the plan over rtnetlink.
//
//	private := vlan.Numbering{First: 10, Skip: []vlan.ID{131}, Slots: 8}
//	id, err := private.ID(0) // 10
//	...
//	server := vlan.Host{Name: "fs", Interfaces: []vlan.Interface{{
//		Parent:    "eth0",
//		ID:        id,
//		Addresses: []netip.Prefix{netip.MustParsePrefix("10.46.189.1/30")},
//	}}}
//	fmt.Print(server.Ifupdown()) // auto eth0.10 ...
//
// A [Plan] holds the interfaces of all hosts and the ports of all switches, and
// [Plan.Check] names everything in it that would not work, or would let one
// computer into another one's network. [Host.Ifupdown], [Host.Networkd] and
// [Host.NetworkManager] write a host's files, [Sysctl] and [Nftables] those that
// bind each private VLAN to its one address. All of this is pure: no privileges,
// no I/O.
//
// A running host is read, compared and changed in three steps, of which the
// second is pure and can be printed:
//
//	have, err := vlan.Namespace{}.Current(ctx, "eth0")
//	...
//	changes, err := vlan.Diff(vlan.Wanted{
//		Parents: []string{"eth0"}, Owned: private, Interfaces: server.Interfaces,
//	}, have)
//	...
//	err = vlan.Namespace{}.Apply(ctx, changes.Steps)
//
// Apply takes back what it did when a step fails, and has nothing to do the
// second time. A [Watcher] does this again whenever something else has changed
// the kernel. Both need Linux, with strict checking of requests (4.20), and
// CAP_NET_ADMIN; Current needs no privilege.
//
// Standards: IEEE 802.1Q (VLANs, PVID, tagged and untagged sets, 802.1ad service
// tags), RFC 4862 section 5.4 (duplicate address detection), interfaces(5),
// systemd.netdev(5), systemd.network(5), nm-settings-keyfile(5), rtnetlink(7).
//
// The package does not configure parents, bonds or bridges, keeps no state of
// its own, and never touches a link that the plan does not own.
//
// The API may change until v1.0.0.
package vlan
