package rack

import (
	"context"
	"fmt"

	"github.com/berryrack/berryrack/vlan"
	"github.com/berryrack/berryrack/vlan/qbridge"
)

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

// Drift asks the named switch for its VLANs and returns in what they are not as
// planned.
func (r *Rack) Drift(ctx context.Context, name string) ([]qbridge.Difference, error) {
	s, ok := r.switchNamed(name)
	if !ok || !s.hasSNMP() {
		return nil, fmt.Errorf("rack.yaml has no switch %q with an address and snmp", name)
	}
	// The passphrases are read, and checked, as for its power.
	config, err := s.SNMP.dialing(s.Address)
	if err != nil {
		return nil, err
	}
	have, err := qbridge.Read(ctx, qbridge.Target{
		Address: config.Address, User: config.User,
		AuthPassphrase: qbridge.Secret(config.Auth), PrivPassphrase: qbridge.Secret(config.Priv),
		Community: qbridge.Secret(config.Community),
	})
	if err != nil {
		return nil, err
	}
	for _, planned := range r.VLANs.Switches {
		if planned.Name == name {
			return qbridge.Diff(planned, have), nil
		}
	}
	return nil, fmt.Errorf("no plan of switch %q", name)
}
