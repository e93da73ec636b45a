// Package snmp drives the PSE ports of a switch over SNMP: a backend of package
// poe.
//
//	sw, err := snmp.Dial(ctx, snmp.Config{Address: "sw1.example.org", User: "rack", Auth: auth, Priv: priv})
//	if err != nil {
//		return err
//	}
//	defer sw.Close()
//	ports, err := sw.Status(ctx) // 48 ports in three or four round trips
//
// SNMPv3 with SHA-256 and AES is what a zero [Config.Version] means; v2c, which
// sends its community in the clear, is used only when it is asked for. There is
// no v1 and no security level below authPriv.
//
// The switch needs POWER-ETHERNET-MIB (RFC 3621). The power that each port
// draws comes from the columns of Cisco IOS and Small Business, HP and
// ArubaOS-Switch, Aruba CX, Netgear and Extreme, found by sysObjectID. On Cisco
// IOS a port's mode (auto, static, limit) is kept, and Netgear's switches can
// reset a port by themselves. MikroTik's can only be read: RouterOS lets
// nobody switch PoE over SNMP. The addresses that a switch has learnt come from
// Q-BRIDGE-MIB (RFC 4363) or BRIDGE-MIB (RFC 4188). Cisco IOS shows those of a
// VLAN only in a context of that VLAN's, which is not asked for: there, nobody
// is known to be on a port.
//
// A SET is sent once. Whether it was done is read back, also when its answer is
// lost or late.
//
// It needs a user (or community) that may read these tables, and write
// pethPsePortAdminEnable. It does not discover switches, and sends or receives
// no notifications.
//
// The API may still change before version 1.
package snmp
