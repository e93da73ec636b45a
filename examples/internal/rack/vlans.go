package rack

import "github.com/berryrack/berryrack/vlan"

// Wanted returns the VLAN interfaces that the fileserver is to have. It owns
// those on its interface with an id that a slot can have; with prune, owned
// ones of no Pi are deleted.
func (r *Rack) Wanted(prune bool) vlan.Wanted {
	return vlan.Wanted{
		Parents:    []string{r.Config.Server.Interface},
		Owned:      r.VLANs.Private,
		Interfaces: r.VLANs.Server.Interfaces,
		Prune:      prune,
	}
}
