package vlan_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/berryrack/berryrack/vlan"
	"github.com/stretchr/testify/require"
)

func TestIDCheck(t *testing.T) {
	for _, id := range []vlan.ID{2, 10, 131, 1001, 1006, 4094} {
		require.NoError(t, id.Check())
	}
	for _, id := range []vlan.ID{0, 1, 1002, 1003, 1004, 1005, 4095, 65535} {
		require.ErrorContains(t, id.Check(), "vlan: id "+id.String())
	}
}

func TestNumbering(t *testing.T) {
	story := vlan.Numbering{First: 10, Skip: []vlan.ID{131}}
	for slot, want := range map[int]vlan.ID{0: 10, 1: 11, 120: 130, 121: 132, 990: 1001, 991: 1006, 4079: 4094} {
		id, err := story.ID(slot)
		require.NoError(t, err)
		require.Equal(t, want, id, "slot %d", slot)
	}
	_, err := story.ID(4080)
	require.EqualError(t, err, "vlan: slot 4080 has no id: from 10 to 4094 there are 4080 that are free")
	_, err = story.ID(-1)
	require.EqualError(t, err, "vlan: there is no slot -1: they are 0..4079")
	_, err = vlan.Numbering{First: 10, Slots: 8}.ID(8)
	require.EqualError(t, err, "vlan: there is no slot 8: they are 0..7")
}

func TestNumberingZero(t *testing.T) {
	id, err := vlan.Numbering{}.ID(0)
	require.NoError(t, err)
	require.Equal(t, vlan.ID(2), id)
}

func TestNumberingFirstIsTaken(t *testing.T) {
	id, err := vlan.Numbering{First: 1002, Skip: []vlan.ID{1006, 1006, 3, 9000}}.ID(0)
	require.NoError(t, err)
	require.Equal(t, vlan.ID(1007), id)
	_, err = vlan.Numbering{First: 5000}.ID(0)
	require.Error(t, err)
}

// TestNumberingNeverMoves checks that a slot's id is in order, of its own, none
// of the skipped ones, found again, and independent of how many slots there are.
// TestNumberingNeverMoves numbers at random: ten times as often where there are
// judges.
func TestNumberingNeverMoves(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rounds := 20
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		rounds = 200
	}
	for range rounds {
		n := vlan.Numbering{First: vlan.ID(random.IntN(1200))}
		for range random.IntN(6) {
			n.Skip = append(n.Skip, vlan.ID(random.IntN(1500)))
		}
		last := vlan.ID(0)
		for slot := range 2000 {
			id, err := n.ID(slot)
			require.NoError(t, err)
			require.Greater(t, id, last)
			require.NoError(t, id.Check())
			require.NotContains(t, n.Skip, id)
			found, ok := n.Slot(id)
			require.True(t, ok)
			require.Equal(t, slot, found)
			last = id
		}
		some := n
		some.Slots = 1 + random.IntN(2000)
		some.Skip = slices.Clone(n.Skip)
		slices.Reverse(some.Skip)
		all, err := n.ID(some.Slots - 1)
		require.NoError(t, err)
		less, err := some.ID(some.Slots - 1)
		require.NoError(t, err)
		require.Equal(t, all, less)
		_, ok := some.Slot(all + 1)
		require.False(t, ok, "a slot that there is not")
	}
}

func TestSlotOfOtherIDs(t *testing.T) {
	n := vlan.Numbering{First: 10, Skip: []vlan.ID{131}}
	for _, id := range []vlan.ID{0, 1, 9, 131, 1002, 1005, 4095} {
		_, ok := n.Slot(id)
		require.False(t, ok, "id %d", id)
	}
}

func BenchmarkNumberingID(b *testing.B) {
	n := vlan.Numbering{First: 10, Skip: []vlan.ID{131}}
	for b.Loop() {
		if _, err := n.ID(1000); err != nil {
			b.Fatal(err)
		}
	}
}
