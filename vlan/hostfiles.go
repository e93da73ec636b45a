package vlan

// Ifupdown returns the host's interfaces(5) text. Without a RootDevice it is
// stanzas for /etc/network/interfaces.d; with one it is the whole of
// /etc/network/interfaces, with lo, and the root device as `manual`.
func (h Host) Ifupdown() string { return "" }

// Networkd returns the host's files for /etc/systemd/network: a .netdev and a
// .network for each VLAN, and a .network for each parent, which must list its
// VLANs. The parents' own addresses stay as they are.
func (h Host) Networkd() []File { return nil }

// NetworkManager returns the host's files for /etc/NetworkManager: a profile in
// system-connections for each VLAN, and in conf.d what keeps NetworkManager
// away from the root device.
func (h Host) NetworkManager() []File { return nil }
