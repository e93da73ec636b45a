// Package poe power cycles what a switch feeds over Ethernet, safely and
// verified: power sourcing equipment (PSE), its ports, and the powered devices
// (PD) on them.
//
//	journal, err := poe.OpenJournal("/var/lib/rack/sw1.json")
//	if err != nil {
//		return err
//	}
//	defer journal.Close()
//	pi1 := poe.PortID{Group: 1, Port: 1}
//	sw1 := poe.Controller{
//		PSE:     pse, // of poe/snmp, poe/ethtool or poe/command
//		Guard:   poe.Guard{Ports: map[poe.PortID]poe.Port{pi1: {Name: "pi1", Up: poe.DialTCP("[2001:db8::2]:22")}}},
//		Journal: journal,
//	}
//	_, err = sw1.Recover(ctx)         // what a crash left dark
//	report, err := sw1.Cycle(ctx, pi1)
//
// A port is named group.port, as in POWER-ETHERNET-MIB; what stands on a
// switch's front is often another number.
//
// [Controller] is what acts. It touches no port that its [Guard] does not
// list, writes into its [Journal] that a port must come on again before it
// takes the power away, sends the "on" whatever becomes of the caller's
// context, and believes no answer that the switch's state does not confirm.
// [Watch] only looks.
//
// The package needs no privileges of its own; poe/ethtool needs CAP_NET_ADMIN.
// It runs wherever Go does, except the journal, whose lock needs a Unix.
//
// It follows RFC 3621 (POWER-ETHERNET-MIB, on IEEE Std 802.3 Clause 33). It
// does not shut down a device's operating system first, change the switch's
// power limits or priorities, or tell which port of the front panel has which
// number.
//
// The API may still change before version 1.
package poe
