package vlan

// Port is a port of a switch, in the terms of IEEE 802.1Q.
type Port struct {
	// Number is the port's number on the front panel, and in a bridge's MIB.
	Number int
	// Name is the port in the switch's own words: GigabitEthernet1/0/1,
	// ge-0/0/1, swp1.
	Name string
	// Description is one line of text, as the name of what is plugged in.
	// Empty is none.
	Description string
	// Trunk says that the port leads to the fileserver or to another switch,
	// and not to one computer of the rack.
	Trunk bool
	// PVID is the VLAN of frames that come in without a tag. Zero: they are
	// dropped.
	PVID ID
	// Untagged are the VLANs whose frames leave without a tag: PVID or none.
	Untagged []ID
	// Tagged are the VLANs whose frames come and leave with a tag.
	Tagged []ID
}

// Switch is a switch and all its ports that the plan uses.
type Switch struct {
	Name  string
	Ports []Port
}
