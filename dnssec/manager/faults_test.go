package manager

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/stretchr/testify/require"
)

// signedBench is one whose zone is signed, with its DS record in the parent.
func signedBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, Policy{})
	b.order(Order{Signed: true})
	b.until("signed", settled)
	return b
}

// turnWithTrouble is a turn in which something may go wrong, but nothing is bogus.
func (b *bench) turnWithTrouble() *Status {
	b.t.Helper()
	next := b.Manager.unit(b.origin).turn(b.t.Context())
	status, err := b.Status(b.origin)
	require.NoError(b.t, err)
	b.check()
	b.pass(max(time.Second, next.Sub(b.clock)))
	return status
}

// says looks for what a person is told to do.
func says(s *Status, text string) bool {
	return slices.ContainsFunc(s.Reasons, func(r rollover.Reason) bool { return r.Person && strings.Contains(r.Text, text) }) ||
		slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, text) })
}

func explanations(s *Status) string {
	lines := slices.Clone(s.Problems)
	for _, r := range s.Reasons {
		lines = append(lines, r.String())
	}
	return strings.Join(lines, "\n")
}

func TestLostState(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	ksk := staying(b.turn(), rollover.KSK).ID
	path := b.store().path(b.origin, stateFile)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	b.restart()
	s := b.turnWithTrouble()
	require.True(t, says(s, "restore it from a backup, or move it away"), explanations(s))

	require.NoError(t, os.Remove(path))
	b.restart()
	s = b.turn()
	require.True(t, s.State.Signed)
	require.Equal(t, ksk, staying(s, rollover.KSK).ID, "the keys are taken over")
	require.Len(t, s.State.Keys, 2)
	b.until("as before", settled)
	b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}})
	b.until("rolled", func(s *Status) bool { return settled(s) && staying(s, rollover.KSK).ID != ksk })
}

func TestKeyDeletedByHand(t *testing.T) {
	t.Parallel()
	for _, role := range []rollover.Role{rollover.KSK, rollover.ZSK} {
		t.Run(role.String(), func(t *testing.T) {
			b := signedBench(t)
			b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}}) // in the middle of one
			key := staying(b.turn(), role)
			files, err := filepath.Glob(b.store().path(b.origin, keysDir, "*+"+key.Public.String()+".*"))
			require.NoError(t, err)
			require.NotEmpty(t, files)
			kept := map[string][]byte{}
			for _, file := range files {
				kept[file], err = os.ReadFile(file)
				require.NoError(t, err)
				require.NoError(t, os.Remove(file))
			}
			end := b.clock.Add(3 * 24 * time.Hour)
			var s *Status
			for b.clock.Before(end) {
				s = b.turnWithTrouble()
			}
			if role == rollover.KSK || staying(s, role).ID == key.ID {
				require.True(t, says(s, "private half of"), explanations(s))
			}
			for file, text := range kept {
				require.NoError(t, os.WriteFile(file, text, 0o600))
			}
			b.until("whole again", settled)
		})
	}
}

func TestDSWithdrawnByParent(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	records := b.parent.records[b.origin]
	b.zone.Policy.Parent, b.zone.Registrar = rollover.ByPerson, nil // else it is lodged again
	b.restart()
	b.parent.records[b.origin] = nil
	var s *Status
	for range 20 {
		s = b.turn()
		if slices.ContainsFunc(s.Reasons, func(r rollover.Reason) bool { return r.Person }) {
			break
		}
	}
	require.True(t, says(s, "lodge it again") || s.Lodge, explanations(s))
	require.NotNil(t, b.Manager.unit(b.origin).signed.result, "the zone stays signed")
	b.parent.records[b.origin] = records
	b.until("as before", settled)
}

func TestClockLeaps(t *testing.T) {
	t.Parallel()
	b := signedBench(t)
	b.order(Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.KSK}}})
	b.turn()
	right := b.clock
	b.clock = b.clock.Add(40 * 24 * time.Hour) // and no time has passed
	s := b.turnWithTrouble()
	require.True(t, says(s, "look whether the clock is right"), explanations(s))
	// Resolvers whose clocks are right have to find the zone valid, too.
	findings, err := dnssec.Verify(t.Context(), b.Manager.unit(b.origin).signed.zone, right.Add(time.Minute))
	require.NoError(t, err)
	require.Empty(t, findings)
	for range 5 {
		b.turnWithTrouble()
	}
	b.clock = right.Add(2 * time.Hour)
	b.turnWithTrouble()
	b.until("rolled", settled)
}

// TestSignedByOthers leaves a zone that came signed as it is, until it is enabled;
// then its keys are taken over, and stay the keys.
func TestSignedByOthers(t *testing.T) {
	t.Parallel()
	other := signedBench(t)
	b := newBench(t, Policy{})
	text, err := os.ReadFile(other.store().path(other.origin, signedFile))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.zone.File, text, 0o600))
	b.clock = other.clock
	b.parent.records = other.parent.records
	for range 3 {
		s := b.turn() // verifies it, against the parent
		require.False(t, s.State.Signed)
		require.Empty(t, s.State.Keys)
	}
	require.Zero(t, b.parent.lodged)
	keys, err := other.Keys(b.origin).Keys(b.origin)
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, b.Keys(b.origin).Write(key))
	}
	b.order(Order{Signed: true})
	s := b.until("taken over", settled)
	require.Len(t, s.State.Keys, 2)
	for _, role := range []rollover.Role{rollover.KSK, rollover.ZSK} {
		require.Equal(t, staying(other.turn(), role).ID, staying(s, role).ID)
	}
}
