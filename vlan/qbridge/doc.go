// Package qbridge reads a switch's VLANs back by SNMP and compares them with
// the plan.
//
//	have, err := qbridge.Read(ctx, qbridge.Target{
//		Address: "192.0.2.10",
//		User:    "rack", AuthPassphrase: auth, PrivPassphrase: priv,
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	for _, difference := range qbridge.Diff(plan.Switches[0], have) {
//		fmt.Println(difference) // port 1 (ge-0/0/1): PVID is 1, planned 10
//	}
//
// It reads the static VLAN table and the port table of Q-BRIDGE-MIB (RFC 4363),
// and by way of BRIDGE-MIB (RFC 4188) and IF-MIB (RFC 2863) the ports' names. A
// PortList is read as the bitmap that RFC 4363 has, or as the numbers in text
// that Junos has by default. SNMPv3 (RFC 3414, RFC 3826, RFC 7860) is the
// default; SNMPv2c, which sends its community in the clear, is asked for by
// naming one.
//
// It only reads: the user needs a view of 1.3.6.1.2.1. Cisco IOS has no
// Q-BRIDGE-MIB, and Junos without Enhanced Layer 2 Software numbers its VLANs
// otherwise in it. The API may change until v1.0.0.
package qbridge
