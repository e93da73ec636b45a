package vlan

// Refused returns a step that every kernel refuses: an id that no VLAN has.
func Refused(parent string) Step {
	return Step{do: op{verb: addLink, device: "refused", parent: parent, vlan: tag{id: 4095}}, undo: []op{{verb: deleteLink, device: "refused"}}}
}
