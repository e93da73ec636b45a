// Package ethtool drives the PSE ports of a Linux machine over the kernel's
// ethtool netlink: a backend of package poe, for switches that run Linux with
// their ports as network interfaces.
//
//	pse, err := ethtool.Dial(map[poe.PortID]string{{Group: 1, Port: 1}: "lan1"})
//	if err != nil {
//		return err
//	}
//	defer pse.Close()
//	ports, err := pse.Status(ctx)
//
// It speaks of IEEE Std 802.3 Clause 33 (PoE, since Linux 6.10; actual power,
// class and limits since 6.11) and of Clause 104 (PoDL, since Linux 6.1), and
// uses whichever the interface has. Interfaces have names that last and numbers
// that do not, so that the operator says which one is which group.port.
//
// To read needs nothing; to switch needs CAP_NET_ADMIN. An interface without a
// PSE, and a kernel without ethtool's PSE messages, return [ErrNoPSE]. It
// counts no faults, and does not know the machine's power budget or its bridge.
//
// The API may still change before version 1.
package ethtool
