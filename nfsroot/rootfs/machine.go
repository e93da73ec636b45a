package rootfs

import "context"

// Machine is the hooks with which Rebuild and Rollback handle the Pi and the
// NFS server. A nil hook leaves its step out. Hooks end with their context.
type Machine struct {
	// Reachable reports whether the Pi answers.
	Reachable func(context.Context) (bool, error)
	// PowerOff and PowerOn switch the Pi.
	PowerOff, PowerOn func(context.Context) error
	// Reexport makes the NFS server forget the old tree: `exportfs -f`.
	Reexport func(context.Context) error
	// Serving returns when the NFS server answers for the root again.
	Serving func(context.Context) error
	// Force swaps the root although the Pi is up, or although Reachable
	// cannot tell.
	Force bool
}
