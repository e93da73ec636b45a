package keystore

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

func TestAt(t *testing.T) {
	past, future := now.Add(-time.Hour), now.Add(time.Hour)
	const revoked = dnssec.Use(1 << 7) // stands for the flag
	for name, tt := range map[string]struct {
		timing Timing
		want   dnssec.Use
	}{
		"no times":                     {Timing{}, dnssec.CSK},
		"created alone":                {Timing{Created: past}, dnssec.CSK},
		"published":                    {Timing{Publish: past}, dnssec.Publish},
		"to be published":              {Timing{Publish: future, Activate: future}, 0},
		"to be activated":              {Timing{Publish: past, Activate: future}, dnssec.Publish},
		"to be activated, no publish":  {Timing{Activate: future}, 0},
		"active":                       {Timing{Publish: past, Activate: past}, dnssec.CSK},
		"active just now":              {Timing{Publish: now, Activate: now}, dnssec.CSK},
		"active before publication":    {Timing{Publish: future, Activate: past}, dnssec.CSK},
		"inactive":                     {Timing{Publish: past, Activate: past, Inactive: past}, dnssec.Publish},
		"to be inactive":               {Timing{Publish: past, Activate: past, Inactive: future}, dnssec.CSK},
		"deleted":                      {Timing{Publish: past, Activate: past, Delete: past}, 0},
		"revoked":                      {Timing{Publish: past, Activate: past, Revoke: past}, dnssec.KSK | revoked},
		"revoked and inactive":         {Timing{Publish: past, Activate: past, Inactive: past, Revoke: past}, dnssec.KSK | revoked},
		"revoked and deleted":          {Timing{Publish: past, Revoke: past, Delete: past}, 0},
		"in the parent":                {Timing{Publish: past, Activate: past, SyncPublish: past}, dnssec.CSK | dnssec.InParent},
		"in the parent, to be deleted": {Timing{Publish: past, Activate: past, SyncPublish: past, SyncDelete: past}, dnssec.CSK},
		"in the parent no more":        {Timing{Publish: past, Activate: past, SyncPublish: past, Revoke: past}, dnssec.KSK | revoked},
	} {
		key := Key{Timing: tt.timing, Key: dnssec.Key{Use: dnssec.CSK, PublicKey: dnssec.PublicKey{Flags: 257}}}
		got := key.At(now)
		use := got.Use
		if got.Flags&dnssec.FlagRevoke != 0 {
			use |= revoked
		}
		require.Equal(t, tt.want, use, name)
		require.Equal(t, uint16(257), key.Flags)
	}
}

// An offline key has its times in the .key file alone.
func TestOfflineTiming(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	key := generate(t, d, dnssec.ED25519, dnssec.KSK)
	key.Timing.Inactive = now.Add(time.Hour)
	require.NoError(t, d.Write(key))
	require.NoError(t, os.Remove(filepath.Join(d.Path, key.Name()+".private")))
	keys, err := d.Keys(key.Origin)
	require.NoError(t, err)
	require.Equal(t, key.Timing, keys[0].Timing)
	require.Equal(t, dnssec.Publish, keys[0].At(now.Add(time.Hour)).Use)
}

// The times of a .state file go before others, and are written with them.
func TestStateTiming(t *testing.T) {
	d := Dir{Path: t.TempDir()}
	key := generate(t, d, dnssec.ED25519, dnssec.ZSK)
	key.Timing = Timing{Created: now, Activate: now.Add(time.Hour), Inactive: now.Add(2 * time.Hour)}
	require.NoError(t, d.Write(key))
	keys, err := d.Keys(key.Origin)
	require.NoError(t, err)
	require.Equal(t, key.Timing, keys[0].Timing)
	state := filepath.Join(d.Path, key.Name()+".state")
	text, err := os.ReadFile(state)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Published")
	require.NoError(t, os.WriteFile(state, bytes.Replace(text, []byte("Retired: 2026"), []byte("Retired: 2025"), 1), 0o600))
	keys, err = d.Keys(key.Origin)
	require.NoError(t, err)
	require.Equal(t, 2025, keys[0].Timing.Inactive.Year())
	require.NoError(t, os.WriteFile(state, []byte("Active: soon\n"), 0o600))
	_, err = d.Keys(key.Origin)
	require.ErrorContains(t, err, ".state file: Active is no time")
}

// A key that BIND has revoked is read as what it is.
func TestRevokedByBIND(t *testing.T) {
	lab.Need(t, "dnssec-revoke")
	d := Dir{Path: t.TempDir()}
	key := generate(t, d, dnssec.ED25519, dnssec.CSK)
	output, err := exec.CommandContext(t.Context(), lab.Program(t, "dnssec-revoke"), "-r", filepath.Join(d.Path, key.Name())).CombinedOutput()
	require.NoError(t, err, "%s", output)
	keys, err := d.Keys(key.Origin)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.NotZero(t, keys[0].Flags&dnssec.FlagRevoke)
	require.Equal(t, dnssec.KSK, keys[0].Use)
	require.Equal(t, dnssec.KSK, keys[0].At(now).Use)
}
