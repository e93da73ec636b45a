// Package switchconf writes the VLANs of a plan as a switch's configuration:
// Cisco IOS, Junos with Enhanced Layer 2 Software, and the Linux bridge.
//
//	text, err := switchconf.IOS(plan, "sw1")
//	if err != nil {
//		log.Fatal(err) // every problem of the plan
//	}
//	os.Stdout.WriteString(text)
//
// In each dialect a computer's port has its private VLAN untagged and nothing
// but the planned VLANs tagged, a trunk has all of its VLANs tagged, no port
// negotiates what it is, and what does not belong to a port's VLANs is dropped
// as it comes in (ingress filtering, IEEE 802.1Q). Ports that the plan does not
// name are left as they are. A plan that has problems is never written.
//
// The text is for a person, or for a program that has a way to the switch: the
// package does no I/O and needs no privileges. The API may change until v1.0.0.
package switchconf
