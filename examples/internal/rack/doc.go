// Package rack makes one description of a rack of network-booted Raspberry
// Pis, rack.yaml, into the values of the packages nfsroot and vlan, and these
// into the files that the fileserver, the switches and each Pi need.
//
// [Parse] reads and checks the description, [Rack.Tree] returns the files,
// [Tree.Write] writes them, and [Tree.Install] and [Rack.Check] are for the
// fileserver itself.
package rack
