package vlan

import "net/netip"

// State is what a network namespace has of VLANs.
type State struct {
	// Parents are the interfaces that carry VLANs, and those asked for.
	Parents []Parent
	// Links are all VLAN interfaces, whoever made them.
	Links []Link
}

// Parent is an interface that carries VLANs.
type Parent struct {
	Name string // as eth0
	MTU  int    // in octets
	// Up is the administrator's will, whether or not there is a carrier.
	Up bool

	index int
}

// Link is a VLAN interface as it is. Its Parent is empty when that is in
// another namespace, its Addresses are the permanent ones that are not
// link-local, and its Gateways those of static default routes in the main table.
type Link struct {
	Interface
	// Up is the administrator's will, whether or not there is a carrier.
	Up bool
	// Duplicates are those of Addresses that another host was found to have
	// (RFC 4862, section 5.4).
	Duplicates []netip.Addr

	index   int
	running bool
}

// Wanted is what Diff compares with a State: the VLAN interfaces of a host, and
// which ones it owns. It owns the VLAN links on its Parents whose id a slot of
// its numbering can have; all others, and their addresses, are never touched.
type Wanted struct {
	// Parents are the interfaces whose VLANs are owned, as eth0. Nothing
	// about them is changed: they must be there and up.
	Parents []string
	// Owned numbers the VLANs that are owned.
	Owned Numbering
	// Interfaces are what there is to be, on Parents and with owned ids.
	Interfaces []Interface
	// Prune deletes links that are owned and not among Interfaces.
	Prune bool
}

// owns reports whether the link is the plan's.
func (w Wanted) owns(link Link) bool {
	_, ok := w.Owned.Slot(link.ID)
	return ok && w.parent(link.Parent)
}

func (w Wanted) parent(name string) bool {
	for _, parent := range w.Parents {
		if parent == name {
			return true
		}
	}
	return false
}
