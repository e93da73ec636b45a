package vlan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// ID is a VLAN identifier (VID, IEEE 802.1Q). The zero ID is no VLAN.
type ID uint16

// MaxID is the highest identifier that a VLAN can have.
const MaxID ID = 4094

// String returns the identifier in decimal.
func (id ID) String() string { return strconv.Itoa(int(id)) }

// Check reports why no VLAN of a plan can have this identifier: it is not in
// 1..4094, or a switch has a use of its own for it (1, 1002..1005).
func (id ID) Check() error {
	if err := id.problem(); err != nil {
		return fmt.Errorf("vlan: %w", err)
	}
	return nil
}

func (id ID) problem() error {
	switch {
	case id < 1 || id > MaxID:
		return fmt.Errorf("id %d is not in 1..%d", id, MaxID)
	case id == 1:
		return errors.New("id 1 is every switch's default VLAN: choose another")
	case id >= 1002 && id <= 1005:
		return fmt.Errorf("id %d is one of 1002..1005, which Cisco switches keep for FDDI and Token Ring: choose another", id)
	}
	return nil
}

// Numbering gives each slot of a rack the identifier of its private VLAN. A
// slot's identifier depends on First and Skip alone: what is in other slots,
// and how many there are, never moves it.
type Numbering struct {
	// First is slot 0's identifier, or the next one that is free if it is
	// reserved or skipped. Zero counts from 2.
	First ID
	// Skip lists identifiers that something else uses, as the public VLAN,
	// in any order. Reserved identifiers are skipped anyway.
	Skip []ID
	// Slots is how many slots there are. Zero is as many as there are
	// identifiers from First to 4094.
	Slots int
}

// ID returns the identifier of a slot; slots count from 0. It is an error if
// there is no such slot, or if the identifiers do not reach that far.
func (n Numbering) ID(slot int) (ID, error) {
	if slot < 0 || n.Slots > 0 && slot >= n.Slots {
		return 0, fmt.Errorf("vlan: there is no slot %d: they are 0..%d", slot, n.slots()-1)
	}
	id := int(n.first()) + slot
	for _, skip := range n.taken() {
		if int(skip) <= id {
			id++
		}
	}
	if slot > int(MaxID) || id > int(MaxID) {
		return 0, fmt.Errorf("vlan: slot %d has no id: from %d to %d there are %d that are free", slot, n.first(), MaxID, n.free())
	}
	return ID(id), nil
}

// Slot returns the slot that has the identifier; ok is false if none has.
func (n Numbering) Slot(id ID) (slot int, ok bool) {
	if id < n.first() || id > MaxID {
		return 0, false
	}
	slot = int(id - n.first())
	for _, skip := range n.taken() {
		if skip == id {
			return 0, false
		}
		if skip < id {
			slot--
		}
	}
	return slot, n.Slots <= 0 || slot < n.Slots
}

func (n Numbering) first() ID { return max(n.First, 1) }

// taken returns the identifiers from First on that no slot gets, in order.
func (n Numbering) taken() []ID {
	taken := append([]ID{1, 1002, 1003, 1004, 1005}, n.Skip...)
	slices.Sort(taken)
	taken = slices.Compact(taken)
	return slices.DeleteFunc(taken, func(id ID) bool { return id < n.first() || id > MaxID })
}

// free returns how many identifiers there are for slots.
func (n Numbering) free() int { return max(0, int(MaxID)-int(n.first())+1-len(n.taken())) }

// slots returns how many slots there are.
func (n Numbering) slots() int {
	if n.Slots > 0 {
		return n.Slots
	}
	return n.free()
}
